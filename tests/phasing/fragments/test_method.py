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
from crysformer.crystal.fourier.grids import grid_to_hkl
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.symmetry import expand_to_p1
from crysformer.peptide.secondary_structure import Fragment, ideal_fragment
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.cell_content import CellContent
from crysformer.phasing.fragments import method as search
from crysformer.phasing.fragments.completion import expand, weighted_start
from crysformer.phasing.fragments.free_atom_completion import _in_group
from crysformer.phasing.fragments.method import fragment_candidates
from crysformer.phasing.fragments.placement import (
    FragmentPlacer,
    PlacedFragment,
    structure_factors,
)
from crysformer.phasing.problem import phase_problem


@pytest.mark.parametrize("group", ["P 41", "C 1 2 1", "P 1"])
def test_phases_of_p1_return_to_the_group(group: str, fragment_crystal: Callable[..., Any]) -> None:
    fragment = ideal_fragment("helix", 4)
    cell = gemmi.UnitCell(18, 18, 16, 90, 90, 90)
    data, F = fragment_crystal(
        fragment.xyz + np.array([4.0, 5.0, 6.0]), fragment.number, cell, group, 1.2
    )
    # files list more than was measured, beyond what the grid holds
    data = replace(data, f=np.where(data.d < 2.6, np.nan, data.f))
    p1, mapping = expand_to_p1(data)
    problem = phase_problem(p1, "cpu", mapping.parent)
    phi = np.deg2rad(mapping.phases(np.rad2deg(np.angle(F))))
    grid = problem.to_grid(mapping.values(np.abs(F)) * np.exp(1j * phi))
    own = _in_group(problem, data, mapping, grid)
    used = data.measured
    assert np.isnan(own[~used]).all()
    strong = used & (np.abs(F) > 1e-3 * np.abs(F).max())
    np.testing.assert_allclose(own[strong], F[strong], rtol=1e-3)


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


def test_one_helix_in_place_completes_a_crystal_of_two(two_helices: Helices) -> None:
    data, F, first = two_helices
    p1, mapping = expand_to_p1(data)
    problem = phase_problem(p1, "cpu", mapping.parent)
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
    free: list[float], placed: int, two_helices: Helices, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, _, first = two_helices
    p1, mapping = expand_to_p1(data)
    problem = phase_problem(p1, "cpu", mapping.parent)
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
def test_a_helix_is_found_and_completes_a_crystal_of_two(two_helices: Helices) -> None:
    data, F, _ = two_helices
    p1, mapping = expand_to_p1(data)
    problem = phase_problem(p1, "cpu", mapping.parent)
    content = CellContent(100, 5.0, ("A" * 12,), 1, ())
    candidates = fragment_candidates(
        problem, data, mapping, content, torch.Generator().manual_seed(0), time.monotonic() + 60
    )
    assert solved(data, F, candidates[0].F)
    assert candidates[0].figures["free_correlation"] > 0.6
