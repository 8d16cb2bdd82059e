"""Whether a traced model is right: a logistic regression on its agreement with the data.

The correlation of the model with the whole map is no feature: it is as low for right models in poor
maps as it is for wrong ones in good maps.
"""

from __future__ import annotations

import math

# Fitted by `benchmarks/tracing.py fit` to models of validation and training crystals.
_INTERCEPT, _COEFFICIENTS = -6.481, (3.787, 3.430)
_MOST = 50.0  # log odds


def features(amplitude_correlation: float, least_residue: float) -> tuple[float, float]:
    """Features of the regression.

    Parameters
    ----------
    amplitude_correlation
        Correlation of |E| of model and map, which becomes Fisher's z.
    least_residue
        Least correlation of the densities about a residue.
    """
    return math.atanh(min(0.999, max(-0.999, amplitude_correlation))), least_residue


def probability(amplitude_correlation: float, least_residue: float) -> float:
    """Probability that the backbone of a model is within 0.5 A of the truth, 0 to 1."""
    x = features(amplitude_correlation, least_residue)
    log_odds = _INTERCEPT + sum(c * value for c, value in zip(_COEFFICIENTS, x, strict=True))
    return 1 / (1 + math.exp(-max(-_MOST, min(_MOST, log_odds))))
