"""Probability that phases are right, from figures of merit and from symmetry."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal

from scipy.special import expit

from crysformer.phasing.merit.figures import AtomFigures, Figures, SequenceFigures

# Agreement of symmetry mates below which a solution counts as wrong, or so far above that of random
# phases, and the width over which its factor rises to one. Assumed, not fitted.
_LOW_AGREEMENT, _ABOVE_RANDOM, _RISE = 0.35, 0.15, 0.15

_MIN_R = 0.05  # of peptide models: a smaller R factor adds no confidence
# Parameters that each torsion, rotation and translation of a chain counts as, by cross-validation:
# refined coordinates are freer than those.
_PARAMETERS_PER_DEGREE_OF_FREEDOM = 2.4
_GAIN_RANGE = (-0.5, 1.0)  # of the log-likelihood gain for each reflection
_PARAMETERS_PER_ATOM = 4  # position and occupancy
_MIN_FREEDOM = 0.02  # fraction of the reflections that parameters leave over

Kind = Literal["density", "atoms", "sequence"]


def kind_of(figures: Figures) -> Kind:
    """Name of the regression that applies to these figures."""
    if isinstance(figures, SequenceFigures):
        return "sequence"
    return "atoms" if isinstance(figures, AtomFigures) else "density"


def features(figures: Figures) -> tuple[float, ...]:
    """Input of the logistic regression.

    For modified density: log R, the Fisher transform of the free correlation, and the log of
    reflections to volume. For refined atoms: R, whose logarithm would overrate the very low ones
    of few reflections; the same transform; the log of reflections to atoms; and the R that a
    perfect model would have. For a peptide model: log R, corrected for what so many parameters fit
    in any case, and the log-likelihood gain, both times the fraction of the reflections that
    parameters leave over, because wrong models fit a few reflections as well; the held-out
    correlation; 1 if there was no other model to compare with, else 0; and that fraction.
    """
    if isinstance(figures, SequenceFigures):
        return _sequence_features(figures)
    free = math.atanh(min(max(figures.free_correlation, -0.999), 0.999))
    if isinstance(figures, AtomFigures):
        return figures.r, free, math.log(figures.reflections_per_atom), figures.noise
    return math.log(max(figures.r, 1e-3)), free, math.log(figures.reflections_per_volume)


def corrected_r(figures: Figures) -> float:
    """R factor divided by the root of the fraction of reflections that parameters leave over.

    For modified density, whose parameters nobody can count, R itself.
    """
    if isinstance(figures, SequenceFigures):
        return figures.r / math.sqrt(_freedom(figures))
    if isinstance(figures, AtomFigures):
        freedom = 1 - _PARAMETERS_PER_ATOM / figures.reflections_per_atom
        return figures.r / math.sqrt(max(freedom, _MIN_FREEDOM))
    return figures.r


def _freedom(figures: SequenceFigures) -> float:
    parameters = _PARAMETERS_PER_DEGREE_OF_FREEDOM / figures.reflections_per_parameter
    return max(1 - parameters, _MIN_FREEDOM)


def _sequence_features(figures: SequenceFigures) -> tuple[float, ...]:
    freedom = _freedom(figures)
    r = corrected_r(replace(figures, r=max(figures.r, _MIN_R)))
    low, high = _GAIN_RANGE
    gain = figures.log_likelihood_gain
    return (
        freedom * math.log(r),
        freedom * min(max(gain, low), high),
        figures.z_free_correlation,
        float(gain == 0.0),
        freedom,
    )


def confidence(figures: Figures, symmetry: float | None = None) -> float:
    """Probability, 0 to 1, that the phases of a candidate are right.

    A logistic regression whose coefficients were fitted to runs on crystals with known answer
    (`benchmarks/calibrate_confidence.py`), random and unsolvable ones among them, times what the
    symmetry of the phases leaves of it.

    Parameters
    ----------
    figures
        Of the candidate.
    symmetry
        `symmetry_factor`, if symmetry was looked at.
    """
    fitted = _coefficients()[kind_of(figures)]
    odds = fitted["intercept"] + sum(
        c * x for c, x in zip(fitted["coefficients"], features(figures), strict=True)
    )
    factor = 1.0 if symmetry is None else symmetry
    return factor * float(expit(min(max(odds, -30.0), 30.0)))


def symmetry_factor(agreement: float, random_agreement: float) -> float:
    """Fraction of the confidence that the symmetry of a solution found in P1 leaves, 0 to 1.

    A right solution is consistent with the crystal's space group, which its search did not know:
    phases with 35 degrees of error agree after symmetry to about 0.5, wrong ones hardly more than
    random ones (0.02 to 0.2, the fewer reflections the more).

    Parameters
    ----------
    agreement
        F^2-weighted mean cosine of the phase differences between symmetry mates.
    random_agreement
        What random phases reach with the same reflections.
    """
    low = max(_LOW_AGREEMENT, random_agreement + _ABOVE_RANDOM)
    return min(max((agreement - low) / _RISE, 0.0), 1.0)


@lru_cache
def _coefficients() -> dict[str, Any]:
    text = files("crysformer.phasing.merit").joinpath("confidence.json").read_text("utf-8")
    fitted: dict[str, Any] = json.loads(text)
    return fitted
