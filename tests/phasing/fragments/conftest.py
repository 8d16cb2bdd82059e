"""Crystals of fragments, with structure factors of gemmi."""

from __future__ import annotations

import math
from collections.abc import Callable

import gemmi
import numpy as np
import pytest
from numpy.typing import NDArray

from crysformer.crystal.reflections import CrystalData

FragmentCrystal = Callable[..., tuple[CrystalData, NDArray[np.complex128]]]


def crystal(
    xyz: NDArray[np.float64],
    number: NDArray[np.int64],
    cell: gemmi.UnitCell,
    group: str,
    d_min: float,
    b_iso: float = 5.0,
) -> tuple[CrystalData, NDArray[np.complex128]]:
    """Amplitudes and structure factors by gemmi's direct summation, atoms in A."""
    space_group = gemmi.SpaceGroup(group)
    structure = gemmi.SmallStructure()  # of every symmetry mate, in P1
    structure.cell = cell
    for position, z in zip(xyz, number, strict=True):
        frac = cell.fractionalize(gemmi.Position(*position)).tolist()
        for op in space_group.operations():
            site = gemmi.SmallStructure.Site()
            site.element = gemmi.Element(int(z))
            site.fract = gemmi.Fractional(*op.apply_to_xyz(frac))
            site.occ, site.u_iso = 1.0, b_iso / (8 * math.pi**2)
            structure.add_site(site)
    hkl = gemmi.make_miller_array(cell, space_group, d_min)
    calculator = gemmi.StructureFactorCalculatorX(cell)
    F = np.array([calculator.calculate_sf_from_small_structure(structure, h) for h in hkl])
    data = CrystalData(cell=cell, space_group=space_group, hkl=hkl.astype(np.int32), f=np.abs(F))
    return data, F


@pytest.fixture(scope="session")
def fragment_crystal() -> FragmentCrystal:
    """Amplitudes and structure factors of atoms in A: call with the arguments of `crystal`."""
    return crystal
