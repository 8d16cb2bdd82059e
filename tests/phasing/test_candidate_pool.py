"""What the pool keeps, in which order, and when it is convinced."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from crysformer.phasing.candidate import Candidate
from crysformer.phasing.candidate_pool import CandidatePool, PoolSettings
from crysformer.phasing.merit.confidence import confidence, features
from crysformer.phasing.merit.figures import DensityFigures


def figures(wanted: float, r: float) -> DensityFigures:
    """Figures with this R factor that amount to a wanted confidence."""
    # the log odds rise with the log of the last figure: two points give its coefficient
    plain = DensityFigures(r=r, free_correlation=0.0, noise=0.0, reflections_per_volume=1.0)
    low, high = (
        math.log(c / (1 - c))
        for c in (confidence(plain), confidence(replace(plain, reflections_per_volume=math.e)))
    )
    odds = math.log(wanted / (1 - wanted))
    found = replace(plain, reflections_per_volume=math.exp((odds - low) / (high - low)))
    assert features(found)[0] == pytest.approx(math.log(r))
    return found


def candidate(wanted: float, r: float = 0.3, atoms: bool = False) -> Candidate:
    return Candidate(
        method="test",
        F=torch.zeros(1),
        model=torch.zeros(1),
        figures=figures(wanted, r),
        positive_fraction=0.2,
        atoms=object() if atoms else None,  # type: ignore[arg-type]
    )


def test_the_best_are_kept_in_order() -> None:
    pool = CandidatePool()
    assert pool.best is None
    assert not pool.convinced
    many = [candidate(0.05 * i) for i in range(1, 13)]
    pool.add(many[::2])
    pool.add(many[1::2])
    assert list(pool.candidates) == many[:3:-1]
    # as good as equal: atoms before density, then the lower R
    near = [candidate(0.991, 0.02), candidate(0.990, 0.05, True), candidate(0.989, 0.03, True)]
    pool.add(near)
    assert list(pool.candidates[:3]) == [near[2], near[1], near[0]]


def test_how_many_are_kept_is_a_setting() -> None:
    pool = CandidatePool(PoolSettings(kept=2))
    pool.add([candidate(0.1), candidate(0.3), candidate(0.2)])
    assert [round(one.confidence, 3) for one in pool.candidates] == [0.3, 0.2]


def test_convinced_is_a_threshold_on_the_best() -> None:
    pool = CandidatePool(PoolSettings(convinced=0.9))
    pool.add([candidate(0.89)])
    assert not pool.convinced
    pool.add([candidate(0.91)])
    assert pool.convinced


def test_a_candidate_inconsistent_with_the_space_group_does_not_convince() -> None:
    asked: list[Candidate] = []

    def symmetry(one: Candidate) -> float:
        asked.append(one)
        return 0.25

    pool = CandidatePool(symmetry=symmetry)
    plain, unpromising = candidate(0.99), candidate(0.4)
    pool.add([plain, unpromising])
    assert asked == [plain]  # unpromising ones cost nothing
    assert [one.confidence for one in pool.candidates] == pytest.approx([0.4, 0.99 * 0.25])
    assert not pool.convinced
    pool.add([replace(plain, symmetry=1.0)])  # looked at before
    assert len(asked) == 1
    assert pool.convinced


def test_only_the_first_of_several_is_placed_when_the_time_is_up() -> None:
    placed: list[float] = []
    clock = iter([False, False, True, True])

    def symmetry(one: Candidate) -> float:
        placed.append(round(one.confidence, 2))
        return 1.0

    pool = CandidatePool(symmetry=symmetry, late=lambda: next(clock))
    some = [candidate(x) for x in (0.7, 0.9, 0.2, 0.8)]
    pool.add(some)  # in time
    assert placed == [0.9, 0.8, 0.7]
    assert len(pool.candidates) == 4
    pool.add([candidate(0.75), candidate(0.95), candidate(0.85), candidate(0.1)])
    assert placed == [0.9, 0.8, 0.7, 0.95]
    kept = [round(one.confidence, 2) for one in pool.candidates]
    # what nobody looked at could be claimed wrongly; what is unlikely is kept as ever
    assert kept == [0.95, 0.9, 0.8, 0.7, 0.2, 0.1]
