"""Bounds and calibration errors with known answers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from crysformer.evaluation.calibration import reliability, upper_bound


def test_upper_bound_of_no_event_has_a_closed_form() -> None:
    for n in (1, 30, 300):
        assert upper_bound(0, n) == pytest.approx(1 - 0.05 ** (1 / n))
    assert upper_bound(0, 300) == pytest.approx(3 / 300, rel=0.01)  # the rule of three
    assert upper_bound(0, 0) == upper_bound(7, 7) == 1.0


@pytest.mark.parametrize(("events", "n"), [(1, 20), (3, 300), (150, 300)])
def test_upper_bound_leaves_five_per_cent_below(events: int, n: int) -> None:
    assert binom.cdf(events, n, upper_bound(events, n)) == pytest.approx(0.05)


def test_impossible_counts() -> None:
    with pytest.raises(ValueError, match="4 events in 3 trials"):
        upper_bound(4, 3)


def test_perfect_and_worst_calibration() -> None:
    truth = np.array([0, 1, 1, 0, 1])
    perfect = reliability(truth.astype(float), truth)
    assert perfect.ece == perfect.brier == 0
    assert [b.n for b in perfect.bins] == [2, 3]
    assert perfect.bins[-1].high == 1.0
    worst = reliability(1.0 - truth, truth)
    assert worst.ece == worst.brier == 1


def test_error_of_one_bin_and_of_several() -> None:
    one = reliability([0.85] * 10, [1] * 6 + [0] * 4)
    assert one.ece == pytest.approx(0.25)
    assert one.bins[0].solved == pytest.approx(0.6)
    # 4 results off by 0.05 and 6 by 0.25: weighted by their numbers
    two = reliability([0.05] * 4 + [0.75] * 6, [0] * 4 + [1] * 3 + [0] * 3)
    assert two.ece == pytest.approx((4 * 0.05 + 6 * 0.25) / 10)
    assert two.brier == pytest.approx((4 * 0.05**2 + 3 * 0.25**2 + 3 * 0.75**2) / 10)


def test_calibrated_confidences_have_a_small_error() -> None:
    rng = np.random.default_rng(0)
    p = rng.uniform(size=20_000)
    assert reliability(p, rng.uniform(size=len(p)) < p).ece < 0.015
    assert reliability(p, rng.uniform(size=len(p)) < p**2).ece == pytest.approx(1 / 6, abs=0.02)


@pytest.mark.parametrize(("p", "y"), [([], []), ([0.5], [1, 0]), ([1.2], [1]), ([-0.1], [0])])
def test_results_that_are_none(p: list[float], y: list[int]) -> None:
    with pytest.raises(ValueError, match="from 0 to 1"):
        reliability(p, y)
