"""The model-building programs that are known."""

from __future__ import annotations

from typing import Final

from crysformer.errors import UsageError
from crysformer.evaluation.building.programs.autobuild import Autobuild
from crysformer.evaluation.building.programs.modelcraft import Modelcraft
from crysformer.evaluation.building.programs.program import BuildingProgram
from crysformer.evaluation.building.programs.shelxe import Shelxe

PROGRAMS: Final[tuple[BuildingProgram, ...]] = (Autobuild(), Shelxe(), Modelcraft())


def chosen_programs(names: str | None) -> tuple[BuildingProgram, ...]:
    """Programs of a comma-separated list; none by default.

    Raises
    ------
    UsageError
        If one is not known.
    """
    known = {program.name: program for program in PROGRAMS}
    wanted = dict.fromkeys(name.strip() for name in names.split(",")) if names else {}
    for name in wanted:
        if name not in known:
            raise UsageError(f"`programs` {name}: expected some of {', '.join(known)}")
    return tuple(known[name] for name in wanted)
