"""Sites picked from maps, sulphurs found one after the other, free atoms grown into a map."""

from __future__ import annotations

import math
import time

import gemmi
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from crysformer.crystal.comparison.compare import compare_phases
from crysformer.crystal.fourier.grids import grid_to_hkl
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.symmetry import expand_to_p1
from crysformer.phasing.atoms.free_atoms import grow_atoms
from crysformer.phasing.atoms.peak_picking import PeakPicker, map_on_grid, symmetric_shape
from crysformer.phasing.cell_content import CellContent
from crysformer.phasing.fragments.heavy_atom_method import sulphur_candidates
from crysformer.phasing.fragments.heavy_atom_sites import HeavyAtomSearch, number_of_sulphurs
from crysformer.phasing.p1_grid import p1_grid

CELL = gemmi.UnitCell(9, 11, 10, 90, 101, 90)
B_ISO = 6.0


def crystal(
    frac: NDArray[np.float64], number: list[int], group: str, d_min: float
) -> tuple[CrystalData, NDArray[np.complex128]]:
    """Amplitudes with 3 % error, and structure factors by gemmi's direct summation."""
    space_group = gemmi.SpaceGroup(group)
    structure = gemmi.SmallStructure()  # all mates, in P1
    structure.cell = CELL
    for site, z in zip(frac.tolist(), number, strict=True):
        for op in space_group.operations():
            atom = gemmi.SmallStructure.Site()
            atom.element = gemmi.Element(z)
            atom.fract = gemmi.Fractional(*op.apply_to_xyz(site))
            atom.occ, atom.u_iso = 1.0, B_ISO / (8 * math.pi**2)
            structure.add_site(atom)
    hkl = gemmi.make_miller_array(CELL, space_group, d_min)
    calculator = gemmi.StructureFactorCalculatorX(CELL)
    F = np.array([calculator.calculate_sf_from_small_structure(structure, h) for h in hkl])
    f = np.abs(F) * (1 + 0.03 * np.random.default_rng(1).standard_normal(len(F)))
    return CrystalData(CELL, space_group, hkl, np.abs(f), 0.03 * np.abs(f)), F


def packed(n: int, group: str, apart: float = 1.4) -> NDArray[np.float64]:
    """Random sites that keep their distance, also from mates, (n, 3)."""
    rng = np.random.default_rng(0)
    data = CrystalData(CELL, gemmi.SpaceGroup(group), np.zeros((0, 3), np.int32), np.zeros(0))
    picker = PeakPicker(data, (2, 2, 2), apart)
    sites = np.zeros((0, 3))
    while len(sites) < n:
        site = rng.random((1, 3))
        others = np.concatenate((picker.mates(sites), picker.mates(site)[1:]))
        if picker.distance(others - site).min() > apart:
            sites = np.concatenate((sites, site))
    return sites


@pytest.fixture(scope="module")
def sulphurs() -> tuple[CrystalData, NDArray[np.complex128], NDArray[np.float64]]:
    frac = packed(30, "P 1 21 1")
    return *crystal(frac, [16] * 3 + [6, 7, 8] * 9, "P 1 21 1", 1.1), frac


def test_distances_agree_with_gemmi() -> None:
    data = CrystalData(CELL, gemmi.SpaceGroup("C 1 2 1"), np.zeros((0, 3), np.int32), np.zeros(0))
    picker = PeakPicker(data, (12, 12, 12), 1.5)
    a, b = np.array([0.1, 0.2, 0.95]), np.array([0.05, 0.9, 0.1])
    image = CELL.find_nearest_image(
        CELL.orthogonalize(gemmi.Fractional(*a)), CELL.orthogonalize(gemmi.Fractional(*b))
    )
    assert picker.distance(a - b) == pytest.approx(image.dist(), abs=1e-4)
    # the two-fold axis along b at x = z = 0 is a special position, a place far from it is not
    assert picker.special[0, 3, 0]
    assert not picker.special[3, 3, 3]


def test_picked_sites_are_the_highest_and_apart(
    sulphurs: tuple[CrystalData, NDArray[np.complex128], NDArray[np.float64]],
) -> None:
    data, F, frac = sulphurs
    shape = symmetric_shape(data, 3.5)
    values = map_on_grid(data, F, shape)
    picker = PeakPicker(data, shape, 1.1)
    sites, heights = picker.pick(values, np.zeros((0, 3)), 3)
    assert (np.diff(heights) <= 0).all()
    for site in sites:  # the sulphurs, whichever mate
        assert picker.distance(picker.mates(frac[:3]) - site).min() < 0.3
    rest, _ = picker.pick(values, sites, 2)
    assert picker.distance(picker.mates(frac[:3])[:, None] - rest).min() > 1.1 - 0.3


def test_sulphurs_are_found(
    sulphurs: tuple[CrystalData, NDArray[np.complex128], NDArray[np.float64]],
) -> None:
    data, F, frac = sulphurs
    content = CellContent(60, B_ISO, ("ACMC",), 1, ())
    assert number_of_sulphurs(content) == 3
    search = HeavyAtomSearch(data)
    function = search.function
    found = search.find(3)
    F_true = function.moved(search.atom, frac[:3]).sum(0)
    true = float(function.correlation(F_true[None])[0])
    assert found[0].correlation == pytest.approx(true, abs=0.02)
    assert found[0].correlation > found[1].correlation
    phi = [np.degrees(np.angle(function.moved(search.atom, s.frac).sum(0))) for s in found[:1]]
    compared = compare_phases(
        data.hkl, data.f, phi[0], np.degrees(np.angle(F)), CELL, data.space_group
    )
    assert compared.weighted_aligned < 55  # of three atoms alone


def test_what_an_atom_adds_is_what_it_adds(
    sulphurs: tuple[CrystalData, NDArray[np.complex128], NDArray[np.float64]],
) -> None:
    data, _, frac = sulphurs
    function = HeavyAtomSearch(data).function
    atom = function.mates(np.zeros((1, 3)), np.ones(1, dtype=np.int64))
    point = (3, 5, 7)
    own = function.moved(atom, np.array([point]) / np.array(function.shape))[0]
    weight = function.multiplicity * (function.e**2 - 1) / function.root_epsilon**2
    alone = (weight * np.abs(own) ** 2).sum() - len(function.rotations) * weight.sum()
    assert function.alone(atom)[point] == pytest.approx(alone, abs=1e-9)
    placed = function.moved(atom, frac[:1])[0]
    cross = (weight * (np.abs(placed + own) ** 2 - np.abs(placed) ** 2 - np.abs(own) ** 2)).sum()
    assert function.beside(atom, placed)[point] == pytest.approx(cross, abs=1e-9)


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
            CELL,
            data.space_group,
        ).weighted_aligned

    atoms = grow_atoms(data, start, 30, B_ISO, 6)
    assert error(start) > 38
    assert error(atoms.F) < 15
    assert atoms.r < 0.15
    # random phases come to nothing
    wrong = data.f * np.exp(2j * math.pi * rng.random(len(F)))
    assert grow_atoms(data, wrong, 30, B_ISO, 2).r > 0.25


def test_sulphurs_complete_a_crystal(
    sulphurs: tuple[CrystalData, NDArray[np.complex128], NDArray[np.float64]],
) -> None:
    data, F, _ = sulphurs
    p1, mapping = expand_to_p1(data)
    problem = p1_grid(p1, "cpu", mapping.parent)
    content = CellContent(60, B_ISO, ("ACMC",), 1, ())
    said: list[str] = []
    found = sulphur_candidates(
        problem,
        data,
        mapping,
        content,
        torch.Generator().manual_seed(0),
        time.monotonic() + 60,
        said.append,
    )
    assert said[0] == "placing 3 sulphur atoms"
    assert found[0].figures["r"] < 0.15
    assert found[0].atoms is not None
    assert found[0].atoms.frac.shape[1] >= 60
    phases = grid_to_hkl(found[0].F, torch.as_tensor(p1.hkl)).numpy()
    compared = compare_phases(
        p1.hkl,
        p1.f,
        np.degrees(np.angle(phases)),
        mapping.phases(np.degrees(np.angle(F))),
        CELL,
        p1.space_group,
    )
    assert compared.weighted_aligned < 15
    # no sulphur, nothing to begin with
    none = CellContent(60, B_ISO, ("AAAA",), 1, ())
    assert not sulphur_candidates(
        problem, data, mapping, none, torch.Generator().manual_seed(0), time.monotonic()
    )
