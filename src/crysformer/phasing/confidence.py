"""From figures of merit to the probability that phases are right."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal

Kind = Literal["density", "atoms"]


def features(kind: Kind, figures: Mapping[str, float]) -> list[float]:
    """What the logistic regression sees: figures of merit on scales where it is nearly linear.

    Parameters
    ----------
    kind
        Whether the candidate is modified density or refined atoms.
    figures
        ``r``, ``free_correlation``, ``noise``, and for atoms ``reflections_per_atom``.
    """
    # errors of measurement add to the misfit in quadrature
    misfit = math.sqrt(max(figures["r"] ** 2 - figures["noise"] ** 2, 1e-4))
    free = math.atanh(min(max(figures["free_correlation"], -0.999), 0.999))
    values = [math.log(misfit), free, figures["noise"]]
    if kind == "atoms":
        values.append(math.log(figures["reflections_per_atom"]))
    return values


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
    return 1 / (1 + math.exp(-min(max(odds, -30.0), 30.0)))


@lru_cache
def _coefficients() -> dict[str, Any]:
    text = files("crysformer.phasing").joinpath("confidence.json").read_text(encoding="utf-8")
    fitted: dict[str, Any] = json.loads(text)
    return fitted
