"""Fragment search as a method: completion of placed helices, and how many are placed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gemmi
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from crysformer.crystal.comparison.compare import compare_phases
from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.secondary_structure import Fragment, ideal_fragment
from crysformer.phasing.budget import Budget, method_generator
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.cell_content import CellContent
from crysformer.phasing.fragments import method as module
from crysformer.phasing.fragments.completion import complete_structure, weighted_start
from crysformer.phasing.fragments.method import Fragments
from crysformer.phasing.fragments.placement import (
    FragmentPlacer,
    PlacedFragment,
    structure_factors,
)
from crysformer.phasing.merit.figures import DensityFigures
from crysformer.phasing.problem import PhasingProblem, phasing_problem
from crysformer.phasing.settings import SolveSettings

Helices = tuple[CrystalData, NDArray[np.complex128], Fragment]


@pytest.fixture(scope="module")
def two_helices(fragment_crystal: Callable[..., Any]) -> Helices:
    """A P1 crystal of a helix of 12 and one of 8, 0.1 A off the ideal, and the first of them."""
    first, second = ideal_fragment("helix", 12), ideal_fragment("helix", 8)
    turned = first.xyz @ Rotation.random(random_state=5).as_matrix().T
    other = second.xyz @ Rotation.random(random_state=6).as_matrix().T
    other += [0.0, 1.0, 11.0]
    xyz = np.concatenate([turned, other])
    xyz += np.random.default_rng(0).normal(0, 0.1, xyz.shape)
    number = np.concatenate([first.number, second.number])
    data, F = fragment_crystal(xyz, number, gemmi.UnitCell(19, 18, 22, 90, 100, 95), "P 1", 1.1)
    return data, F, replace(first, xyz=turned)


def with_atoms(data: CrystalData, n_atoms: int) -> PhasingProblem:
    """A problem with this many atoms in the cell, of a chain of twelve residues."""
    problem = phasing_problem(data)
    return replace(problem, content=CellContent(n_atoms, 5.0, ("A" * 12,), 1, ()))


def test_one_helix_in_place_completes_a_crystal_of_two(two_helices: Helices) -> None:
    data, F, first = two_helices
    problem = phasing_problem(data)
    pose = PlacedFragment(first, torch.tensor(first.xyz[None], dtype=torch.float32), 1.0)
    start = weighted_start(problem, data, structure_factors(data, [pose], 5.0)[0], 0.6)
    angle = 6.0 * torch.rand(start.shape, generator=torch.Generator().manual_seed(1))
    wrong = torch.polar(start.abs(), angle)
    completed, free = complete_structure(
        problem.grid,
        torch.stack([wrong, start]),
        0.15,
        5.0,
        ((2, 20), (1, 20)),
        torch.Generator().manual_seed(0),
        math.inf,
    )
    assert solved(problem, F, completed[0])
    assert float(free[0]) > 0.6


def solved(problem: PhasingProblem, F: NDArray[np.complex128], phases: torch.Tensor) -> bool:
    """Whether phases on the half grid of P1 are those of `F`, up to origin and hand."""
    p1 = problem.grid.data
    phi = np.rad2deg(np.angle(problem.listed(phases)))
    truth = problem.mapping.phases(np.rad2deg(np.angle(F)))
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
    free: list[float], placed: int, two_helices: Helices, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, _, first = two_helices
    pose = PlacedFragment(first, torch.zeros(1, len(first.xyz), 3), 0.0)
    counts: list[int] = []

    def candidate(*_: object) -> tuple[torch.Tensor, Candidate, bool]:
        counts.append(len(counts))
        figures = DensityFigures(0.5, free[len(counts) - 1], 0.0, 0.6)
        F = torch.zeros(1)
        return F, Candidate("fragments", F, F, figures, 0.2), False

    monkeypatch.setattr(FragmentPlacer, "__init__", lambda *_, **__: None)
    monkeypatch.setattr(FragmentPlacer, "first", lambda _: [pose])
    monkeypatch.setattr(FragmentPlacer, "further", lambda *_: [pose])
    monkeypatch.setattr(module._Placement, "_candidate", candidate)
    later = time.monotonic() + 1000
    budget = Budget(later, later, torch.Generator())
    method = Fragments(with_atoms(data, 10 * len(first.xyz)), SolveSettings())
    one = module._Placement(method, (first,), data.space_group, budget, mirrored=False)
    found, right = one.completed(budget)
    assert (len(found), right) == (placed, False)
    assert method.tried == placed


@pytest.mark.parametrize(("typical", "grown"), [(50.0, True), (80.0, False)])
def test_free_atoms_are_grown_from_a_pose_that_stands_out(
    typical: float, grown: bool, two_helices: Helices, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, _, first = two_helices
    strand = replace(first, kind="strand")
    pose = PlacedFragment(strand, torch.zeros(1, len(first.xyz), 3), 0.0, gain=100.0)
    F = torch.zeros(1)
    low = Candidate("fragments", F, F, DensityFigures(0.5, 0.3, 0.0, 0.6), 0.2)
    monkeypatch.setattr(module, "place_fragments", lambda *_, **__: [pose])
    monkeypatch.setattr(module, "refine_poses", lambda *_, **__: ([pose], typical))
    monkeypatch.setattr(module, "atoms_from_phases", lambda *_, **__: low)
    monkeypatch.setattr(module._Placement, "_candidate", lambda *_: (F, low, False))
    monkeypatch.setattr(module._Placement, "_complete", lambda *_: (F, F))
    later = time.monotonic() + 1000
    budget = Budget(later, later, torch.Generator())
    method = Fragments(with_atoms(data, 10 * len(first.xyz)), SolveSettings())
    one = module._Placement(method, (strand,), data.space_group, budget, mirrored=False)
    found, _ = one.completed(budget)
    assert len(found) == 1 + grown


def test_a_turn_without_time_still_places_one_fragment(two_helices: Helices) -> None:
    data, _, _ = two_helices
    method = Fragments(with_atoms(data, 100), SolveSettings())
    now = time.monotonic()
    found = method.advance(Budget(now, now, method_generator(0, "fragments")))
    assert found
    assert all(one.method == "fragments" for one in found)
    assert not method.finished


@pytest.mark.slow
def test_a_helix_is_found_and_completes_a_crystal_of_two(two_helices: Helices) -> None:
    data, F, _ = two_helices
    problem = with_atoms(data, 100)
    method = Fragments(problem, SolveSettings())
    until = time.monotonic() + 60
    best = method.advance(Budget(until, until, method_generator(0, "fragments")))[0]
    assert solved(problem, F, best.F)
    assert isinstance(best.figures, DensityFigures)
    assert best.figures.free_correlation > 0.6
