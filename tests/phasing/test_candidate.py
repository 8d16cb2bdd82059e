"""From raw phases to rated candidates."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from crysformer.crystal.comparison.compare import SOLVED_COSINE
from crysformer.phasing.candidate import (
    Candidate,
    atoms_are_cheap,
    number_of_atoms,
    settle,
    with_atoms,
)
from crysformer.phasing.cell_content import CellContent, cell_content
from crysformer.phasing.dual_space.charge_flipping import grid_r_factor, random_phases
from crysformer.phasing.merit.confidence import confidence
from crysformer.phasing.problem import PhaseProblem, phase_problem
from crysformer.phasing.solver import SOLVED


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def crystal(dipeptide: Callable[..., Any]) -> Any:
    return dipeptide(3)


@pytest.fixture(scope="module")
def problem(crystal: Any) -> PhaseProblem:
    return phase_problem(crystal.data)


@pytest.fixture(scope="module")
def content(crystal: Any) -> CellContent:
    return cell_content(crystal.data, (crystal.sequence,))


SHARES = torch.tensor([0.2, 0.22, 0.24, 0.26, 0.28])


@pytest.fixture(scope="module")
def settled(crystal: Any, problem: PhaseProblem, content: CellContent) -> list[Candidate]:
    """Of four random phase sets and the true one, with errors, the third."""
    F = random_phases(problem, 5, seeded())
    F[2] = crystal.start(problem, [10])[0]
    return settle(problem, content, "test", F, SHARES, 3, seeded())


def test_settled_candidates_come_best_first(crystal: Any, settled: list[Candidate]) -> None:
    assert len(settled) == 3
    confidences = [candidate.confidence for candidate in settled]
    assert confidences == sorted(confidences, reverse=True)
    assert settled[0].positive_fraction == pytest.approx(float(SHARES[2]))
    cosines = [crystal.compare(candidate.F).cosine2_aligned for candidate in settled]
    assert cosines[0] > SOLVED_COSINE > max(cosines[1:])
    assert {candidate.method for candidate in settled} == {"test"}
    assert all(candidate.atoms is None for candidate in settled)


def test_figures_are_those_of_the_model(problem: PhaseProblem, settled: list[Candidate]) -> None:
    for candidate in settled:
        r = grid_r_factor(problem, candidate.model[None])
        assert candidate.figures["r"] == pytest.approx(float(r), abs=1e-5)
        assert candidate.figures["noise"] == pytest.approx(0.008, abs=1e-4)
        assert candidate.confidence == confidence("density", candidate.figures)
        torch.testing.assert_close(candidate.F.abs(), problem.amplitude)
    assert settled[0].figures["free_correlation"] > settled[-1].figures["free_correlation"] + 0.1


def test_atoms_make_a_right_candidate_certain(
    crystal: Any, problem: PhaseProblem, content: CellContent, settled: list[Candidate]
) -> None:
    rated = with_atoms(problem, content, settled, seeded())
    r = [candidate.figures["r"] for candidate in rated]
    assert r == sorted(r)
    assert all(later - earlier > 1e-3 for earlier, later in itertools.pairwise(r))
    best = rated[0]
    assert best.confidence > 0.98
    assert best.figures["r"] < 0.04
    n_atoms = len(crystal.number) + 1  # and the OXT that the sequence promises
    expected = len(crystal.data) / n_atoms
    assert best.figures["reflections_per_atom"] == pytest.approx(expected)
    comparison = crystal.compare(best.F)
    assert comparison.mean_aligned < 8
    torch.testing.assert_close(best.F.abs(), problem.amplitude)
    assert best.atoms is not None
    assert best.atoms.frac.shape == (1, n_atoms, 3)
    assert float(grid_r_factor(problem, best.model[None])) == pytest.approx(r[0], abs=1e-4)


def test_atoms_of_wrong_phases_are_not_called_solved(
    crystal: Any, problem: PhaseProblem, content: CellContent
) -> None:
    candidates = settle(
        problem, content, "test", random_phases(problem, 4, seeded(6)), SHARES[:4], 4, seeded()
    )
    rated = with_atoms(problem, content, candidates, seeded(), cycles=2)
    wrong = [one for one in rated if crystal.compare(one.F).cosine2_aligned < 0.8]
    assert wrong
    assert max(one.confidence for one in wrong) < SOLVED


def test_atoms_without_a_sequence(
    crystal: Any, problem: PhaseProblem, content: CellContent, settled: list[Candidate]
) -> None:
    unknown = replace(content, n_atoms=None, sequences=())
    estimated = number_of_atoms(problem, unknown, settled[0])
    assert estimated == pytest.approx(len(crystal.number), abs=3)
    rated = with_atoms(problem, unknown, settled[:1], seeded(), cycles=3)
    numbers = {candidate.atoms.frac.shape[1] for candidate in rated if candidate.atoms}
    assert len(numbers) > 1
    assert min(numbers) <= estimated <= max(numbers)
    r = [candidate.figures["r"] for candidate in rated]
    assert r == sorted(r)
    assert rated[0].confidence > 0.9


def test_nothing_comes_from_nothing(problem: PhaseProblem, content: CellContent) -> None:
    assert with_atoms(problem, content, [], seeded()) == []


def test_atoms_are_tried_where_they_are_cheap(
    problem: PhaseProblem, content: CellContent, settled: list[Candidate], crystal: Any
) -> None:
    assert number_of_atoms(problem, content, settled[0]) == 15
    assert atoms_are_cheap(problem, content, settled[0])
    assert not atoms_are_cheap(problem, replace(content, n_atoms=500), settled[0])
    coarse = phase_problem(crystal.data.select(crystal.data.d > 2.2))
    assert not atoms_are_cheap(coarse, content, settled[0])
