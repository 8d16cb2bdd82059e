"""Plain names and usual ranges of the figures, and the verdict in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from crysformer.wording import UNDETERMINED

#: Figure of a candidate: name, and what it is.
FIGURES: Mapping[str, tuple[str, str]] = {
    "r": ("R factor", "misfit of calculated to measured amplitudes"),
    "free_correlation": (
        "free correlation",
        "correlation of amplitudes that were held out of the density modification",
    ),
    "noise": ("R of noise", "R factor that a perfect model would have, from the uncertainties"),
    "reflections_per_volume": (
        "reflections per volume",
        "measured reflections to cell volume, 1/A^3",
    ),
    "reflections_per_atom": (
        "reflections per atom",
        "independent measurements to atoms in the cell",
    ),
    "correlation": ("correlation", "of measured and calculated amplitudes in the search"),
    "overlap": ("overlap", "penalty for atoms that are too close"),
    "log_likelihood_gain": (
        "likelihood gain",
        "log likelihood over the best model with other phases, for each reflection",
    ),
    "z_free_correlation": (
        "free correlation / sigma",
        "correlation of amplitudes held out of the search, in standard deviations",
    ),
    "reflections_per_parameter": (
        "data per parameter",
        "measured reflections to refined parameters",
    ),
}

#: Kinds of candidates, as `crysformer.phasing.merit.confidence` tells them apart.
KINDS: Mapping[str, str] = {"density": "density", "atoms": "atoms", "sequence": "search model"}

#: 5 to 95 % of the right and of the wrong candidates of a kind, whose phases are known
#: (benchmarks/confidence-rows.tsv, sequence-rows.tsv and measured-rows.tsv), of the last two
#: figures those that are not zero for want of data. Others do not tell them apart by themselves.
RANGES: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "density": {
        "r": ("0.06 to 0.18", "0.15 to 0.32"),
        "free_correlation": ("0.40 to 0.94", "0.06 to 0.69"),
    },
    "atoms": {
        "r": ("0.01 to 0.20", "0.11 to 0.38"),
        "free_correlation": ("0.33 to 0.93", "0.07 to 0.52"),
    },
    "sequence": {
        "r": ("0.06 to 0.32", "0.12 to 0.46"),
        "correlation": ("0.74 to 0.96", "0.48 to 0.93"),
        "log_likelihood_gain": ("-0.03 to 1.55", "-1.23 to 0.10"),
        "z_free_correlation": ("2.1 to 13.9", "-1.0 to 3.7"),
    },
}
NO_RANGE = ("does not tell", "")

#: Figure of a refined model: name, and the range of docs/building.md, measured peptides.
MODEL_FIGURES: Mapping[str, tuple[str, str]] = {
    "r_work": ("R-work", "0.05 to 0.21"),
    "r_free": ("R-free", "0.06 to 0.28"),
}

R_FACTORS = (
    "The R factor of a candidate is that of the search, over all reflections; R-work is that of "
    "the refined model over the reflections it was refined against, and R-free over the others. "
    "If R-free is k-fold, both are pooled over k refinements without a part of the reflections "
    "each."
)
"""Why a solution has several."""

_ORDER = (
    "The first candidate is the one that is written; only its confidence counts how well symmetry "
    "mates agree."
)
_EQUAL = 0.01  # difference of confidences up to which other figures rank candidates


def order_of_candidates(candidates: Sequence[Mapping[str, Any]]) -> str:
    """Say why the first of unlikely candidates has not the highest confidence; empty if it has."""
    confidences = [float(candidate["confidence"]) for candidate in candidates]
    first, highest = confidences[0], max(confidences)
    return _ORDER if highest > first + _EQUAL or highest > first == 0 else ""


def kind_of_candidate(figures: Mapping[str, Any]) -> str:
    """Key of `KINDS` for the figures of a candidate in summary.json."""
    if "log_likelihood_gain" in figures:
        return "sequence"
    return "atoms" if "reflections_per_atom" in figures else "density"


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
    """Say how certain the hand is; empty where it has no meaning, as without a solution."""
    probability = summary.get("hand_probability")
    if probability is None or summary.get("solved") is False:
        return ""
    if probability >= 0.95:
        return f"The hand is as shown (probability {probability:.2f})."
    if probability <= UNDETERMINED:
        return "The hand is not determined: the mirror image fits as well."
    return f"The hand is probably as shown ({probability:.2f}); compare with the mirror image."
