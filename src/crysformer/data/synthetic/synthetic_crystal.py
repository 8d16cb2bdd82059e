"""Synthetic crystals of fragments: simulated measurements, and the truth beside them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray

from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.fourier.grids import density_from_grid, grid_shape, hkl_to_grid
from crysformer.crystal.fourier.structure_factors import structure_factors
from crysformer.crystal.reflections import CrystalData
from crysformer.data.recipe import Recipe
from crysformer.data.store import FragmentTable
from crysformer.data.synthetic.measurement_model import ErrorModel, measure
from crysformer.data.synthetic.p1_crystal import P1Crystal, single
from crysformer.memory import check_memory

#: Memory of making a crystal to the points of its grid, bytes: 36 to 41 were measured.
_BYTES = 42


@dataclass(frozen=True, eq=False)
class SyntheticCrystal:
    """A P1 crystal of one fragment, or of several copies of it.

    Attributes
    ----------
    data
        The simulated measurements: amplitudes (electrons), NaN where not measured.
    f_true
        Error-free amplitudes of all reflections, shape (n,).
    phi_true
        Phases of all reflections, shape (n,), degrees; a single molecule has its centre of mass
        at the cell centre.
    density
        The true density at this resolution, e/A^3, F(000) absent.
    sequence
        One-letter codes; several copies are separated by commas.
    id
        The fragment's id in the data set.
    structure
        The atoms in their cell.
    """

    data: CrystalData
    f_true: NDArray[np.float64]
    phi_true: NDArray[np.float64]
    density: DensityMap
    sequence: str
    id: str
    structure: gemmi.Structure


def synthetic_crystal(
    table: FragmentTable,
    index: int,
    recipe: Recipe,
    d_min: float | None = None,
    amplitude_error: float = 0.0,
    completeness: float = 1.0,
    seed: int = 0,
) -> SyntheticCrystal:
    """Simulate a crystal of one fragment, in its stored orientation.

    Parameters
    ----------
    table, index
        The fragment.
    recipe
        Recipe of its cell.
    d_min
        Resolution, A; the recipe's by default.
    amplitude_error, completeness
        As `ErrorModel`; reflections that are not measured are chosen at random.
    seed
        Seed of the errors and missing reflections; different fragments draw differently.

    Raises
    ------
    ValueError
        If `completeness` is not in (0, 1] or `amplitude_error` is negative.
    InputError
        If its maps do not fit into memory.
    """
    return measured_crystal(
        single(table.molecule(index), recipe),
        recipe.d_min if d_min is None else d_min,
        ErrorModel(amplitude_error, completeness),
        np.random.default_rng((seed, index)),
        recipe.sample_rate,
    )


def measured_crystal(
    crystal: P1Crystal,
    d_min: float,
    errors: ErrorModel,
    rng: np.random.Generator,
    sample_rate: float = Recipe.sample_rate,
) -> SyntheticCrystal:
    """Simulate the measurement of a crystal.

    Parameters
    ----------
    crystal
        What is in the cell.
    d_min
        Resolution, A.
    errors
        Errors and missing reflections.
    rng
        Source of the errors and missing reflections.
    sample_rate
        Grid points of the true density per `d_min`.

    Raises
    ------
    InputError
        If its maps do not fit into memory.
    """
    cell = crystal.cell
    shape = grid_shape(cell, d_min, sample_rate)
    check_memory(
        _BYTES * math.prod(shape),
        f"{crystal.molecule.id}: a crystal of {' x '.join(map(str, shape))} grid points",
        "leave it out of the data set",
    )
    space_group = gemmi.SpaceGroup("P 1")
    hkl = gemmi.make_miller_array(cell, space_group, d_min)
    orth = torch.diag(torch.tensor(cell.parameters[:3], dtype=torch.float64))
    indices = torch.from_numpy(np.ascontiguousarray(hkl))
    F = structure_factors(crystal.atoms(), orth, indices)[0]
    rho = density_from_grid(hkl_to_grid(indices, F, shape)[None], shape, cell.volume)[0]
    f_true = F.abs().numpy()
    f, sigf = measure(f_true, hkl, cell, errors, rng)
    return SyntheticCrystal(
        data=CrystalData(
            cell=cell,
            space_group=space_group,
            hkl=hkl.astype(np.int32),
            f=f,
            sigf=sigf,
            source=crystal.molecule.id,
            labels=("F", "SIGF"),
        ),
        f_true=f_true,
        phi_true=np.rad2deg(F.angle().numpy()),
        density=DensityMap(rho.numpy().astype(np.float32), cell, space_group),
        sequence=crystal.sequence,
        id=crystal.molecule.id,
        structure=crystal.structure(),
    )
