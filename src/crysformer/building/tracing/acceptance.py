"""Whether a traced model is right: a logistic regression on its agreement with the data.

The correlation of the model with the whole map is no feature: it is as low for right models in poor
maps as it is for wrong ones in good maps.
"""

from __future__ import annotations

import math

# Fitted by `benchmarks/tracing.py fit` to models of synthetic and measured crystals.
_INTERCEPT, _COEFFICIENTS = -4.227, (2.521, 5.850, -2.693)
_FEW_ATOMS = 15.0  # as a dipeptide has
_MOST = 50.0  # log odds


def features(
    amplitude_correlation: float, least_residue: float, n_atoms: int
) -> tuple[float, float, float]:
    """Features of the regression.

    Parameters
    ----------
    amplitude_correlation
        Correlation of |E| of model and map, which becomes Fisher's z.
    least_residue
        Least correlation of the densities about a residue.
    n_atoms
        Atoms of the model but hydrogens: of few atoms a good part is right by chance, so that
        wrong models have higher correlations.
    """
    z = math.atanh(min(0.999, max(-0.999, amplitude_correlation)))
    return z, least_residue, _FEW_ATOMS / n_atoms


def probability(amplitude_correlation: float, least_residue: float, n_atoms: int) -> float:
    """Probability that the backbone of a model is within 0.5 A of the truth, 0 to 1."""
    x = features(amplitude_correlation, least_residue, n_atoms)
    log_odds = _INTERCEPT + sum(c * value for c, value in zip(_COEFFICIENTS, x, strict=True))
    return 1 / (1 + math.exp(-max(-_MOST, min(_MOST, log_odds))))
