"""From rated candidates of density to refined atoms."""

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from crysformer.phasing.atoms.atomic_candidates import (
    AtomSettings,
    atomic_candidates,
    atoms_are_quick,
    number_of_atoms,
    with_quick_atoms,
)
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.dual_space.charge_flipping import random_phases
from crysformer.phasing.dual_space.polishing import polish_by_density_modification
from crysformer.phasing.merit.figures import AtomFigures
from crysformer.phasing.merit.r_factor import grid_r_factor
from crysformer.phasing.problem import PhasingProblem, phasing_problem
from crysformer.phasing.solver import SOLVED

FRACTION = torch.tensor([0.24])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def crystal(dipeptide: Callable[..., Any]) -> Any:
    return dipeptide(3)


@pytest.fixture(scope="module")
def problem(crystal: Any) -> PhasingProblem:
    return phasing_problem(crystal.data, (crystal.sequence,))


@pytest.fixture(scope="module")
def polished(crystal: Any, problem: PhasingProblem) -> list[Candidate]:
    """The true phases with errors, and two random phase sets."""
    F = random_phases(problem.grid, 3, seeded())
    F[0] = crystal.start(problem.grid, [10])[0]
    return polish_by_density_modification(
        problem, "test", F, FRACTION.expand(3).clone(), 3, seeded()
    )


def test_atoms_make_a_right_candidate_certain(
    crystal: Any, problem: PhasingProblem, polished: list[Candidate]
) -> None:
    rated = atomic_candidates(problem, polished, seeded())
    r = [candidate.figures.r for candidate in rated]
    assert r == sorted(r)
    assert all(later - earlier > 1e-3 for earlier, later in itertools.pairwise(r))
    best = rated[0]
    assert best.confidence > 0.98
    assert isinstance(best.figures, AtomFigures)
    assert best.figures.r < 0.04
    n_atoms = len(crystal.number) + 1  # and the OXT that the sequence promises
    expected = len(crystal.data) / n_atoms
    assert best.figures.reflections_per_atom == pytest.approx(expected)
    comparison = crystal.compare(best.F)
    assert comparison.mean_aligned < 8
    torch.testing.assert_close(best.F.abs(), problem.grid.amplitude)
    assert best.atoms is not None
    assert best.atoms.frac.shape == (1, n_atoms, 3)
    assert float(grid_r_factor(problem.grid, best.model[None])) == pytest.approx(r[0], abs=1e-4)


def test_atoms_of_wrong_phases_are_not_claimed(crystal: Any, problem: PhasingProblem) -> None:
    F = random_phases(problem.grid, 4, seeded(6))
    fractions = torch.tensor([0.2, 0.22, 0.24, 0.26])
    candidates = polish_by_density_modification(problem, "test", F, fractions, 4, seeded())
    rated = atomic_candidates(problem, candidates, seeded(), AtomSettings(cycles=2))
    wrong = [one for one in rated if crystal.compare(one.F).cosine2_aligned < 0.8]
    assert wrong
    assert max(one.confidence for one in wrong) < SOLVED


def test_atoms_without_a_sequence(
    crystal: Any, problem: PhasingProblem, polished: list[Candidate]
) -> None:
    unknown = replace(problem, content=replace(problem.content, n_atoms=None, sequences=()))
    estimated = number_of_atoms(unknown, polished[0])
    assert estimated == pytest.approx(len(crystal.number), abs=3)
    rated = atomic_candidates(unknown, polished[:1], seeded(), AtomSettings(cycles=3))
    numbers = {candidate.atoms.frac.shape[1] for candidate in rated if candidate.atoms}
    assert len(numbers) > 1
    assert min(numbers) <= estimated <= max(numbers)
    r = [candidate.figures.r for candidate in rated]
    assert r == sorted(r)
    assert rated[0].confidence > 0.9


def test_nothing_comes_from_nothing(problem: PhasingProblem) -> None:
    assert atomic_candidates(problem, [], seeded()) == []
    assert with_quick_atoms(problem, [], seeded(), AtomSettings(), math.inf) == []


def test_atoms_are_tried_where_they_are_quick(
    problem: PhasingProblem, polished: list[Candidate], crystal: Any
) -> None:
    assert number_of_atoms(problem, polished[0]) == 15
    assert atoms_are_quick(problem, polished[0])
    assert not atoms_are_quick(problem, polished[0], AtomSettings(max_atoms=14))
    many = replace(problem, content=replace(problem.content, n_atoms=500))
    assert not atoms_are_quick(many, polished[0])
    coarse = phasing_problem(crystal.data.select(crystal.data.d > 2.2), (crystal.sequence,))
    assert not atoms_are_quick(coarse, polished[0])


def test_no_atoms_after_the_deadline(problem: PhasingProblem, polished: list[Candidate]) -> None:
    late = with_quick_atoms(problem, polished, seeded(), AtomSettings(), -math.inf)
    assert late == polished
    in_time = with_quick_atoms(problem, polished, seeded(), AtomSettings(cycles=1), math.inf)
    assert in_time[: len(polished)] == polished
    assert all(one.atoms is not None for one in in_time[len(polished) :])
    assert len(in_time) > len(polished)


def test_convincing_density_at_atomic_resolution_gets_no_atoms(
    problem: PhasingProblem, polished: list[Candidate]
) -> None:
    """The atoms with elements of the solution follow."""
    best, settings = polished[0].confidence, AtomSettings(cycles=1)
    atomic = replace(settings, superfluous_d_min=problem.data.d_min + 0.1)
    assert with_quick_atoms(problem, polished, seeded(), atomic, math.inf, best) == polished
    unconvincing = with_quick_atoms(problem, polished, seeded(), atomic, math.inf, best + 1e-6)
    coarser = with_quick_atoms(problem, polished, seeded(), settings, math.inf, best)
    assert len(unconvincing) > len(polished)
    assert len(coarser) > len(polished)
