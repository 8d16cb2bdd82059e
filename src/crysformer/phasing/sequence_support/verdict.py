"""Verdict on a sequence, from the comparison of its model with others."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from scipy.special import expit

REFUTED, SUPPORTED = 0.1, 0.9
"""Probabilities up to which a sequence is refuted, and from which it is supported."""
CONTRADICTED = 6.0
"""Log likelihood gained by another type from which a residue of a refuted sequence is named."""
_MIN_R = 0.02  # a smaller R factor adds no probability
# Fitted by `benchmarks/sequence_support.py`.
INTERCEPT, COEFFICIENTS = -6.013, (-1.608, 0.268, -3.019)
"""Of the logistic regression."""


@dataclass(frozen=True)
class ResidueSupport:
    """The given type of one residue against the best of the others.

    Attributes
    ----------
    chain
        Letter of the chain in the model.
    number
        Number of the residue in its chain, from 1.
    row
        Number of the residue along all chains, from 0.
    given, better
        One-letter codes: the sequence's, and the most likely other one.
    gain
        Log likelihood of `better` over `given`, corrected for the number of atoms; negative where
        the given type is more likely.
    alike
        Types of the same shape that are about as likely as the given one, or more.
    """

    chain: str
    number: int
    row: int
    given: str
    better: str
    gain: float
    alike: str = ""


@dataclass(frozen=True)
class SupportFigures:
    """Figures of the comparison of a sequence with others.

    Attributes
    ----------
    gain
        Log likelihood of the model of the likeliest other sequence over that of the given one, both
        refined, corrected for the number of atoms; 0 if none is likelier.
    least_margin
        Least log likelihood that the given type of a residue has over others; negative if there is
        a likelier one.
    r
        R factor of the model of the given sequence.
    """

    gain: float
    least_margin: float
    r: float


@dataclass(frozen=True)
class SequenceSupport:
    """Verdict on the given sequence.

    Attributes
    ----------
    supported
        True or False, or None where the amplitudes do not tell, or nothing was compared.
    probability
        Probability that the sequence is right if the phases are, with even odds beforehand; None if
        nothing was compared.
    residues
        Residues that were compared.
    figures
        What the probability rests on.
    other
        The likeliest other sequence, chains separated by commas, if one is likelier.
    note
        Why nothing was compared.
    """

    supported: bool | None = None
    probability: float | None = None
    residues: tuple[ResidueSupport, ...] = ()
    figures: SupportFigures | None = None
    other: str = ""
    note: str = ""

    @property
    def better(self) -> tuple[ResidueSupport, ...]:
        """Residues for which another type is likelier, if the sequence is not supported."""
        if self.supported:
            return ()
        return tuple(residue for residue in self.residues if residue.gain > CONTRADICTED)

    @property
    def contradicted(self) -> frozenset[int]:
        """Residues, along all chains from 0, whose side chains should not be shown."""
        if self.supported is not False:
            return frozenset()
        return frozenset(residue.row for residue in self.better)

    def __str__(self) -> str:
        """The verdict in one line."""
        if self.probability is None:
            return f"not compared with others ({self.note})"
        verdict = {True: "supported", False: "refuted", None: "neither supported nor refuted"}
        line = f"{verdict[self.supported]} by the amplitudes (probability {self.probability:.2f})"
        if self.better:
            several = len({r.chain for r in self.residues}) > 1
            of = (f"{r.given}{r.number}{' of ' + r.chain if several else ''}" for r in self.better)
            line += f"; side chains that do not fit: {', '.join(of)}"
            if any(r.given == "G" for r in self.better):
                line += " (a larger residue fits better than G)"
        return line

    def to_summary(self) -> dict[str, Any]:
        """Content of ``summary.json``: plain numbers, strings and lists."""
        return {
            "supported": self.supported,
            "probability": None if self.probability is None else round(self.probability, 4),
            "better": [
                {
                    "chain": r.chain,
                    "residue": r.number,
                    "given": r.given,
                    "better": r.better,
                    "log_likelihood_gain": round(r.gain, 1),
                }
                for r in self.better
            ],
            "not_told_apart": [
                {"chain": r.chain, "residue": r.number, "given": r.given, "alike": list(r.alike)}
                for r in self.residues
                if r.alike
            ],
            "other": self.other,
            "verdict": str(self),
            "figures": None
            if self.figures is None
            else {name: round(value, 4) for name, value in asdict(self.figures).items()},
            "note": self.note,
        }


def likelier(summary: Mapping[str, Any]) -> str:
    """The likelier sequence, and its residues, of `SequenceSupport.to_summary`, in words.

    Empty unless the given sequence is refuted and another one is likelier.
    """
    if summary.get("supported") is not False or not summary.get("other"):
        return ""
    better = summary.get("better") or ()
    several = len({r["chain"] for r in better}) > 1
    changes = ", ".join(
        f"{r['better']} for {r['given']}{r['residue']}" + (f" of {r['chain']}" if several else "")
        for r in better
    )
    of = f" ({changes})" if changes else ""
    return f"{summary['other']}, probable from the side chains that fit better{of}"


def features(figures: SupportFigures) -> tuple[float, ...]:
    """Input of the logistic regression: logarithms of gain, least margin and R.

    log(1 + x) of the gain and of the margin, which keeps its sign: errors of a model are
    systematic, so that evidence does not add up like log likelihoods.
    """
    margin = figures.least_margin
    return (
        math.log1p(figures.gain),
        math.copysign(math.log1p(abs(margin)), margin),
        math.log(max(figures.r, _MIN_R)),
    )


def support(
    residues: tuple[ResidueSupport, ...], figures: SupportFigures, other: str = ""
) -> SequenceSupport:
    """The verdict that some figures give.

    A logistic regression fitted to models of right and wrong sequences in right phases
    (`benchmarks/sequence_support.py`). A low probability refutes only where another type of some
    residue is likelier: a high R factor alone may have other reasons.
    """
    terms = zip(COEFFICIENTS, features(figures), strict=True)
    odds = INTERCEPT + sum(c * x for c, x in terms)
    p = float(expit(min(max(odds, -30.0), 30.0)))
    refuted = p <= REFUTED and figures.least_margin < -CONTRADICTED
    supported = True if p >= SUPPORTED else False if refuted else None
    return SequenceSupport(supported, p, residues, figures, other)
