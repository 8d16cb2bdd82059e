"""Convergence of a recycling run to the structure, judged by its amplitudes alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from crysformer.crystal.cell_composition import count_atoms
from crysformer.crystal.reflections import CrystalData
from crysformer.models.recycling import CONVERGED_CORRELATION

#: Smaller distances from the highest possible agreement are noise.
_CLOSEST = 0.002


@dataclass(frozen=True)
class Convergence:
    """Probability that a recycling run is right, from the agreement of its amplitudes.

    The weight of an agreement depends on the data: errors lower the agreement of the true
    structure, and few reflections agree easily. Weights of imperfect data carry the coefficients of
    a logistic regression fitted on their validation split; others have a threshold for exact data.

    Attributes
    ----------
    coefficients
        Of the terms of `terms`; None for the threshold.
    """

    coefficients: tuple[float, ...] | None = None

    @classmethod
    def of(cls, info: dict[str, Any]) -> Convergence:
        """Read the coefficients from the description of weights (key ``arrival``)."""
        found = info.get("arrival")
        return cls(tuple(found)) if found else cls()

    def probability(self, agreement: float, data: CrystalData, chains: Sequence[str]) -> float:
        """Probability that a run with this agreement is right; 1 or 0 from a threshold."""
        if self.coefficients is None:
            return float(agreement >= CONVERGED_CORRELATION * highest_agreement(data))
        z = float(np.dot(self.coefficients, terms(agreement, data, chains)))
        return float(expit(min(max(z, -30.0), 30.0)))

    def enough(self, probability: float, data: CrystalData, chains: Sequence[str]) -> float:
        """Least agreement with at least this probability; infinite if none has it."""
        for agreement in np.arange(0.9, 1.001, 0.0005):
            if self.probability(float(agreement), data, chains) >= probability:
                return float(agreement)
        return math.inf


def terms(agreement: float, data: CrystalData, chains: Sequence[str]) -> NDArray[np.float64]:
    """Terms of the logistic regression, shape (4,), the first one constant.

    Distance of the agreement from the highest possible (logarithm), error of the amplitudes, and
    measured reflections for each coordinate of an atom (logarithm).
    """
    distance = max(1.0 - agreement / highest_agreement(data), 0.0) + _CLOSEST
    reflections = int(data.measured.sum()) / (3 * count_atoms(chains))
    return np.array([1.0, -math.log(distance), relative_error(data), math.log(reflections)])


def relative_error(data: CrystalData) -> float:
    """SIGF over F, root mean squares; zero without SIGF."""
    if data.sigf is None:
        return 0.0
    known = data.measured & np.isfinite(data.sigf)
    total = float(np.sum(data.f[known] ** 2))
    return math.sqrt(float(np.sum(data.sigf[known] ** 2)) / total) if total > 0 else 0.0


def highest_agreement(data: CrystalData) -> float:
    """Correlation (about zero) that true amplitudes have with measured ones of this SIGF."""
    return 1 / math.sqrt(1 + relative_error(data) ** 2)
