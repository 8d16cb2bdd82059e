"""Whether a traced model is right: a logistic regression on its agreement with the map."""

from __future__ import annotations

import math

# Placeholder until fitted on the validation split.
_INTERCEPT, _COEFFICIENTS = -10.0, (10.0, 10.0, 0.0, 0.0)


def features(
    map_correlation: float,
    amplitude_correlation: float,
    least_residue: float,
    reflections_per_atom: float,
) -> tuple[float, ...]:
    """Features of the regression."""
    return (
        map_correlation,
        math.atanh(min(0.999, max(-0.999, amplitude_correlation))),
        least_residue,
        math.log(reflections_per_atom),
    )


def probability(*figures: float) -> float:
    """Probability that a model is right, 0 to 1; arguments as those of `features`."""
    log_odds = _INTERCEPT + sum(
        c * x for c, x in zip(_COEFFICIENTS, features(*figures), strict=True)
    )
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, log_odds))))
