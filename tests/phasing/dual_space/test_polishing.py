"""From raw phases to rated candidates of density."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from crysformer.crystal.comparison.compare import SOLVED_COSINE
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.dual_space.charge_flipping import random_phases
from crysformer.phasing.dual_space.polishing import polish_by_density_modification
from crysformer.phasing.merit.confidence import confidence
from crysformer.phasing.merit.figures import DensityFigures
from crysformer.phasing.merit.r_factor import grid_r_factor
from crysformer.phasing.problem import PhasingProblem, phasing_problem

FRACTIONS = torch.tensor([0.2, 0.22, 0.24, 0.26, 0.28])


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
    """Of four random phase sets and the true one, with errors, the third."""
    F = random_phases(problem.grid, 5, seeded())
    F[2] = crystal.start(problem.grid, [10])[0]
    return polish_by_density_modification(problem, "test", F, FRACTIONS, 3, seeded())


def test_candidates_come_best_first(crystal: Any, polished: list[Candidate]) -> None:
    assert len(polished) == 3
    confidences = [candidate.confidence for candidate in polished]
    assert confidences == sorted(confidences, reverse=True)
    assert polished[0].positive_fraction == pytest.approx(float(FRACTIONS[2]))
    cosines = [crystal.compare(candidate.F).cosine2_aligned for candidate in polished]
    assert cosines[0] > SOLVED_COSINE > max(cosines[1:])
    assert {candidate.method for candidate in polished} == {"test"}
    assert all(candidate.atoms is None for candidate in polished)


def test_figures_are_those_of_the_model(problem: PhasingProblem, polished: list[Candidate]) -> None:
    correlations = []
    for candidate in polished:
        figures = candidate.figures
        assert isinstance(figures, DensityFigures)
        r = grid_r_factor(problem.grid, candidate.model[None])
        assert figures.r == pytest.approx(float(r), abs=1e-5)
        assert figures.noise == pytest.approx(0.008, abs=1e-4)
        assert candidate.confidence == confidence(figures)
        torch.testing.assert_close(candidate.F.abs(), problem.grid.amplitude)
        correlations.append(figures.free_correlation)
    assert correlations[0] > correlations[-1] + 0.1
