"""From figures of merit to the probability that phases are right."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal

from scipy.special import expit

_LOW_AGREEMENT, _ABOVE_RANDOM, _RISE = 0.35, 0.15, 0.15

# Of peptide models: R below this says no more; each torsion, turn and shift counts as so many
# parameters, since refined coordinates are freer than they are (by cross-validation); gaps beyond
# these say no more.
_LEAST_R, _PARAMETERS, _GAPS = 0.05, 2.4, (-0.5, 1.0)

_ATOM_PARAMETERS = 4  # place and occupancy

Kind = Literal["density", "atoms", "sequence"]


def features(kind: Kind, figures: Mapping[str, float]) -> tuple[float, ...]:
    """What the logistic regression sees.

    Of modified density log R, the Fisher transform of the free correlation, and the log of
    reflections to a volume. Of refined atoms the same with reflections to an atom, and R corrected
    for what so many parameters fit anyway. Of a peptide model: log R, corrected likewise, and
    the gap in likelihood to the next best solution, both times the share of the reflections that
    parameters leave over, for wrong models fit a few reflections as well; how well reflections held
    out of the search are predicted; whether there was no other solution to have a gap to; and that
    share.

    Parameters
    ----------
    kind
        Of the candidate.
    figures
        ``r``, ``free_correlation``, and ``reflections_per_volume`` or ``reflections_per_atom``;
        or ``r``, ``reflections_per_parameter``, ``gap`` and ``free_z``.
    """
    if kind == "sequence":
        freedom = max(1 - _PARAMETERS / figures["reflections_per_parameter"], 0.02)
        r = max(figures["r"], _LEAST_R) / math.sqrt(freedom)
        low, high = _GAPS
        gap = figures["gap"]
        gain = min(max(gap, low), high)
        alone = float(gap == 0.0)
        return freedom * math.log(r), freedom * gain, figures["free_z"], alone, freedom
    r, free = max(figures["r"], 1e-3), _fisher(figures["free_correlation"])
    if kind == "density":
        return math.log(r), free, math.log(figures["reflections_per_volume"])
    per_atom = figures["reflections_per_atom"]
    r /= math.sqrt(max(1 - _ATOM_PARAMETERS / per_atom, 0.02))
    return math.log(r), free, math.log(per_atom)


def _fisher(correlation: float) -> float:
    return math.atanh(min(max(correlation, -0.999), 0.999))


def confidence(kind: Kind, figures: Mapping[str, float]) -> float:
    """Probability, 0 to 1, that a candidate with these figures is solved.

    A logistic regression whose coefficients were fitted to runs on crystals with known answer
    (`benchmarks/calibrate_confidence.py`), random and unsolvable ones among them.
    """
    fitted = _coefficients()[kind]
    values = features(kind, figures)
    odds = fitted["intercept"] + sum(
        c * x for c, x in zip(fitted["coefficients"], values, strict=True)
    )
    return float(expit(min(max(odds, -30.0), 30.0)))


def symmetry_factor(agreement: float, random_agreement: float) -> float:
    """What the symmetry of a solution found in P1 leaves of its confidence, 0 to 1.

    A right solution obeys the crystal's space group, which its search did not know: phases with
    35 degrees of error agree after symmetry to about 0.5, wrong ones hardly more than random ones
    (0.02 to 0.2, the fewer reflections the more). The limits between which the factor rises are
    assumptions, not fitted.

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
    text = files("crysformer.phasing.merit").joinpath("confidence.json").read_text(encoding="utf-8")
    fitted: dict[str, Any] = json.loads(text)
    return fitted
