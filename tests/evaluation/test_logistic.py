"""Logistic regression: known coefficients come back, signs hold, halves do not see themselves."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from crysformer.evaluation.logistic import LogisticFit, cross_validated, fit_logistic


def sample(n: int = 20000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 2)) * [1.0, 5.0] + [3.0, -1.0]
    y = rng.random(n) < expit(-2.0 + 1.5 * x[:, 0] - 0.3 * x[:, 1])
    return x, y.astype(float)


def test_the_coefficients_of_a_known_model_come_back() -> None:
    fit = fit_logistic(*sample())
    assert fit.intercept == pytest.approx(-2.0, abs=0.15)
    assert fit.coefficients == pytest.approx((1.5, -0.3), abs=0.05)


def test_a_coefficient_of_the_wrong_sign_is_zero() -> None:
    fit = fit_logistic(*sample(), signs=(0, 1))
    assert fit.coefficients[1] == pytest.approx(0.0, abs=1e-9)
    assert fit.coefficients[0] > 1


def test_probabilities_stay_below_one() -> None:
    p = LogisticFit(0.0, (1.0,)).probability(np.array([[-1e6], [0.0], [1e6]]))
    assert p[1] == 0.5
    assert 0 < p[0] < 1e-12
    assert 1 - 1e-12 < p[2] < 1


def test_each_half_is_predicted_by_the_other() -> None:
    x, y = sample(400)
    half = np.arange(400) % 2
    p = cross_validated(x, y, half)
    other = fit_logistic(x[half == 1], y[half == 1])
    assert np.array_equal(p[half == 0], other.probability(x[half == 0]))
    flipped = np.where(half == 0, 1 - y, y)
    assert np.array_equal(cross_validated(x, flipped, half)[half == 0], p[half == 0])
