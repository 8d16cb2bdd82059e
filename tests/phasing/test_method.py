"""Every method of the registry keeps the contract of the interface."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gemmi
import pytest
import torch

from crysformer.errors import NotApplicable, UsageError
from crysformer.evaluation.methods import METHODS as MEASURED
from crysformer.phasing.budget import Budget, method_generator
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.cell_content import CellContent
from crysformer.phasing.fragments.applicability import FragmentChoiceSettings
from crysformer.phasing.fragments.rescoring import RescoringSettings
from crysformer.phasing.fragments.settings import FragmentSettings
from crysformer.phasing.fragments.strand_placement import StrandSettings
from crysformer.phasing.method import AUTO, METHODS, check_method, method_class
from crysformer.phasing.problem import PhasingProblem, phasing_problem
from crysformer.phasing.random_starts.method import (
    ChargeFlippingSettings,
    RaarSettings,
    RandomStartSettings,
)
from crysformer.phasing.refinement.flexible_fragments import FlexibleSettings
from crysformer.phasing.sequence_search.settings import SequenceSettings
from crysformer.phasing.settings import SolveSettings

SETTINGS = SolveSettings(
    random_starts=RandomStartSettings(first_starts=4, max_starts=4),
    sequence=SequenceSettings(small_screened=500, small_starts=50, population=10),
    fragments=FragmentSettings(
        choice=FragmentChoiceSettings(ladders=2),
        strands=StrandSettings(poses=4),
        rescoring=RescoringSettings(flexible=FlexibleSettings(steps=3)),
    ),
)


@pytest.fixture(scope="module")
def problem(dipeptide: Callable[..., Any]) -> PhasingProblem:
    crystal = dipeptide(0)
    return phasing_problem(crystal.data, (crystal.sequence,))


@pytest.fixture(scope="module")
def atomic_problem(sulphurs: tuple[Any, ...]) -> PhasingProblem:
    """A crystal at 1.1 A with sulphurs, and room for a strand."""
    content = CellContent(60, 6.0, ("ACMCAAAA",), 1, ())
    return replace(phasing_problem(sulphurs[0]), content=content)


def problem_for(name: str, request: pytest.FixtureRequest) -> PhasingProblem:
    atomic = name in ("sulphurs", "fragments")
    found: PhasingProblem = request.getfixturevalue("atomic_problem" if atomic else "problem")
    return found


def budget(name: str, seconds: float = 1.0, seed: int = 0) -> Budget:
    now = time.monotonic()
    return Budget(now + seconds, now + 60.0, method_generator(seed, name))


@pytest.mark.parametrize("name", METHODS)
def test_a_turn_gives_candidates_of_the_method(name: str, request: pytest.FixtureRequest) -> None:
    problem = problem_for(name, request)
    method = method_class(name)(problem, SETTINGS)
    assert method.name == name
    assert method.unit
    assert method.slow == ""
    assert (method.tried, method.turns, method.finished) == (0, 0, False)
    found = method.advance(budget(name))
    assert method.tried > 0
    assert method.turns == 1
    assert found
    for candidate in found:
        assert isinstance(candidate, Candidate)
        assert candidate.method == name
        assert candidate.F.shape == candidate.model.shape == problem.grid.amplitude.shape
        torch.testing.assert_close(candidate.F.abs(), problem.grid.amplitude)
        assert 0 <= candidate.confidence <= 1
        assert math.isfinite(candidate.figures.r)
    other = method_class(name)(problem, SETTINGS)
    other.restore(json.loads(json.dumps(method.state())))
    assert other.state() == method.state()


@pytest.mark.parametrize("name", METHODS)
def test_a_method_draws_from_its_own_generator_alone(
    name: str, request: pytest.FixtureRequest
) -> None:
    if name == "sequence":
        pytest.skip("the generations of a turn depend on the clock")
    problem = problem_for(name, request)
    results = []
    for seed in (1, 1):
        torch.manual_seed(len(results))  # the global generator is not to matter
        method = method_class(name)(problem, SETTINGS)
        results.append([c.figures for c in method.advance(budget(name, 20.0, seed))])
    assert results[0] == results[1]


@pytest.mark.parametrize("name", ["raar", "charge-flipping"])
def test_a_batch_ends_with_its_turn(name: str, problem: PhasingProblem) -> None:
    long = SolveSettings(
        raar=RaarSettings(iterations=100_000),
        charge_flipping=ChargeFlippingSettings(iterations=100_000),
        random_starts=RandomStartSettings(max_iterations=100_000, first_starts=4),
    )
    begun = time.monotonic()
    assert method_class(name)(problem, long).advance(budget(name, seconds=0.2))
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize("name", METHODS)
def test_constructors_refuse_in_words(name: str, problem: PhasingProblem) -> None:
    centrosymmetric = replace(problem.data, space_group=gemmi.SpaceGroup("P -1"))
    other = phasing_problem(centrosymmetric)  # and without a sequence
    build = method_class(name)
    if name not in ("sulphurs", "fragments", "sequence", "network"):
        build(other, SETTINGS)
    else:
        with pytest.raises(NotApplicable) as refusal:
            build(other, SETTINGS)
        assert str(refusal.value)
        assert "\n" not in str(refusal.value)


def test_random_numbers_of_methods_differ_and_repeat() -> None:
    draws = [torch.rand(4, generator=method_generator(3, name)).tolist() for name in METHODS]
    assert len({tuple(d) for d in draws}) == len(METHODS)
    again = [torch.rand(4, generator=method_generator(3, name)).tolist() for name in METHODS]
    assert draws == again
    other = torch.rand(4, generator=method_generator(4, "raar")).tolist()
    assert other not in draws


def test_every_method_can_be_measured() -> None:
    assert {"solve", "network-search", *METHODS} <= set(MEASURED)


def test_unknown_names_are_refused_with_those_that_there_are() -> None:
    check_method(AUTO)
    with pytest.raises(UsageError, match="'magic': expected one of auto, charge-flipping") as error:
        check_method("magic")
    assert all(name in str(error.value) for name in METHODS)
