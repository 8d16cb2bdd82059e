"""Plain names and usual ranges of the figures, and the verdict in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Figure of a candidate: name, what it is, and the range of right solutions.
FIGURES: Mapping[str, tuple[str, str, str]] = {
    "r": (
        "R factor",
        "misfit of calculated to measured amplitudes",
        "below 0.20 for a model or refined atoms; density fits to 0.2 also where it is wrong",
    ),
    "free_correlation": (
        "free correlation",
        "correlation of amplitudes that were held out of the density modification",
        "above 0.5; near 0 for wrong phases",
    ),
    "noise": (
        "R of noise",
        "R factor that a perfect model would have, from the uncertainties",
        "the lower limit of R",
    ),
    "reflections_per_volume": (
        "reflections per volume",
        "measured reflections to cell volume, 1/A^3",
        "1.5 A data: 0.6",
    ),
    "reflections_per_atom": (
        "reflections per atom",
        "independent measurements to atoms in the cell",
        "above 5",
    ),
    "correlation": (
        "correlation",
        "of measured and calculated amplitudes in the search",
        "above 0.7",
    ),
    "overlap": ("overlap", "penalty for atoms that are too close", "below 1.5"),
    "log_likelihood_gain": (
        "likelihood gain",
        "log likelihood over the best model with other phases, for each reflection",
        "above 0.3",
    ),
    "z_free_correlation": (
        "free correlation / sigma",
        "correlation of amplitudes held out of the search, in standard deviations",
        "above 4",
    ),
    "reflections_per_parameter": (
        "data per parameter",
        "measured reflections to refined parameters",
        "above 3",
    ),
}

#: Figure of a refined model: likewise. The ranges are of docs/building.md, measured peptides; atoms
#: at random have 0.59 in a non-centrosymmetric crystal (Wilson, Acta Cryst. 3, 397, 1950).
MODEL_FIGURES: Mapping[str, tuple[str, str, str]] = {
    "r_work": (
        "R-work",
        "misfit of the refined model to the amplitudes that it was refined against",
        "0.05 to 0.21 for peptides at 0.85 to 1.8 A; 0.59 for random atoms",
    ),
    "r_free": (
        "R-free",
        "the same for reflections that refinement left out",
        "0.06 to 0.28, not far above R-work",
    ),
}


def verdict(summary: Mapping[str, Any]) -> tuple[str, str]:
    """Put the verdict in words.

    Returns
    -------
    (headline, text)
        The answer, and what it means.
    """
    confidence = float(summary["confidence"])
    if summary["solved"]:
        refuted = (summary.get("sequence") or {}).get("supported") is False
        return "Solved, but not with this sequence" if refuted else "Solved", (
            f"Confidence {confidence:.2f}: the probability that the phases are right, judged by "
            "figures that do not need to know them. A solution is claimed from 0.90 on."
        )
    if confidence >= 0.5:
        return "Not solved, with a promising candidate", (
            f"Confidence {confidence:.2f}, below the 0.90 from which a solution is claimed. The "
            "density may be right: look for connected chains and sensible geometry, and give the "
            "search more time."
        )
    return "Not solved", (
        f"Confidence {confidence:.2f}. What is shown is the best candidate, and most probably "
        "wrong: do not interpret its density."
    )


def not_checked(summary: Mapping[str, Any]) -> str:
    """Say that the given sequence of a solved crystal was not compared; empty if it was."""
    support = summary.get("sequence") or {}
    given = (summary.get("input") or {}).get("sequence")
    if not (summary.get("solved") and given) or support.get("probability") is not None:
        return ""
    why = f" ({support['note']})" if support.get("note") else ""
    text = f"not checked{why}: that the phases are solved says nothing about it"
    if summary.get("atoms"):
        text += "; the elements in atoms.res follow its composition"
    return text


def hand(summary: Mapping[str, Any]) -> str:
    """Say how certain the hand is; empty where it has no meaning."""
    probability = summary.get("hand_probability")
    if probability is None:
        return ""
    if probability >= 0.95:
        return f"The hand is as shown (probability {probability:.2f})."
    if probability <= 0.55:
        return "The hand is not determined: the mirror image fits as well."
    return f"The hand is probably as shown ({probability:.2f}); compare with the mirror image."
