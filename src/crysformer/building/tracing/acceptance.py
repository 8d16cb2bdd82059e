"""Whether a traced model is right: a logistic regression on its agreement with the map."""

from __future__ import annotations

import math

# Fitted by `benchmarks/tracing.py fit` to models of validation and training crystals.
_INTERCEPT, _COEFFICIENTS = -20.55, (25.86, 11.34, 0.0)
_MOST = 50.0  # log odds


def features(
    map_correlation: float, amplitude_correlation: float, least_residue: float
) -> tuple[float, float, float]:
    """Features of the regression: correlations of a model, that of |E| as Fisher's z.

    Parameters
    ----------
    map_correlation, amplitude_correlation
        Of the densities over the cell, and of |E|.
    least_residue
        Least correlation of the densities about a residue.
    """
    z = math.atanh(min(0.999, max(-0.999, amplitude_correlation)))
    return map_correlation, z, least_residue


def probability(
    map_correlation: float, amplitude_correlation: float, least_residue: float
) -> float:
    """Probability that the backbone of a model is within 0.5 A of the truth, 0 to 1."""
    x = features(map_correlation, amplitude_correlation, least_residue)
    log_odds = _INTERCEPT + sum(c * value for c, value in zip(_COEFFICIENTS, x, strict=True))
    return 1 / (1 + math.exp(-max(-_MOST, min(_MOST, log_odds))))
