"""Intensities of random atoms (Wilson), with whatever a test does to them."""

from __future__ import annotations

from collections.abc import Callable

import gemmi
import numpy as np
import pytest
from numpy.typing import NDArray

from crysformer.crystal.normalisation import PROTEIN_RESIDUE, epsilon_factors, sum_of_squares
from crysformer.crystal.reflections import CrystalData

CELL = (31.0, 37.0, 43.0, 90.0, 90.0, 90.0)


def wilson_data(
    space_group: str = "P 21 21 21",
    cell: tuple[float, ...] = CELL,
    d_min: float = 2.0,
    seed: int = 0,
    b: NDArray[np.float64] | float = 20.0,
    twin: float = 0.0,
) -> CrystalData:
    """Exact amplitudes around sum f^2 exp(-s' B s / 2); a twin's second domain is unrelated."""
    group, unit_cell = gemmi.SpaceGroup(space_group), gemmi.UnitCell(*cell)
    hkl = gemmi.make_miller_array(unit_cell, group, d_min).astype(np.int32)
    rng = np.random.default_rng(seed)
    centric = np.array(group.operations().centric_flag_array(hkl), dtype=bool)

    def domain() -> NDArray[np.float64]:
        acentric = rng.exponential(size=len(hkl))
        return np.where(centric, rng.standard_normal(len(hkl)) ** 2, acentric)

    intensity = (1 - twin) * domain() + twin * domain()
    s = hkl @ np.array(unit_cell.frac.mat.tolist())
    tensor = np.eye(3) * b if np.ndim(b) == 0 else np.asarray(b)
    intensity *= np.exp(-0.5 * np.einsum("ni,ij,nj->n", s, tensor, s))
    intensity *= sum_of_squares(PROTEIN_RESIDUE, np.sum(s**2, axis=1))
    f = np.sqrt(intensity * epsilon_factors(hkl, group))
    sigf = np.full(len(f), 0.01 * f.mean())
    return CrystalData(unit_cell, group, hkl, f, sigf, source="random atoms")


@pytest.fixture(scope="session")
def wilson() -> Callable[..., CrystalData]:
    """`wilson_data`."""
    return wilson_data
