"""Where an oriented fragment lies among its symmetry mates."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from crysformer.crystal.maps import grid_shape
from crysformer.crystal.normalize import normalized_e
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import NotApplicable
from crysformer.phasing.fragments.fourier import distinct, free_axes, real_map
from crysformer.phasing.fragments.ideal import Fragment
from crysformer.phasing.fragments.rotation import LEAST

D_MIN = 2.5
"""A; for a fragment alone finer reflections add peaks, not knowledge."""
_SAMPLE_RATE = 3.0
_TRIED = 48  # peaks rated for each translation returned: up to eight are one
_TRIED_BESIDE = 8  # the same beside others, which fix the origin
_SAME = 1e-5  # correlations nearer than this are of one solution at another origin


class TranslationFunction:
    """Sum of (E^2 - 1) |F(t)|^2 over all translations t at once (Crowther & Blow, 1967).

    F(h; t) is the sum over operators (R, T) of f(hR) exp(2 pi i [h.T + hR.t]), f the transform of
    the oriented fragment; its square holds a Fourier coefficient at h(R_j - R_k) for every pair.
    Atoms that are placed already add one at hR for each operator (`beside`).

    Parameters
    ----------
    data
        The crystal, any space group.
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
        e = normalized_e(data)
        used = data.measured & np.isfinite(e) & (data.d >= d_min)
        if used.sum() < LEAST:
            raise NotApplicable(
                f"{int(used.sum())} reflections to {d_min:g} A, too few to place a fragment"
            )
        self.hkl = data.hkl[used].astype(np.int64)
        self.e = np.minimum(e[used], 4.0)
        operations = data.space_group.operations().sym_ops
        self.rotations = [np.array(op.rot) // op.DEN for op in operations]
        self.shifts = [np.array(op.tran) / op.DEN for op in operations]
        self.to_frac = np.array(data.cell.frac.mat.tolist())
        self.fragment = fragment
        # products of two mates: twice the indices of the data
        # even, so that permissible origins and centring are on grid points
        self.shape = grid_shape(data.cell, max(d_min, data.d_min) / 2, _SAMPLE_RATE / 1.2, 2)

    def mates(self, rotation: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Each symmetry mate's structure factors for t = 0, shape (operators, reflections)."""
        return self._mates(self.fragment.xyz @ rotation.T, self.fragment.number)

    def _mates(self, xyz: NDArray[np.float64], number: NDArray[np.int64]) -> NDArray[np.complex128]:
        frac = xyz @ self.to_frac.T
        out = []
        for turn, shift in zip(self.rotations, self.shifts, strict=True):
            phase = (self.hkl @ turn) @ frac.T + (self.hkl @ shift)[:, None]
            out.append(np.exp(2j * math.pi * phase) @ number)
        return np.array(out)

    def transform(self, xyz: NDArray[np.float64]) -> NDArray[np.complex128]:
        """Structure factors of placed atoms and their mates, xyz in A (n, 3): (reflections,)."""
        number = np.tile(self.fragment.number, len(xyz) // len(self.fragment.number))
        return np.asarray(self._mates(xyz, number).sum(axis=0))

    def correlation(
        self,
        mates: NDArray[np.complex128],
        translation: NDArray[np.float64],
        fixed: NDArray[np.complex128] | None = None,
    ) -> NDArray[np.float64]:
        """Of |E| and |F| for fractional translations (B, 3), shape (B,)."""
        total = np.zeros((len(translation), len(self.hkl)), dtype=np.complex128)
        if fixed is not None:
            total += fixed
        for turn, mate in zip(self.rotations, mates, strict=True):
            total += mate * np.exp(2j * math.pi * translation @ (self.hkl @ turn).T)
        amplitude = np.abs(total)
        a = amplitude - amplitude.mean(axis=1, keepdims=True)
        b = self.e - self.e.mean()
        return np.asarray((a @ b) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b)))

    def alone(self, mates: NDArray[np.complex128]) -> NDArray[np.float64]:
        """The function over all translations, of one fragment and its mates."""
        weight = self.e**2 - 1
        index, values = [], []
        for j, first in enumerate(mates):
            for k in range(j):
                index.append(self.hkl @ (self.rotations[j] - self.rotations[k]))
                values.append(weight * first * mates[k].conj())
        if not index:
            return np.zeros(self.shape)
        # the pairs (k, j) are the complex conjugates
        return real_map(index, values, self.shape)

    def beside(
        self, mates: NDArray[np.complex128], fixed: NDArray[np.complex128]
    ) -> NDArray[np.float64]:
        """What the function gains by atoms that are placed already, with the transform `fixed`."""
        value = (self.e**2 - 1) * fixed.conj()
        index = [self.hkl @ turn for turn in self.rotations]
        return real_map(index, [value * mate for mate in mates], self.shape)

    def best(
        self, rotation: NDArray[np.float64], n: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The best fractional translations (m, 3) of an orientation, and their correlations (m,).

        Where the origin is free along an axis (P1, and along the axis of P21) any place will do.
        """
        mates = self.mates(rotation)
        values = self.alone(mates)
        for axis in np.flatnonzero(free_axes(self.rotations)):  # every place along it is the same
            values = values.take([0], axis=axis)
        return self.highest(values, mates, n)

    def highest(
        self,
        values: NDArray[np.float64],
        mates: NDArray[np.complex128],
        n: int,
        fixed: NDArray[np.complex128] | None = None,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of a function's highest peaks those of best correlation: translations (m, 3), and it."""
        peaks = np.argwhere(values == maximum_filter(values, size=3, mode="wrap"))
        tried = n * (_TRIED if fixed is None else _TRIED_BESIDE)
        order = np.argsort(-values[tuple(peaks.T)], kind="stable")[:tried]
        translation = peaks[order] / np.array(self.shape)
        correlation = self.correlation(mates, translation, fixed)
        best = distinct(correlation, n, _SAME)
        return translation[best], correlation[best]
