"""Logistic regression of small tables, for confidences fitted to results with known answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

_RIDGE = 1e-2
_BOUNDS = {-1: (None, 0.0), 0: (None, None), 1: (0.0, None)}


@dataclass(frozen=True)
class LogisticFit:
    """Logistic regression: the log odds are intercept + x @ coefficients.

    Attributes
    ----------
    intercept
        Log odds at x = 0.
    coefficients
        Change of the log odds with each feature, k of them.
    """

    intercept: float
    coefficients: tuple[float, ...]

    def probability(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities, shape (n,), of rows of features, shape (n, k)."""
        odds = self.intercept + x @ np.array(self.coefficients)
        return np.asarray(expit(np.clip(odds, -30, 30)))


def fit_logistic(
    x: NDArray[np.float64], y: NDArray[np.float64], signs: tuple[int, ...] = ()
) -> LogisticFit:
    """Fit a logistic regression with a ridge penalty on the standardised coefficients.

    Parameters
    ----------
    x
        Features, shape (n, k).
    y
        Outcomes, 0 or 1, shape (n,).
    signs
        Sign of each coefficient, -1 or 1, 0 where it is free; by default all are free.
    """
    mean, spread = x.mean(0), x.std(0) + 1e-9
    z = np.column_stack([np.ones(len(x)), (x - mean) / spread])

    def loss(w: NDArray[np.float64]) -> float:
        odds = z @ w
        return float(np.mean(np.logaddexp(0, odds) - y * odds) + _RIDGE / len(x) * w[1:] @ w[1:])

    bounds = [(None, None), *(_BOUNDS[sign] for sign in signs)] if signs else None
    w = minimize(loss, np.zeros(z.shape[1]), method="L-BFGS-B", bounds=bounds).x
    coefficients = w[1:] / spread
    return LogisticFit(float(w[0] - coefficients @ mean), tuple(coefficients.tolist()))


def cross_validated(
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    half: NDArray[np.int64],
    signs: tuple[int, ...] = (),
) -> NDArray[np.float64]:
    """Probabilities of each half of the rows from a fit to the other half, shape (n,).

    Parameters
    ----------
    x, y, signs
        As `fit_logistic`.
    half
        0 or 1 for each row, shape (n,).
    """
    p = np.empty(len(y))
    for part in (0, 1):
        fit = fit_logistic(x[half != part], y[half != part], signs)
        p[half == part] = fit.probability(x[half == part])
    return p
