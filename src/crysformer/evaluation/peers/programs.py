"""The programs that are compared, by name."""

from __future__ import annotations

import os
import sys
from importlib import resources
from pathlib import Path

from crysformer.errors import UsageError
from crysformer.evaluation.peers.program import Program
from crysformer.evaluation.peers.script_program import Script
from crysformer.evaluation.peers.solve_program import Solve


def known_programs(
    cctbx_python: str | None = None, against: str | None = None
) -> dict[str, Program]:
    """All programs by name, in the order of the tables.

    Parameters
    ----------
    cctbx_python
        Interpreter that has cctbx; this one by default.
    against
        A second installation of this package: its interpreter, or a folder ``src`` that holds it.

    Raises
    ------
    UsageError
        If `against` is neither.
    """
    scripts = Path(str(resources.files("crysformer.evaluation.peers.scripts")))
    programs: list[Program] = [Solve("solve", False), Solve("solve-sequence", True)]
    if against is not None:
        programs += _other_installation(Path(against))
    plain = (
        "in numpy and scipy: threshold 1.1 standard deviations, weakest 20 % shifted by 90 "
        "degrees, 2,000 iterations of one random start after another; stops when the skewness of "
        "the map stays above 1.3 times that of random starts; polished by low-density elimination"
    )
    programs += [
        Script(f"plain-{kind}", f"plain charge flipping on {kind} {plain}",
               scripts / "plain_flipping.py", amplitudes=kind)
        for kind in ("E", "F")
    ]  # fmt: skip
    programs.append(
        Script(
            "cctbx",
            "charge flipping of cctbx (`smtbx.ab_initio`, its defaults) on quasi-normalised "
            "amplitudes; stops at a phase transition of the skewness of the map followed by a "
            "sharp correlation with the symmetry, which is always sharp in P1; polished by its "
            "low-density elimination",
            scripts / "cctbx_flipping.py",
            python=cctbx_python or sys.executable,
            needs="cctbx",
        )
    )
    return {program.name: program for program in programs}


def _other_installation(place: Path) -> list[Program]:
    names = (("other-solve", False), ("other-solve-sequence", True))
    if (place / "crysformer" / "__init__.py").is_file():
        return [Solve(name, given, source=place.absolute()) for name, given in names]
    if place.is_file() and os.access(place, os.X_OK):
        return [Solve(name, given, python=str(place.absolute())) for name, given in names]
    raise UsageError(
        f"`against` {place}: expected a Python interpreter, or a folder src that holds crysformer"
    )
