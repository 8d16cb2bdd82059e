"""Search over the cell for the origin at which the symmetry operators agree best."""

from __future__ import annotations

import itertools

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.operators import STEPS, operators
from crysformer.crystal.unit_cell import orth_matrix
from crysformer.phasing.origin.permissible_origins import permissible_origins
from crysformer.phasing.origin.symmetry_correlation import SymmetryCorrelation

_CANDIDATES = 6
_DISTINCT = 0.5  # A; nearer maxima are one peak seen on two grid points
_TERMS_TO_COMPARE = 20_000
_PEAKS_TO_SORT = 5_000


class EquivalentOrigins:
    """Distances between origins, up to the equivalences of a space group."""

    def __init__(self, space_group: gemmi.SpaceGroup, cell: gemmi.UnitCell) -> None:
        ops = operators(space_group)
        across_polar = np.eye(3) - ops.polar_projector
        self._across = across_polar
        self._orth = orth_matrix(cell)
        steps = np.array(
            [
                shift + centring + step
                for shift in permissible_origins(space_group).shifts
                for centring in ops.centring / STEPS
                for step in itertools.product((-1, 0, 1), repeat=3)
            ]
        )
        self._steps = steps @ across_polar.T

    def _images(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return ((x - np.round(x)) @ self._across.T)[..., None, :] + self._steps

    def distance(self, x: NDArray[np.float64], origin: NDArray[np.float64]) -> NDArray[np.float64]:
        """Distance in A, shape (n,), of origins `x`, fractional (n, 3), from the
        nearest equivalent of `origin`.
        """
        x = x - origin
        x = (x - np.round(x)) @ (self._orth @ self._across).T
        steps = self._steps @ self._orth.T
        # |x + step|^2 of all pairs by one matrix product
        square = 2 * x @ steps.T + (steps**2).sum(axis=1)
        return np.asarray(np.sqrt(np.maximum(square.min(axis=1) + (x**2).sum(axis=1), 0.0)))

    def shortest(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Equivalent of the origin `x`, fractional (3,), that is nearest to (0, 0, 0)."""
        images = self._images(x)
        return np.asarray(images[np.linalg.norm(images @ self._orth.T, axis=-1).argmin()])


def search_origins(
    series: SymmetryCorrelation, equivalent: EquivalentOrigins
) -> list[NDArray[np.float64]]:
    """Distinct high maxima of the series, refined, best first, fractional (3,) each.

    Parameters
    ----------
    series
        Agreement of the operators as a function of the origin.
    equivalent
        Equivalences between origins.
    """
    values = series.on_grid()
    shape = np.array(values.shape)
    n = min(_PEAKS_TO_SORT, values.size)
    top = np.argpartition(values.ravel(), -n)[-n:]
    points = np.stack(np.unravel_index(top, values.shape), axis=1)
    height = values.ravel()[top]
    is_peak = np.ones(n, dtype=bool)
    for step in itertools.product((-1, 0, 1), repeat=3):
        is_peak &= height >= values[tuple(((points + step) % shape).T)] - 1e-12
    order = np.argsort(-height[is_peak], kind="stable")
    peaks = points[is_peak][order] / shape
    strong = series.strongest(_TERMS_TO_COMPARE)
    chosen: list[NDArray[np.float64]] = []
    while len(peaks) and len(chosen) < _CANDIDATES:
        chosen.append(peaks[0])
        peaks = peaks[equivalent.distance(peaks, peaks[0]) > _DISTINCT]
    refined = [strong.refine(x) for x in chosen]
    return sorted(refined, key=series.at, reverse=True)
