"""Correlation of P1 phases with the symmetry of a space group, as a function of its origin.

For an operator x' = R x + t and a structure moved by s from the conventional origin, the phases
of mates are related by F(h) = F(hR) exp(2 pi i [h.t + (h - hR).s]). The weighted agreement of all
operators,

    S(s) = Re sum_R sum_h F(h) conj(F(hR)) exp(-2 pi i [h.t + (h - hR).s]) / sum |F(h) F(hR)|,

is a Fourier series in s with terms at m = h - hR, so one FFT gives it at every origin. (The
symmetry correlation of Burla et al., J. Appl. Cryst. 33, 307 (2000), and Palatinus & van der Lee,
J. Appl. Cryst. 41, 975 (2008), with all operators searched together.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from crysformer.crystal.miller import IndexKeys
from crysformer.crystal.operators import STEPS, Operators

_MAX_GRID_POINTS = 3_000_000
_OVERSAMPLING = 1.5
_TWO_PI = 2.0 * math.pi


class StructureFactorLookup:
    """Structure factors of a list, found by Miller index of either Friedel mate.

    Parameters
    ----------
    hkl
        Miller indices of one hemisphere (any), shape (n, 3).
    F
        Complex structure factors, shape (n,). Not finite counts as missing, as does F(000).

    Attributes
    ----------
    hkl, F
        The reflections that are not missing.
    """

    def __init__(self, hkl: NDArray[np.integer], F: NDArray[np.complex128]) -> None:
        keep = np.isfinite(F) & hkl.any(axis=1)
        self.hkl: NDArray[np.int64] = hkl[keep].astype(np.int64)
        self.F: NDArray[np.complex128] = F[keep]
        self._keys = IndexKeys.around(self.hkl)
        self._box = np.zeros(self._keys.size, dtype=np.complex128)
        self._centre = self._keys.size // 2
        keys = self._keys(self.hkl)
        self._box[self._centre - keys] = self.F.conj()
        self._box[self._centre + keys] = self.F

    def __call__(self, hkl: NDArray[np.int64]) -> NDArray[np.complex128]:
        """F at `hkl`, shape (n, 3); zero where the list has neither mate."""
        inside = self._keys.contains(hkl)
        return np.where(inside, self._box[np.where(inside, self._centre + self._keys(hkl), 0)], 0)


class MatePairs:
    """The pairs (h, hR) of a list of structure factors, operator by operator.

    Parameters
    ----------
    factors
        Structure factors in P1.
    ops
        The operators.
    """

    def __init__(self, factors: StructureFactorLookup, ops: Operators) -> None:
        self.factors = factors
        self.ops = ops
        self._roots = np.exp(-1j * _TWO_PI * np.arange(STEPS) / STEPS)

    def products(self, i: int) -> NDArray[np.complex128]:
        """F(h) conj(F(hR)) exp(-2 pi i h.t) of operator `i`, shape (n,).

        Zero where a mate is missing, and where hR = h, which is no information on the origin.
        """
        hkl = self.factors.hkl
        rotation, steps = self.ops.rotations[i], self.ops.steps[i]
        mates = hkl @ rotation
        products = self.factors.F * self.factors(mates).conj()
        if steps.any():
            products *= self._roots[(hkl @ steps) % STEPS]
        h, k, l = (hkl - mates).T  # noqa: E741
        products[(h == 0) & (k == 0) & (l == 0)] = 0
        return products

    def agreement(self, i: int, shift: NDArray[np.float64]) -> float:
        """Agreement of operator `i` alone at the origin `shift`, or NaN if it relates no pair."""
        products = self.products(i)
        total = float(np.abs(products).sum())
        if total == 0:
            return math.nan
        cycles = self.factors.hkl @ (shift - self.ops.rotations[i] @ shift)
        return float((products * np.exp(-1j * _TWO_PI * cycles)).real.sum() / total)


@dataclass(frozen=True, eq=False)
class SymmetryCorrelation:
    """The Fourier series S(s) of the module, terms m and -m folded into one.

    Attributes
    ----------
    m
        Indices, shape (k, 3), int64, none zero.
    coefficients
        Complex, shape (k,): S(s) = Re sum coefficients exp(-2 pi i m.s), at most 1.
    """

    m: NDArray[np.int64]
    coefficients: NDArray[np.complex128]

    @classmethod
    def build(cls, pairs: MatePairs) -> SymmetryCorrelation:
        """Collect the terms of every operator but the identity.

        Of an operator and its inverse one is enough, as they relate the same pairs.
        """
        hkl = pairs.factors.hkl
        chosen = one_of_each_inverse_pair(pairs.ops)
        moves = [np.eye(3, dtype=np.int64) - pairs.ops.rotations[i] for i in chosen]
        columns = np.unique(np.concatenate([move.T for move in moves]), axis=0)
        reach = {tuple(column): np.abs(hkl @ column).max(initial=0) for column in columns}
        limit = np.max([[reach[tuple(column)] for column in move.T] for move in moves], axis=0)
        keys = IndexKeys((int(limit[0]), int(limit[1]), int(limit[2])))
        size = keys.size // 2 + 1
        real, imag = np.zeros(size), np.zeros(size)
        total = 0.0
        for i, move in zip(chosen, moves, strict=True):
            terms = pairs.products(i)
            index = hkl @ (move @ keys.strides)
            # S is real: the term at -m is the conjugate, so each pair is stored on one side.
            terms = np.where(index < 0, terms.conj(), terms)
            index = np.abs(index)
            real += np.bincount(index, terms.real, minlength=size)
            imag += np.bincount(index, terms.imag, minlength=size)
            total += float(np.abs(terms).sum())
        used = np.flatnonzero((real != 0) | (imag != 0))
        return cls(
            m=keys.triples(used),
            coefficients=(real[used] + 1j * imag[used]).astype(np.complex128) / (total or 1.0),
        )

    def at(self, shift: NDArray[np.float64]) -> float:
        """S at one origin, fractional (3,)."""
        shifted = self.coefficients * np.exp(-1j * _TWO_PI * (self.m @ shift))
        return float(shifted.real.sum())

    def strongest(self, n: int) -> SymmetryCorrelation:
        """The series with only its `n` largest terms."""
        if n >= len(self.m):
            return self
        keep = np.argpartition(np.abs(self.coefficients), -n)[-n:]
        return SymmetryCorrelation(self.m[keep], self.coefficients[keep])

    def on_grid(self) -> NDArray[np.float64]:
        """S on a grid over the cell, without the terms too fine for a grid of a few million points.

        An axis along which S is constant gets one grid point.
        """
        limit = np.abs(self.m).max(axis=0, initial=0)
        while True:
            shape = [
                scipy.fft.next_fast_len(math.ceil(2 * _OVERSAMPLING * n) + 1, real=True)
                for n in limit
            ]
            if math.prod(shape) <= _MAX_GRID_POINTS:
                break
            limit = (limit * 0.9).astype(np.int64)
        keep = (np.abs(self.m) <= limit).all(axis=1)
        m, terms = self.m[keep], self.coefficients[keep]
        flip = m[:, 2] < 0
        m, terms = np.where(flip[:, None], -m, m), np.where(flip, terms.conj(), terms)
        half = np.zeros((shape[0], shape[1], shape[2] // 2 + 1), dtype=np.complex128)
        # irfftn counts l > 0 twice, and takes the real part of the plane l = 0.
        halved = np.where(m[:, 2] > 0, 0.5, 1.0) * terms.conj()
        np.add.at(half, (m[:, 0], m[:, 1], m[:, 2]), halved)
        values = scipy.fft.irfftn(half, s=shape, norm="forward")
        return np.asarray(values)

    def refine(self, shift: NDArray[np.float64], iterations: int = 8) -> NDArray[np.float64]:
        """Maximise S from `shift`, fractional (3,), by Newton's method.

        Directions along which S is flat (polar axes) are left alone.
        """
        finest = np.abs(self.m).max(initial=1)
        x = np.asarray(shift, dtype=np.float64)
        for _ in range(iterations):
            shifted = self.coefficients * np.exp(-1j * _TWO_PI * (self.m @ x))
            gradient = _TWO_PI * (shifted.imag @ self.m)
            hessian = -(_TWO_PI**2) * (self.m.T @ (self.m * shifted.real[:, None]))
            curvature, axes = np.linalg.eigh(hessian)
            curved = np.abs(curvature) > 1e-9 * np.abs(curvature).max(initial=1e-300)
            along = axes[:, curved]
            step = along @ ((along.T @ gradient) / np.abs(curvature[curved]))
            longest = np.abs(step).max(initial=0.0)
            x = x + step * min(1.0, 0.25 / finest / max(longest, 1e-300))
            if longest < 1e-7:
                break
        return x


def one_of_each_inverse_pair(ops: Operators) -> list[int]:
    """Rows of the operators without the identity, and with only one of each pair R, R^-1."""
    chosen: list[int] = []
    for i, rotation in enumerate(ops.rotations):
        identity = (rotation == np.eye(3, dtype=np.int64)).all()
        if not identity and not any(
            (rotation @ ops.rotations[j] == np.eye(3, dtype=np.int64)).all() for j in chosen
        ):
            chosen.append(i)
    return chosen
