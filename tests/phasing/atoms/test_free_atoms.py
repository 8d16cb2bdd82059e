"""Free atoms grown into a map."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.comparison.compare import compare_phases
from crysformer.crystal.reflections import CrystalData
from crysformer.phasing.atoms.free_atoms import grow_atoms

B_ISO = 6.0  # A^2, of the crystal


def test_free_atoms_grow_from_poor_phases(
    sulphurs: tuple[CrystalData, NDArray[np.complex128], NDArray[np.float64]],
) -> None:
    data, F, _ = sulphurs
    rng = np.random.default_rng(2)
    start = data.f * np.exp(1j * (np.angle(F) + rng.normal(0, math.radians(55), len(F))))

    def error(phased: NDArray[np.complex128]) -> float:
        return compare_phases(
            data.hkl,
            data.f,
            np.degrees(np.angle(phased)),
            np.degrees(np.angle(F)),
            data.cell,
            data.space_group,
        ).weighted_aligned

    atoms = grow_atoms(data, start, 30, B_ISO, 6)
    assert error(start) > 38
    assert error(atoms.F) < 15
    assert atoms.r < 0.15
    # random phases come to nothing
    wrong = data.f * np.exp(2j * math.pi * rng.random(len(F)))
    assert grow_atoms(data, wrong, 30, B_ISO, 2).r > 0.25
