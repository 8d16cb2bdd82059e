"""Agreement of the phases of models, whatever their origin and hand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.comparison.compare import compare_phases
from crysformer.crystal.reflections import CrystalData


def phase_agreement(
    data: CrystalData, a: NDArray[np.complex128], b: NDArray[np.complex128]
) -> tuple[float, bool]:
    """F^2-weighted cosine between two sets of phases, and whether one had to be inverted.

    Parameters
    ----------
    data
        The crystal.
    a, b
        Structure factors of `data.hkl`, shape (n,).
    """
    first, second = (np.rad2deg(np.angle(x)) for x in (a, b))
    found = compare_phases(data.hkl, data.f, first, second, data.cell, data.space_group)
    return found.cosine2_aligned, found.inverted


class ComparedPhases:
    """Agreement of each two of several models, computed on first use and once.

    Parameters
    ----------
    data
        The crystal.
    F
        Structure factors of `data.hkl` for each model, shape (models, n).
    """

    def __init__(self, data: CrystalData, F: NDArray[np.complex128]) -> None:
        self._data, self._F = data, F
        self._known: dict[tuple[int, int], tuple[float, bool]] = {}

    def of(self, i: int, j: int) -> tuple[float, bool]:
        """As `phase_agreement`, of models `i` and `j`; a model agrees with itself."""
        if i == j:
            return 1.0, False
        first, second = min(i, j), max(i, j)
        if (first, second) not in self._known:
            pair = self._F[first], self._F[second]
            self._known[first, second] = phase_agreement(self._data, *pair)
        return self._known[first, second]
