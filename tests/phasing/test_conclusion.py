"""What follows a search, from candidates with the true phases."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest

from crysformer.crystal.quality.outliers import wilson_outliers
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import NotApplicable
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.checkpoint import Checkpoint
from crysformer.phasing.conclusion import SOLVED, conclude
from crysformer.phasing.merit.figures import DensityFigures
from crysformer.phasing.problem import PhasingProblem, phasing_problem
from crysformer.phasing.search import Search
from crysformer.phasing.sequence_search.method import SequenceSearch
from crysformer.phasing.settings import SolveSettings

CERTAIN = DensityFigures(0.02, 0.9, 0.0, 2.0)


@pytest.fixture
def crystal(make_crystal: Callable[..., Any]) -> Any:
    frac = np.random.default_rng(0).random((30, 3))
    cell = gemmi.UnitCell(9.0, 10.0, 11.0, 81.0, 84.0, 95.0)
    return make_crystal(cell, "P 1", frac, np.full(30, 7), 5.0, 1.2)


def searched(
    data: CrystalData, phi: np.ndarray, find_space_group: bool = False
) -> tuple[PhasingProblem, Search]:
    """A search that has found phases of the data."""
    problem = phasing_problem(data)
    search = Search(problem, "auto", SolveSettings(), 60.0, find_space_group=find_space_group)
    F = problem.expand(data.f * np.exp(1j * np.deg2rad(phi)))
    search.adopt([Candidate("test", problem.grid.with_amplitudes(F), F, CERTAIN, 0.2)])
    return problem, search


def test_phases_belong_to_the_rows_of_the_data(crystal: Any) -> None:
    """The group found is named like the Laue class; its rows are in gemmi's asymmetric unit."""
    sign = np.where(crystal.data.hkl[:, 0] + 2 * crystal.data.hkl[:, 1] < 0, -1, 1)
    sign[::3] *= -1
    hkl = (crystal.data.hkl * sign[:, None]).astype(np.int32)
    data = replace(crystal.data, hkl=hkl, space_group_known=False)
    _, search = searched(data, sign * crystal.phi_true, find_space_group=True)
    assert search.best is not None
    assert search.best.confidence >= SOLVED
    end = conclude(data, wilson_outliers(data), search, search.best, seed=0)
    assert (end.data.hkl != hkl).any()  # otherwise this tests nothing
    true = {tuple(h): x for h, x in zip(hkl.tolist(), sign * crystal.phi_true, strict=True)}
    true |= {tuple(-x for x in h): -phi for h, phi in list(true.items())}
    expected = np.exp(1j * np.deg2rad([true[tuple(h)] for h in end.data.hkl.tolist()]))
    # up to the origin, which is free in P1, and the hand
    best = 0.0
    found = np.exp(1j * np.deg2rad(end.placed.phi))
    for phases in (found, found.conj()):
        ratio = phases * expected.conj() * end.data.f
        grid = np.zeros((48, 48, 48), dtype=complex)
        np.add.at(grid, tuple(end.data.hkl.T), ratio)
        best = max(best, float((np.fft.fftn(grid).real / end.data.f.sum()).max()))
    assert best > 0.9


def test_a_resumed_search_rates_symmetry_anew(crystal: Any, tmp_path: Path) -> None:
    problem, search = searched(crystal.data, crystal.phi_true)
    (candidate,) = search.pool.candidates
    search.pool._candidates = (replace(candidate, symmetry=1.0),)
    Checkpoint(tmp_path / "state.safetensors", problem, {}).write(search)
    again = Search(problem, "auto", SolveSettings(), 60.0)
    again.pool._symmetry = lambda candidate: 0.0
    assert Checkpoint(tmp_path / "state.safetensors", problem, {}).restore(again)
    assert again.best is not None
    assert again.best.symmetry == 0.0
    assert not again.pool.convinced


def test_an_interrupted_search_is_concluded_without_atoms(crystal: Any) -> None:
    _, search = searched(crystal.data, crystal.phi_true)
    best = search.best
    assert best is not None
    suspected = wilson_outliers(crystal.data)
    assert conclude(crystal.data, suspected, search, best, 0).atoms is not None
    assert conclude(crystal.data, suspected, search, best, 0, hurry=True).atoms is None


def test_no_model_is_searched_in_a_group_that_stands_for_a_laue_class(crystal: Any) -> None:
    data = replace(crystal.data, space_group_known=False)
    problem = phasing_problem(data, ("GG",), 1)
    with pytest.raises(NotApplicable, match="space group is not known"):
        SequenceSearch(problem, SolveSettings())
