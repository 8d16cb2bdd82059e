"""Translation function of atoms among their symmetry mates and beside others."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from crysformer.crystal.fourier.grids import Shape
from crysformer.crystal.fourier.series import real_fourier_series
from crysformer.crystal.normalisation import epsilon_factors, normalized_e
from crysformer.crystal.operators import operators
from crysformer.crystal.reflections import CrystalData
from crysformer.phasing.refinement.direct_sum import DirectSum

_MAX_E = 4.0  # larger |E| are cut: a few outliers must not decide


class TranslationFunction:
    """Sum of w (E^2 - 1) |F(t)|^2 for all translations t at once (Crowther & Blow, 1967).

    F(h; t) is the sum over operators (R, T) of f(hR) exp(2 pi i [h.T + hR.t]), where f is the
    transform of the atoms to place; its square has a Fourier coefficient at h(R_j - R_k) for every
    pair of operators (`alone`). Atoms placed before add one at hR for each operator (`beside`). The
    weight w of a unique reflection is its multiplicity in the sphere over epsilon, since |F|^2 is
    proportional to epsilon.

    Parameters
    ----------
    data
        The crystal, any space group without inversion.
    shape
        Grid of the translations.
    d_min
        Resolution limit, A.

    Attributes
    ----------
    hkl, e, multiplicity
        Miller indices, |E| and multiplicity in the sphere of the reflections used, shapes (n, 3),
        (n,) and (n,); the multiplicities sum to 1.
    root_epsilon
        Square root of epsilon, shape (n,); |F| over it is compared with |E|.
    rotations, shifts
        Rotations (m, 3, 3) and fractional translations (m, 3) of the operators.
    """

    def __init__(self, data: CrystalData, shape: Shape, d_min: float = 0.0) -> None:
        e = normalized_e(data)
        used = data.measured & np.isfinite(e) & (data.d >= d_min)
        self.hkl = data.hkl[used].astype(np.int64)
        self.e = np.minimum(e[used], _MAX_E)
        ops = operators(data.space_group)
        self.rotations, self.shifts = ops.rotations, ops.translations
        self._sum = DirectSum(self.hkl, ops, torch.float64)
        self.root_epsilon = np.sqrt(epsilon_factors(data.hkl, data.space_group)[used])
        count = 1 + ~data.space_group.operations().centric_flag_array(data.hkl[used])
        # as many mates as operators fall on fewer reflections where epsilon is more than one
        self.multiplicity = count / self.root_epsilon**2
        self.multiplicity /= self.multiplicity.sum()
        self._wanted = self.multiplicity / self.root_epsilon**2 * (self.e**2 - 1)
        self.shape = shape

    def mates(self, frac: NDArray[np.float64], number: NDArray[np.int64]) -> NDArray[np.complex128]:
        """F of each mate of point atoms (k, 3) of weights `number` (k,), shape (operators, n)."""
        mates = self._sum.mates(torch.as_tensor(frac), torch.as_tensor(number)[:, None])
        return np.array([(real + 1j * imaginary).numpy() for real, imaginary in mates])

    def moved(
        self, mates: NDArray[np.complex128], translation: NDArray[np.float64]
    ) -> NDArray[np.complex128]:
        """F of all mates after fractional translations (B, 3) of the atoms, shape (B, n)."""
        total = np.zeros((len(translation), len(self.hkl)), dtype=np.complex128)
        for rotation, mate in zip(self.rotations, mates, strict=True):
            total += mate * np.exp(2j * math.pi * translation @ (self.hkl @ rotation).T)
        return total

    def correlation(self, F: NDArray[np.complex128]) -> NDArray[np.float64]:
        """Correlation of |E| with |F|, shape (B,), for F of shape (B, n)."""
        amplitude = np.abs(F) / self.root_epsilon
        weight = self.multiplicity
        a = amplitude - (amplitude @ weight)[:, None]
        b = self.e - self.e @ weight
        norm = np.sqrt((a**2 @ weight) * (b**2 @ weight))
        return np.asarray((a @ (weight * b)) / np.maximum(norm, 1e-12))

    def alone(self, mates: NDArray[np.complex128]) -> NDArray[np.float64]:
        """Translation function of the atoms and their mates, up to a constant; zero in P1."""
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
        """Cross term of the translation function with placed atoms of structure factors `fixed`."""
        value = 2 * self._wanted * fixed.conj()
        index = [self.hkl @ rotation for rotation in self.rotations]
        coefficients = [value * mate for mate in mates]
        return real_fourier_series(np.concatenate(index), np.concatenate(coefficients), self.shape)
