"""Whether a traced model is right: a logistic regression on its agreement with the map."""

from __future__ import annotations

import math

from crysformer.building.tracing.agreement import Agreement

# Placeholder until fitted on the validation split.
_INTERCEPT, _MAP, _AMPLITUDE = -10.0, 10.0, 30.0


def probability(agreement: Agreement) -> float:
    """Probability that a model is right, 0 to 1."""
    x = _INTERCEPT + _MAP * agreement.map_correlation + _AMPLITUDE * agreement.amplitude_correlation
    return 1 / (1 + math.exp(-max(-50.0, min(50.0, x))))
