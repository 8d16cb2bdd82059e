"""Pictures of solutions and models: projections of the density, with the bonds of the model."""

from __future__ import annotations

from pathlib import Path

import gemmi
import numpy as np

from crysformer.building.built_model import BuiltModel
from crysformer.building.map_values import MapValues
from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.phasing.solution import Solution
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
    # matplotlib, which nothing else of a solution needs
    from crysformer.report.projections import projection_figure

    path, model = folder / PICTURE, None
    if (folder / MODEL).is_file():
        model = gemmi.read_structure(str(folder / MODEL))
    verdict = "solved" if solution.solved else "not solved"
    title = f"{name}: {verdict}, confidence {solution.confidence:.2f}"
    projection_figure({solution.space_group.xhm(): solution.density}, path, title, model)
    return path


def write_model_picture(folder: Path, built: BuiltModel, name: str) -> Path:
    """Write ``density.png`` of a model that was built without a solution, from its 2mFo-DFc map.

    Parameters
    ----------
    folder
        Folder of the model.
    built
        The model.
    name
        Name of the crystal, for the title.

    Returns
    -------
    Path
        The picture.
    """
    path, data, r = folder / PICTURE, built.data, built.reported
    turned = np.exp(1j * np.radians(built.coefficients.phwt))
    F = np.asarray(built.coefficients.fwt * turned, dtype=np.complex128)
    values = MapValues.of_coefficients(data, F).values
    density = DensityMap(values.astype(np.float32), data.cell, data.space_group)
    title = f"{name}: R-work {r.r_work:.3f}, R-free {r.r_free:.3f}"
    # as above
    from crysformer.report.projections import projection_figure

    projection_figure(
        {f"{data.space_group.xhm()}, 2mFo-DFc": density}, path, title, built.structure
    )
    return path
