"""Translation search for a fragment of known orientation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from crysformer.crystal.fourier.grids import grid_shape
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import NotApplicable
from crysformer.peptide.secondary_structure import Fragment
from crysformer.phasing.fragments.rotation_function import MIN_REFLECTIONS
from crysformer.phasing.fragments.translation_function import TranslationFunction
from crysformer.phasing.fragments.translation_map import distinct, free_axes
from crysformer.settings import setting
from crysformer.wording import counted

_SAMPLE_RATE = 2.5  # grid points of the translation function per half of d_min
_SAME_CORRELATION = 1e-5  # within which two translations are one solution at two origins


@dataclass(frozen=True)
class TranslationSettings:
    """Search for the position of an oriented fragment."""

    d_min: float = setting(
        2.5,
        "Resolution limit for the first fragment; finer reflections add peaks, not information.",
        unit="A",
        min=0.8,
        max=6.0,
    )
    peaks: int = setting(
        48,
        "Peaks rated for each translation returned; up to eight are one solution.",
        min=1,
        max=10_000,
    )
    peaks_beside: int = setting(
        8, "The same beside placed fragments, which fix the origin.", min=1, max=10_000
    )


class FragmentTranslation:
    """Places a fragment of known orientation by the translation function.

    Parameters
    ----------
    data
        The crystal, any space group without inversion.
    fragment
        The fragment to place.
    d_min
        Resolution limit, A; that of the settings if omitted.
    settings
        Number of peaks, and resolution.

    Raises
    ------
    NotApplicable
        If there are too few reflections of low resolution.
    """

    def __init__(
        self,
        data: CrystalData,
        fragment: Fragment,
        d_min: float | None = None,
        *,
        settings: TranslationSettings | None = None,
    ) -> None:
        self.settings = settings or TranslationSettings()
        d_min = self.settings.d_min if d_min is None else d_min
        # products of two mates: twice the indices of the data
        # even, so that permissible origins and centring are on grid points
        shape = grid_shape(data.cell, max(d_min, data.d_min) / 2, _SAMPLE_RATE, 2)
        self.function = TranslationFunction(data, shape, d_min)
        n = len(self.function.hkl)
        if n < MIN_REFLECTIONS:
            raise NotApplicable(
                f"{counted(n, 'reflection')} to {d_min:g} A, too few to place a fragment"
            )
        self.to_frac = data.to_frac
        self.fragment = fragment

    def mates(self, rotation: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Structure factors of each symmetry mate at t = 0, shape (operators, reflections)."""
        frac = self.fragment.xyz @ rotation.T @ self.to_frac.T
        return self.function.mates(frac, self.fragment.number)

    def transform(self, xyz: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Structure factors of placed fragments (k, n, 3), A, and their mates: (reflections,)."""
        number = np.tile(self.fragment.number, len(xyz))
        mates = self.function.mates(xyz.reshape(-1, 3) @ self.to_frac.T, number)
        return np.asarray(mates.sum(axis=0))

    def first(
        self, rotation: NDArray[np.float64], n: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Best fractional translations (m, 3) of an orientation, and their correlations (m,).

        Along a polar axis (all axes of P1, b of P21) the origin is free and only zero is tried.
        """
        mates = self.mates(rotation)
        values = self.function.alone(mates)
        for axis in np.flatnonzero(free_axes(self.function.rotations)):
            values = values.take([0], axis=axis)
        return self._highest(
            values, mates, self.settings.peaks * n, n, np.zeros(1, dtype=np.complex128)
        )

    def further(
        self, rotation: NDArray[np.float64], fixed: list[NDArray[np.complex128]], n: int
    ) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Best translations beside placed fragments, for each of their structure factors (k,)."""
        mates = self.mates(rotation)
        alone = self.function.alone(mates)
        n_tried = self.settings.peaks_beside * n
        return [
            self._highest(alone + self.function.beside(mates, F), mates, n_tried, n, F)
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
        """Translations (m, 3) of best correlation (m,) among the highest peaks of a function."""
        peaks = np.argwhere(values == maximum_filter(values, size=3, mode="wrap"))
        order = np.argsort(-values[tuple(peaks.T)], kind="stable")[:n_tried]
        translation = peaks[order] / np.array(self.function.shape)
        correlation = self.function.correlation(fixed + self.function.moved(mates, translation))
        best = distinct(correlation, n, _SAME_CORRELATION)
        return translation[best], correlation[best]
