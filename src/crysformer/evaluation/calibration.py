"""Reliability of verdicts: bound on false claims, and calibration of the confidence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import beta

N_BINS = 10


def upper_bound(events: int, n: int, confidence: float = 0.95) -> float:
    """One-sided upper bound on a rate after `events` in `n` trials.

    Without events it is about 3 / n; without trials it is 1.

    Raises
    ------
    ValueError
        If there are more events than trials, or fewer than none.

    References
    ----------
    Clopper & Pearson, Biometrika 26, 404 (1934).
    """
    if not 0 <= events <= n:
        raise ValueError(f"{events} events in {n} trials")
    return 1.0 if events == n else float(beta.ppf(confidence, events + 1, n - events))


@dataclass(frozen=True)
class Bin:
    """Results with a confidence in [low, high): number, mean confidence, fraction solved."""

    low: float
    high: float
    n: int
    confidence: float
    solved: float


@dataclass(frozen=True)
class Reliability:
    """Calibration of confidences.

    Attributes
    ----------
    n
        Number of results.
    bins
        Bins that are not empty, in order.
    ece
        Expected calibration error: mean over the results of |mean confidence - fraction solved|
        of their bin.
    brier
        Mean squared difference of confidence and truth.

    References
    ----------
    Naeini, Cooper & Hauskrecht, AAAI (2015). Brier, Mon. Weather Rev. 78, 1 (1950).
    """

    n: int
    bins: tuple[Bin, ...]
    ece: float
    brier: float


def reliability(confidence: ArrayLike, solved: ArrayLike, n_bins: int = N_BINS) -> Reliability:
    """Compare confidences with the fraction solved, in bins of equal width.

    Parameters
    ----------
    confidence
        0 to 1, shape (n,).
    solved
        True where the crystal was solved, shape (n,).
    n_bins
        The last bin holds a confidence of 1.

    Raises
    ------
    ValueError
        If there is no result, or a confidence is not in 0 to 1.
    """
    p, y = np.asarray(confidence, dtype=np.float64), np.asarray(solved, dtype=np.float64)
    if p.shape != y.shape or p.ndim != 1 or not len(p) or not ((p >= 0) & (p <= 1)).all():
        raise ValueError("expected as many verdicts as confidences, at least one, from 0 to 1")
    index = np.minimum((p * n_bins).astype(int), n_bins - 1)
    bins = tuple(
        Bin(
            low=i / n_bins,
            high=(i + 1) / n_bins,
            n=int((index == i).sum()),
            confidence=float(p[index == i].mean()),
            solved=float(y[index == i].mean()),
        )
        for i in np.unique(index).tolist()
    )
    ece = sum(b.n * abs(b.confidence - b.solved) for b in bins) / len(p)
    return Reliability(len(p), bins, float(ece), float(np.mean((p - y) ** 2)))
