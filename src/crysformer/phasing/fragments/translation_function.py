"""What atoms gain at every place of the cell, among their symmetry mates and beside others."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.fourier.grids import Shape
from crysformer.crystal.fourier.series import real_fourier_series
from crysformer.crystal.normalisation import epsilon_factors, normalized_e
from crysformer.crystal.operators import operators
from crysformer.crystal.reflections import CrystalData

_E_MAX = 4.0


class TranslationFunction:
    """Sum of w (E^2 - 1) |F(t)|^2 over all translations t at once (Crowther & Blow, 1967).

    F(h; t) is the sum over operators (R, T) of f(hR) exp(2 pi i [h.T + hR.t]), f the transform of
    what is placed; its square holds a Fourier coefficient at h(R_j - R_k) for every pair (`alone`).
    Atoms that are there already add one at hR for each operator (`beside`). The weight w of a
    unique reflection is how often it occurs in the sphere, and 1 / epsilon, which |F|^2 has in it.

    Parameters
    ----------
    data
        The crystal, any space group without inversion.
    shape
        Grid of the translations.
    d_min
        Finer reflections, A, are left out.

    Attributes
    ----------
    hkl, e, multiplicity
        Of the reflections used, shapes (n, 3), (n,), (n,); multiplicities in the sphere sum to 1.
    root_epsilon
        By which amplitudes are divided to be compared with E, shape (n,).
    rotations, shifts
        Of the operators.
    """

    def __init__(self, data: CrystalData, shape: Shape, d_min: float = 0.0) -> None:
        e = normalized_e(data)
        used = data.measured & np.isfinite(e) & (data.d >= d_min)
        self.hkl = data.hkl[used].astype(np.int64)
        self.e = np.minimum(e[used], _E_MAX)
        ops = operators(data.space_group)
        self.rotations, self.shifts = ops.rotations, ops.translations
        self.root_epsilon = np.sqrt(epsilon_factors(data.hkl, data.space_group)[used])
        count = 1 + ~data.space_group.operations().centric_flag_array(data.hkl[used])
        # as many mates as operators fall on fewer reflections where epsilon is more than one
        self.multiplicity = count / self.root_epsilon**2
        self.multiplicity /= self.multiplicity.sum()
        self._wanted = self.multiplicity / self.root_epsilon**2 * (self.e**2 - 1)
        self.shape = shape

    def mates(self, frac: NDArray[np.float64], number: NDArray[np.int64]) -> NDArray[np.complex128]:
        """Each mate's F of point atoms (k, 3) of the weights `number` (k,): (operators, n)."""
        out = []
        for turn, shift in zip(self.rotations, self.shifts, strict=True):
            phase = (self.hkl @ turn) @ frac.T + (self.hkl @ shift)[:, None]
            out.append(np.exp(2j * math.pi * phase) @ number)
        return np.array(out)

    def moved(
        self, mates: NDArray[np.complex128], translation: NDArray[np.float64]
    ) -> NDArray[np.complex128]:
        """F of all mates together after fractional translations (B, 3), shape (B, n)."""
        total = np.zeros((len(translation), len(self.hkl)), dtype=np.complex128)
        for turn, mate in zip(self.rotations, mates, strict=True):
            total += mate * np.exp(2j * math.pi * translation @ (self.hkl @ turn).T)
        return total

    def correlation(self, F: NDArray[np.complex128]) -> NDArray[np.float64]:
        """Of |E| and |F|, shape (B, n) -> (B,)."""
        amplitude = np.abs(F) / self.root_epsilon
        weight = self.multiplicity
        a = amplitude - (amplitude @ weight)[:, None]
        b = self.e - self.e @ weight
        norm = np.sqrt((a**2 @ weight) * (b**2 @ weight))
        return np.asarray((a @ (weight * b)) / np.maximum(norm, 1e-12))

    def alone(self, mates: NDArray[np.complex128]) -> NDArray[np.float64]:
        """The function over all translations, but for a constant; 0 where there are no mates."""
        index, values = [], []
        for j, first in enumerate(mates):
            for k in range(j):  # the pairs (k, j) are the complex conjugates
                index.append(self.hkl @ (self.rotations[j] - self.rotations[k]))
                values.append(2 * self._wanted * first * mates[k].conj())
        if not index:
            return np.zeros(self.shape)
        return real_fourier_series(np.concatenate(index), np.concatenate(values), self.shape)

    def beside(
        self, mates: NDArray[np.complex128], fixed: NDArray[np.complex128]
    ) -> NDArray[np.float64]:
        """What the function gains by atoms that are there already, with the transform `fixed`."""
        value = 2 * self._wanted * fixed.conj()
        index = [self.hkl @ turn for turn in self.rotations]
        coefficients = [value * mate for mate in mates]
        return real_fourier_series(np.concatenate(index), np.concatenate(coefficients), self.shape)
