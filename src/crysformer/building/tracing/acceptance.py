"""Whether a traced model is right: a logistic regression on its agreement with the map."""

from __future__ import annotations

import math

# Fitted by `benchmarks/tracing.py fit` to models of validation and training crystals.
_INTERCEPT, _COEFFICIENTS = -20.55, (25.86, 11.34)
_MOST = 50.0  # log odds


def features(map_correlation: float, amplitude_correlation: float) -> tuple[float, float]:
    """Features of the regression: both correlations of a model, that of |E| as Fisher's z."""
    return map_correlation, math.atanh(min(0.999, max(-0.999, amplitude_correlation)))


def probability(map_correlation: float, amplitude_correlation: float) -> float:
    """Probability that the backbone of a model is within 0.5 A of the truth, 0 to 1."""
    x = features(map_correlation, amplitude_correlation)
    log_odds = _INTERCEPT + sum(c * value for c, value in zip(_COEFFICIENTS, x, strict=True))
    return 1 / (1 + math.exp(-max(-_MOST, min(_MOST, log_odds))))
