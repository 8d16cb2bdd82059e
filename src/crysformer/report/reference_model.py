"""True map and structure factors of a known model, and alignment of maps with it."""

from __future__ import annotations

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray

from crysformer.crystal.comparison.compare import align, apply_alignment
from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.fourier.grids import (
    density_from_grid,
    grid_from_density,
    grid_shape,
    grid_to_hkl,
    hkl_to_grid,
)

_P1 = gemmi.SpaceGroup("P 1")


def model_structure_factors(
    structure: gemmi.Structure, hkl: NDArray[np.int32]
) -> NDArray[np.complex128]:
    """Compute F of a model in its space group by direct summation, X-ray form factors.

    Parameters
    ----------
    structure
        Structure with cell and space group, of which the first model counts.
    hkl
        Miller indices, shape (n, 3).

    Returns
    -------
    ndarray
        Shape (n,), electrons.
    """
    structure.setup_cell_images()
    calculator = gemmi.StructureFactorCalculatorX(structure.cell)
    return np.array(
        [calculator.calculate_sf_from_model(structure[0], index) for index in hkl.tolist()]
    )


def model_density(structure: gemmi.Structure, d_min: float) -> DensityMap:
    """Compute a model's density at resolution `d_min` (A), without F(000), e/A^3."""
    hkl = gemmi.make_miller_array(structure.cell, _P1, d_min)
    F = torch.from_numpy(model_structure_factors(structure, hkl))
    shape = grid_shape(structure.cell, d_min)
    grid = hkl_to_grid(torch.from_numpy(hkl), F, shape)[None]
    values = density_from_grid(grid, shape, structure.cell.volume)[0]
    space_group = structure.find_spacegroup() or _P1
    return DensityMap(values.numpy().astype(np.float32), structure.cell, space_group)


def align_map(density: DensityMap, reference: DensityMap, d_min: float) -> DensityMap:
    """Move a map to the origin, hand and grid of a reference map of the same cell.

    Both are compared in P1 over all reflections to `d_min` (A), so any relative origin is found.
    """
    hkl = torch.from_numpy(gemmi.make_miller_array(reference.cell, _P1, d_min))
    volume = reference.cell.volume
    found, wanted = (
        hkl_to_grid(
            hkl,
            grid_to_hkl(grid_from_density(torch.from_numpy(m.values).double()[None], volume), hkl),
            reference.shape,
        )
        for m in (density, reference)
    )
    moved = apply_alignment(found, align(found, wanted))
    values = density_from_grid(moved, reference.shape, volume)[0].numpy()
    return DensityMap(values.astype(np.float32), reference.cell, reference.space_group)
