"""The picture of a solution: projections of its density, with the bonds of its model."""

from __future__ import annotations

from pathlib import Path

import gemmi

from crysformer.phasing.solution import Solution
from crysformer.report.projections import projection_figure
from crysformer.workflow.solution_files import MODEL

PICTURE = "density.png"


def write_picture(folder: Path, solution: Solution, name: str) -> Path:
    """Write ``density.png`` into the folder of a solution, with the bonds of ``model.cif``.

    Parameters
    ----------
    folder
        Folder in which `solve` wrote the solution.
    solution
        Its density is drawn, as in ``solution.ccp4``.
    name
        Name of the crystal, for the title.

    Returns
    -------
    Path
        The picture.
    """
    path, model = folder / PICTURE, None
    if (folder / MODEL).is_file():
        model = gemmi.read_structure(str(folder / MODEL))
    verdict = "solved" if solution.solved else "not solved"
    title = f"{name}: {verdict}, confidence {solution.confidence:.2f}"
    projection_figure({solution.space_group.xhm(): solution.density}, path, title, model)
    return path
