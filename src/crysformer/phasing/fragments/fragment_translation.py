"""Where an oriented fragment lies among its symmetry mates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from crysformer.crystal.fourier.grids import grid_shape
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import NotApplicable
from crysformer.peptide.secondary_structure import Fragment
from crysformer.phasing.fragments.rotation_function import LEAST
from crysformer.phasing.fragments.translation_function import TranslationFunction
from crysformer.phasing.fragments.translation_map import distinct, free_axes

D_MIN = 2.5
"""A; for a fragment alone finer reflections add peaks, not knowledge."""
_SAMPLE_RATE = 2.5
_TRIED = 48  # peaks rated for each translation returned: up to eight are one
_TRIED_BESIDE = 8  # the same beside others, which fix the origin
_SAME = 1e-5  # correlations nearer than this are of one solution at another origin


class FragmentTranslation:
    """Places a fragment of known orientation by the translation function.

    Parameters
    ----------
    data
        The crystal, any space group without inversion.
    fragment
        What to place.
    d_min
        Resolution limit, A.

    Raises
    ------
    NotApplicable
        If there are too few reflections of low resolution.
    """

    def __init__(self, data: CrystalData, fragment: Fragment, d_min: float = D_MIN) -> None:
        # products of two mates: twice the indices of the data
        # even, so that permissible origins and centring are on grid points
        shape = grid_shape(data.cell, max(d_min, data.d_min) / 2, _SAMPLE_RATE, 2)
        self.function = TranslationFunction(data, shape, d_min)
        n = len(self.function.hkl)
        if n < LEAST:
            raise NotApplicable(f"{n} reflections to {d_min:g} A, too few to place a fragment")
        self.to_frac = data.to_frac
        self.fragment = fragment

    def mates(self, rotation: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Each symmetry mate's structure factors for t = 0, shape (operators, reflections)."""
        frac = self.fragment.xyz @ rotation.T @ self.to_frac.T
        return self.function.mates(frac, self.fragment.number)

    def transform(self, xyz: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Of fragments that are placed, and their mates, xyz in A (k, n, 3): (reflections,)."""
        number = np.tile(self.fragment.number, len(xyz))
        mates = self.function.mates(xyz.reshape(-1, 3) @ self.to_frac.T, number)
        return np.asarray(mates.sum(axis=0))

    def first(
        self, rotation: NDArray[np.float64], n: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The best fractional translations (m, 3) of an orientation, and their correlations (m,).

        Where the origin is free along an axis (P1, and along the axis of P21) any place will do.
        """
        mates = self.mates(rotation)
        values = self.function.alone(mates)
        for axis in np.flatnonzero(free_axes(self.function.rotations)):
            values = values.take([0], axis=axis)  # every place along it is the same
        return self._highest(values, mates, _TRIED * n, n, np.zeros(1, dtype=np.complex128))

    def further(
        self, rotation: NDArray[np.float64], fixed: list[NDArray[np.complex128]], n: int
    ) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """The same beside what is placed already, for each of its transforms."""
        mates = self.mates(rotation)
        alone = self.function.alone(mates)
        return [
            self._highest(alone + self.function.beside(mates, F), mates, _TRIED_BESIDE * n, n, F)
            for F in fixed
        ]

    def _highest(
        self,
        values: NDArray[np.float64],
        mates: NDArray[np.complex128],
        n_tried: int,
        n: int,
        fixed: NDArray[np.complex128],
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of a function's highest peaks those of best correlation: translations (m, 3), and it."""
        peaks = np.argwhere(values == maximum_filter(values, size=3, mode="wrap"))
        order = np.argsort(-values[tuple(peaks.T)], kind="stable")[:n_tried]
        translation = peaks[order] / np.array(self.function.shape)
        correlation = self.function.correlation(fixed + self.function.moved(mates, translation))
        best = distinct(correlation, n, _SAME)
        return translation[best], correlation[best]
