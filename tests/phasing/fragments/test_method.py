"""Fragment search: ideal pieces, their transforms, orientation, translation, completion."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import gemmi
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from crysformer.crystal.comparison.compare import compare_phases
from crysformer.crystal.fourier.grids import grid_to_hkl
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.symmetry import expand_to_p1
from crysformer.errors import NotApplicable
from crysformer.peptide.secondary_structure import Fragment, ideal_fragment
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.cell_content import CellContent
from crysformer.phasing.fragments import method as search
from crysformer.phasing.fragments import placement
from crysformer.phasing.fragments.applicability import fragments_for
from crysformer.phasing.fragments.completion import expand, weighted_start
from crysformer.phasing.fragments.fragment_translation import FragmentTranslation
from crysformer.phasing.fragments.free_atom_completion import _in_group
from crysformer.phasing.fragments.method import fragment_candidates
from crysformer.phasing.fragments.placement import (
    FragmentPlacer,
    PlacedFragment,
    structure_factors,
)
from crysformer.phasing.fragments.rotation_function import (
    FragmentTransform,
    RotationFunction,
    best_rotations,
)
from crysformer.phasing.p1_grid import p1_grid


def alpha_carbons(fragment: Fragment) -> NDArray[np.float64]:
    """Every fifth atom from the second: N CA C O CB."""
    return fragment.xyz[1::5]


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


def test_a_helix_rises_as_helices_do() -> None:
    ca = alpha_carbons(ideal_fragment("helix", 12))
    assert np.linalg.norm(ca[1:] - ca[:-1], axis=1) == pytest.approx(3.8, abs=0.05)
    assert np.linalg.norm(ca[3:] - ca[:-3], axis=1) == pytest.approx(5.1, abs=0.4)
    # 18 residues are five turns of 5.4 A
    assert np.linalg.norm(ca[11] - ca[0]) == pytest.approx(11 * 1.5, abs=1.0)
    # right-handed: the torsion of four alpha carbons is near +50 degrees
    one, two, three = ca[1] - ca[0], ca[2] - ca[1], ca[3] - ca[2]
    assert np.dot(np.cross(one, two), three) > 0


def test_a_strand_is_stretched() -> None:
    ca = alpha_carbons(ideal_fragment("strand", 6))
    assert np.linalg.norm(ca[2:] - ca[:-2], axis=1) == pytest.approx(6.6, abs=0.4)


def test_fragments_fit_into_the_molecule() -> None:
    def names(n_atoms: int | None, *sequences: str, volume: float = 5e4) -> list[str]:
        content = CellContent(n_atoms, 5.0, sequences, 1, ())
        return [f.name for f in fragments_for(content, volume, 2)]

    assert names(None, "GNNQQNY") == ["strand of 6"]
    assert names(None, "ELLKKLLEELKG") == ["helix of 12", "strand of 6", "helix of 8"]
    assert names(100, "ELLKKLLEELKG") == ["strand of 6", "helix of 8"]
    assert not names(None, "WK")
    # an unknown molecule in a cell too small for any
    assert not names(None, volume=800.0)


def test_interpolated_intensity_is_the_direct_sum() -> None:
    fragment = ideal_fragment("helix", 8)
    transform = FragmentTransform(fragment, 2.0)
    s = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
    length = torch.rand(500, 1, generator=torch.Generator().manual_seed(1))
    s = 0.5 * s / s.norm(dim=1, keepdim=True) * length
    wave = torch.exp(2j * math.pi * (s.double() @ torch.tensor(fragment.xyz).T))
    direct = (wave @ torch.tensor(fragment.number, dtype=torch.complex128)).abs() ** 2
    found = transform.intensity(s).double()
    assert float((found - direct).norm() / direct.norm()) < 0.03


def test_rotation_is_recovered() -> None:
    fragment = ideal_fragment("helix", 8)
    true = Rotation.random(random_state=3).as_matrix()
    xyz = fragment.xyz @ true.T + 4.0
    data, _ = crystal(xyz, fragment.number, gemmi.UnitCell(16, 17, 19, 88, 95, 101), "P 1", 1.5)
    rotation, score = best_rotations(
        data, fragment, 3, torch.Generator().manual_seed(0), n_tried=6000
    )
    placed = np.einsum("bij,aj->bai", rotation.numpy(), fragment.xyz)
    difference = placed - fragment.xyz @ true.T
    assert np.sqrt((difference**2).sum(2).mean(1))[0] < 0.2
    function = RotationFunction(data, 2.0)
    at_truth = function.scan(
        FragmentTransform(fragment, 2.0), torch.tensor(true[None], dtype=torch.float32)
    )
    assert float(score[0]) > 0.8 * float(at_truth)


def test_a_deadline_ends_the_scan_of_orientations() -> None:
    fragment = ideal_fragment("helix", 8)
    data, _ = crystal(
        fragment.xyz, fragment.number, gemmi.UnitCell(30, 31, 32, 88, 95, 101), "P 1", 1.8
    )
    function, transform = RotationFunction(data, 1.8), FragmentTransform(fragment, 1.8)
    rotation = torch.eye(3).expand(4000, 3, 3)
    done = len(function.scan(transform, rotation, deadline=0.0))
    assert 0 < done < 4000
    found, score = best_rotations(
        data, fragment, 2, torch.Generator().manual_seed(0), n_tried=4000, deadline=0.0
    )
    assert len(found) == len(score) > 0


@pytest.mark.parametrize(
    ("group", "axis"),
    [("P 1 21 1", 24.0), ("P 1 21 1", 60.0), ("P 21 21 21", 24.0), ("C 1 2 1", 24.0), ("P 41", 24)],
)
def test_translation_is_recovered(group: str, axis: float) -> None:
    fragment = ideal_fragment("helix", 6)
    turned = fragment.xyz @ Rotation.random(random_state=1).as_matrix().T
    cell = gemmi.UnitCell(24, axis, 27, 90, 90, 90)
    data, _ = crystal(turned + np.array([5.0, 3.0, 8.0]), fragment.number, cell, group, 2.0)
    turned_fragment = replace(fragment, xyz=turned)
    translation = FragmentTranslation(data, turned_fragment)
    where, correlation = translation.first(np.eye(3), 3)
    # three solutions, not three origins of one
    assert len(where) == 3
    assert (np.diff(correlation) < -1e-5).all()
    function, mates = translation.function, translation.mates(np.eye(3))

    def at(places: NDArray[np.float64]) -> NDArray[np.float64]:
        return function.correlation(function.moved(mates, places))

    at_truth = at(np.array([[5.0, 3.0, 8.0]]) / [24, axis, 27])[0]
    assert at_truth > 0.75
    # on grid points the maximum itself is missed, but not by much
    assert correlation[0] > 0.95 * at_truth
    assert at(where[:1])[0] == pytest.approx(correlation[0])
    elsewhere = np.random.default_rng(0).random((200, 3))
    assert at(elsewhere).max() < correlation[0] + 1e-6


@pytest.mark.parametrize("group", ["P 1 21 1", "P 41", "P 3", "P 4 2 2"])
def test_translation_function_is_the_sum_over_the_sphere(group: str) -> None:
    fragment = ideal_fragment("helix", 5)
    edge = (24, 24, 27, 90, 90, 120 if group == "P 3" else 90)
    cell = gemmi.UnitCell(*edge)
    place = np.array([5.0, 3.0, 8.0])
    data, _ = crystal(fragment.xyz + place, fragment.number, cell, group, 3.0)
    translation = FragmentTranslation(data, fragment, 3.0)
    function, mates = translation.function, translation.mates(np.eye(3))
    turns = [np.array(op.rot) // op.DEN for op in data.space_group.operations().sym_ops]
    sphere = [
        len({tuple(sign * (h @ turn)) for turn in turns for sign in (1, -1)}) for h in function.hkl
    ]
    epsilon = [sum(np.array_equal(h @ turn, h) for turn in turns) for h in function.hkl]
    assert max(epsilon) > 1
    assert np.allclose(function.multiplicity, np.array(sphere) / sum(sphere))
    points = np.random.default_rng(0).integers(0, function.shape, (5, 3))
    F = function.moved(mates, points / np.array(function.shape))
    weight = np.array(sphere) * (function.e**2 - 1) / epsilon / sum(sphere)
    direct = np.abs(F) ** 2 @ weight
    found = function.alone(mates)[tuple(points.T)]
    assert np.allclose(
        found - found.mean(), direct - direct.mean(), atol=1e-9 * np.abs(direct).max()
    )


@pytest.mark.parametrize("group", ["P 1", "P 1 21 1"])
def test_a_second_helix_is_placed_beside_the_first(group: str) -> None:
    fragment = ideal_fragment("helix", 7)
    turns = [Rotation.random(random_state=i).as_matrix() for i in (1, 2)]
    places = np.array([[5.0, 3.0, 8.0], [16.0, 9.0, 20.0]])
    xyz = np.stack([fragment.xyz @ r.T + t for r, t in zip(turns, places, strict=True)])
    cell = gemmi.UnitCell(24, 26, 29, 90, 100, 90)
    number = np.tile(fragment.number, 2)
    data, _ = crystal(xyz.reshape(-1, 3), number, cell, group, 2.0)
    function = FragmentTranslation(data, fragment, 2.2)
    ((where, correlation),) = function.further(turns[1], [function.transform(xyz[:1])], 2)
    to_frac = np.array(cell.frac.mat.tolist())
    off = where[0] - to_frac @ places[1]
    assert np.linalg.norm(np.linalg.inv(to_frac) @ (off - off.round())) < 0.7
    both = function.function.correlation(function.transform(xyz)[None])[0]
    assert both > correlation[0] > correlation[1] + 0.05


def test_further_helices_climb_together() -> None:
    fragment = ideal_fragment("helix", 7)
    turns = [Rotation.random(random_state=i).as_matrix() for i in (3, 4)]
    xyz = np.stack([fragment.xyz @ turns[0].T, fragment.xyz @ turns[1].T + [3.0, 11.0, 7.0]])
    number = np.tile(fragment.number, 2)
    cell = gemmi.UnitCell(21, 22, 24, 90, 100, 95)
    data, F = crystal(xyz.reshape(-1, 3), number, cell, "P 1", 1.5)
    generator = torch.Generator().manual_seed(0)
    placer = FragmentPlacer(data, fragment, 5.0, 6, 6, generator, math.inf)
    first = placer.first()
    assert first[0].xyz.shape == (1, *fragment.xyz.shape)
    second = placer.further(first)
    assert second[0].xyz.shape == (2, *fragment.xyz.shape)
    assert second[0].correlation > first[0].correlation + 0.2
    assert [p.correlation for p in second] == sorted((p.correlation for p in second), reverse=True)
    found = structure_factors(data, second[:1], 5.0)[0]
    phases = [np.rad2deg(np.angle(x)) for x in (found, F)]
    compared = compare_phases(data.hkl, data.f, *phases, data.cell, data.space_group)
    assert compared.cosine2_aligned > 0.95
    assert not compared.inverted


def test_a_helix_is_never_placed_on_top_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    fragment = ideal_fragment("helix", 6)
    turned = fragment.xyz @ Rotation.random(random_state=7).as_matrix().T
    cell = gemmi.UnitCell(34, 22, 20, 90, 95, 90)
    data, _ = crystal(turned + np.array([6.0, 4.0, 5.0]), fragment.number, cell, "C 1 2 1", 2.0)
    generator = torch.Generator().manual_seed(0)
    placer = FragmentPlacer(data, fragment, 5.0, 2, 1, generator, math.inf)
    first = placer.first()[:1]
    # as they are found, before they climb
    monkeypatch.setattr(placement, "climb", lambda _, xyz, __: (xyz, torch.arange(len(xyz)) / 1e3))
    to_frac = np.array(cell.frac.mat.tolist())
    for pose in placer.further(first):
        one, other = (x @ to_frac.T for x in pose.xyz[:, ::5].numpy())
        nearest = np.full(len(other), np.inf)
        for op in data.space_group.operations():
            mate = one @ (np.array(op.rot) / op.DEN).T + np.array(op.tran) / op.DEN
            gap = other[:, None] - mate
            gap = (gap - gap.round()) @ np.linalg.inv(to_frac).T
            nearest = np.minimum(nearest, np.linalg.norm(gap, axis=-1).min(1))
        assert (nearest > 2.9).mean() >= 0.5


def test_too_few_reflections_of_low_resolution_are_said() -> None:
    fragment = ideal_fragment("helix", 6)
    data, _ = crystal(fragment.xyz, fragment.number, gemmi.UnitCell(9, 9, 14, 90, 90, 90), "P 1", 2)
    data = replace(data, f=np.where(data.d > 2.1, np.nan, data.f))
    generator = torch.Generator().manual_seed(0)
    with pytest.raises(NotApplicable, match="0 reflections to 3 A, too few to place a fragment"):
        FragmentPlacer(data, fragment, 5.0, 1, 1, generator, math.inf)


@pytest.mark.parametrize("group", ["P 41", "C 1 2 1", "P 1"])
def test_phases_of_p1_return_to_the_group(group: str) -> None:
    fragment = ideal_fragment("helix", 4)
    cell = gemmi.UnitCell(18, 18, 16, 90, 90, 90)
    data, F = crystal(fragment.xyz + np.array([4.0, 5.0, 6.0]), fragment.number, cell, group, 1.2)
    # files list more than was measured, beyond what the grid holds
    data = replace(data, f=np.where(data.d < 2.6, np.nan, data.f))
    p1, mapping = expand_to_p1(data)
    problem = p1_grid(p1, "cpu", mapping.parent)
    phi = np.deg2rad(mapping.phases(np.rad2deg(np.angle(F))))
    grid = problem.to_grid(mapping.values(np.abs(F)) * np.exp(1j * phi))
    own = _in_group(problem, data, mapping, grid)
    used = data.measured
    assert np.isnan(own[~used]).all()
    strong = used & (np.abs(F) > 1e-3 * np.abs(F).max())
    np.testing.assert_allclose(own[strong], F[strong], rtol=1e-3)


def two_helices() -> tuple[CrystalData, NDArray[np.complex128], Fragment]:
    """A P1 crystal of a helix of 12 and one of 8, 0.1 A off the ideal, and the first of them."""
    first, second = ideal_fragment("helix", 12), ideal_fragment("helix", 8)
    turned = first.xyz @ Rotation.random(random_state=5).as_matrix().T
    other = second.xyz @ Rotation.random(random_state=6).as_matrix().T
    other += [0.0, 1.0, 11.0]
    xyz = np.concatenate([turned, other])
    xyz += np.random.default_rng(0).normal(0, 0.1, xyz.shape)
    number = np.concatenate([first.number, second.number])
    data, F = crystal(xyz, number, gemmi.UnitCell(19, 18, 22, 90, 100, 95), "P 1", 1.1)
    return data, F, replace(first, xyz=turned)


def test_one_helix_in_place_completes_a_crystal_of_two() -> None:
    data, F, first = two_helices()
    p1, mapping = expand_to_p1(data)
    problem = p1_grid(p1, "cpu", mapping.parent)
    pose = PlacedFragment(first, torch.tensor(first.xyz[None], dtype=torch.float32), 1.0)
    start = weighted_start(problem, data, mapping, structure_factors(data, [pose], 5.0)[0], 0.6)
    angle = 6.0 * torch.rand(start.shape, generator=torch.Generator().manual_seed(1))
    wrong = torch.polar(start.abs(), angle)
    expanded, free = expand(
        problem,
        torch.stack([wrong, start]),
        0.15,
        5.0,
        ((2, 20), (1, 20)),
        torch.Generator().manual_seed(0),
        math.inf,
    )
    assert solved(data, F, expanded[0])
    assert float(free[0]) > 0.6


def solved(data: CrystalData, F: NDArray[np.complex128], phases: torch.Tensor) -> bool:
    """Whether phases on the half grid of P1 are those of `F`, up to origin and hand."""
    p1, mapping = expand_to_p1(data)
    phi = np.rad2deg(np.angle(grid_to_hkl(phases, torch.tensor(p1.hkl)).numpy()))
    truth = mapping.phases(np.rad2deg(np.angle(F)))
    found = compare_phases(p1.hkl, p1.f, phi, truth, p1.cell, p1.space_group)
    return found.cosine2_aligned > 0.85


@pytest.mark.parametrize(
    ("free", "placed"),
    [
        ([0.15, 0.16, 0.17, 0.9], 3),  # nothing gained with the third
        ([0.15, 0.21, 0.20, 0.19, 0.9], 4),  # two in vain
        ([0.15, 0.21, 0.20, 0.22, 0.21, 0.20], 6),  # one in vain is not the end
    ],
)
def test_helices_are_added_as_long_as_that_helps(
    free: list[float], placed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, _, first = two_helices()
    p1, mapping = expand_to_p1(data)
    problem = p1_grid(p1, "cpu", mapping.parent)
    content = CellContent(10 * len(first.xyz), 5.0, ("A" * 12,), 1, ())
    pose = PlacedFragment(first, torch.zeros(1, len(first.xyz), 3), 0.0)
    counts: list[int] = []

    def completed(*_: object, **__: object) -> tuple[torch.Tensor, Candidate, bool]:
        counts.append(len(counts))
        figures = {"free_correlation": free[len(counts) - 1]}
        F = torch.zeros(1)
        return F, Candidate("fragments", F, F, figures, 0.0, 0.2), False

    monkeypatch.setattr(FragmentPlacer, "__init__", lambda *_: None)
    monkeypatch.setattr(FragmentPlacer, "first", lambda _: [pose])
    monkeypatch.setattr(FragmentPlacer, "further", lambda *_: [pose])
    monkeypatch.setattr(search._Search, "_completed", completed)
    later = time.monotonic() + 1000
    one = search._Search(
        problem,
        data,
        mapping,
        content,
        torch.Generator(),
        later,
        later,
        0.2,
        10.0 * len(first.xyz),
        lambda _: None,
    )
    found, right = one.grown(first, data.space_group, mirrored=False)
    assert (len(found), right) == (placed, False)


@pytest.mark.slow
def test_a_helix_is_found_and_completes_a_crystal_of_two() -> None:
    data, F, _ = two_helices()
    p1, mapping = expand_to_p1(data)
    problem = p1_grid(p1, "cpu", mapping.parent)
    content = CellContent(100, 5.0, ("A" * 12,), 1, ())
    candidates = fragment_candidates(
        problem, data, mapping, content, torch.Generator().manual_seed(0), time.monotonic() + 60
    )
    assert solved(data, F, candidates[0].F)
    assert candidates[0].figures["free_correlation"] > 0.6
