"""Waves of the atoms of a crystal along its axes, and memory for the sums over them, compiled."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crysformer.compiled import compiled
from crysformer.phasing.refinement.trigonometric_sums import TrigonometricSums

# Series of cosine (even powers) and sine (odd), enough in float64 up to pi / 2.
_TAYLOR = tuple((-1) ** (n // 2) / math.factorial(n) for n in range(20))


class Workspace(NamedTuple):
    """Memory for the sums of one set of atoms.

    Attributes
    ----------
    fractional, slope
        Fractional coordinates of all summands, and the gradient with respect to them, shape (3, m).
    x, y, z
        Cosines and sines of 2 pi h x, k y and l z of all summands: element 2 h is the cosine, shape
        (2 + 2 h, m).
    left, right, d_left, d_right
        Factors of a block of the matrix product, and the gradient with respect to them.
    sums, d_sums
        Sums of all blocks and the gradient with respect to them, shape (e, sums).
    real, imaginary, amplitude
        Of F, shape (r,).
    """

    fractional: NDArray[np.floating]
    slope: NDArray[np.floating]
    x: NDArray[np.floating]
    y: NDArray[np.floating]
    z: NDArray[np.floating]
    left: NDArray[np.floating]
    right: NDArray[np.floating]
    d_left: NDArray[np.floating]
    d_right: NDArray[np.floating]
    sums: NDArray[np.floating]
    d_sums: NDArray[np.floating]
    real: NDArray[np.floating]
    imaginary: NDArray[np.floating]
    amplitude: NDArray[np.floating]


@compiled
def workspace(s: TrigonometricSums) -> Workspace:
    """Allocate memory for `evaluate_atoms`."""
    n, dtype = len(s.atom), s.weight.dtype
    rows, columns = 0, 0
    for b in range(len(s.row_start) - 1):
        rows = max(rows, s.row_start[b + 1] - s.row_start[b])
        columns = max(columns, s.column_start[b + 1] - s.column_start[b])
    e, r = s.scattering.shape
    return Workspace(
        np.empty((3, n), dtype),
        np.empty((3, n), dtype),
        np.empty((2 * s.largest[0] + 2, n), dtype),
        np.empty((2 * s.largest[1] + 2, n), dtype),
        np.empty((2 * s.largest[2] + 2, n), dtype),
        np.empty(rows * n, dtype),
        np.empty(columns * n, dtype),
        np.empty(rows * n, dtype),
        np.empty(columns * n, dtype),
        np.empty((e, s.sum_start[-1]), dtype),
        np.empty((e, s.sum_start[-1]), dtype),
        np.empty(r, dtype),
        np.empty(r, dtype),
        np.empty(r, dtype),
    )


@compiled
def waves_of(turns: NDArray[np.floating], waves: NDArray[np.floating]) -> None:
    """Cosines and sines of whole multiples of angles.

    Those of the angles themselves are Taylor series of half the angle, doubled: unlike the
    functions of the C library they are computed for several angles at once.

    Parameters
    ----------
    turns
        Angles in turns, shape (m,).
    waves
        Filled with the cosine (even elements) and the sine (odd elements) of 0, 1, 2 ... times the
        angles, shape (2 + 2 largest multiple, m).
    """
    real = waves.dtype.type
    one, two = real(1), real(2)
    s3, s5, s7 = real(_TAYLOR[3]), real(_TAYLOR[5]), real(_TAYLOR[7])
    s9, s11, s13 = real(_TAYLOR[9]), real(_TAYLOR[11]), real(_TAYLOR[13])
    s15, s17, s19 = real(_TAYLOR[15]), real(_TAYLOR[17]), real(_TAYLOR[19])
    c2, c4, c6 = real(_TAYLOR[2]), real(_TAYLOR[4]), real(_TAYLOR[6])
    c8, c10, c12 = real(_TAYLOR[8]), real(_TAYLOR[10]), real(_TAYLOR[12])
    c14, c16, c18 = real(_TAYLOR[14]), real(_TAYLOR[16]), real(_TAYLOR[18])
    pi = real(math.pi)
    waves[0] = one
    waves[1] = real(0)
    if len(waves) <= 2:
        return
    for j in range(len(turns)):
        half = pi * (turns[j] - np.rint(turns[j]))
        u = half * half
        high = s11 + u * (s13 + u * (s15 + u * (s17 + u * s19)))
        sine = half * (one + u * (s3 + u * (s5 + u * (s7 + u * (s9 + u * high)))))
        high = c10 + u * (c12 + u * (c14 + u * (c16 + u * c18)))
        cosine = one + u * (c2 + u * (c4 + u * (c6 + u * (c8 + u * high))))
        waves[2, j] = one - two * sine * sine
        waves[3, j] = two * sine * cosine
    for h in range(2, len(waves) // 2):
        a = h // 2  # rounding errors then grow with the logarithm of h
        b = h - a
        for j in range(len(turns)):
            ca, sa, cb, sb = (
                waves[2 * a, j],
                waves[2 * a + 1, j],
                waves[2 * b, j],
                waves[2 * b + 1, j],
            )
            waves[2 * h, j] = ca * cb - sa * sb
            waves[2 * h + 1, j] = sa * cb + ca * sb


@compiled
def place_atoms(s: TrigonometricSums, w: Workspace, xyz: NDArray[np.floating]) -> None:
    """Fractional coordinates of all atoms and copies, and their waves."""
    for i in range(len(s.atom)):
        x, y, z = xyz[s.atom[i], 0], xyz[s.atom[i], 1], xyz[s.atom[i], 2]
        a = s.to_frac[0, 0] * x + s.to_frac[0, 1] * y + s.to_frac[0, 2] * z
        b = s.to_frac[1, 0] * x + s.to_frac[1, 1] * y + s.to_frac[1, 2] * z
        c = s.to_frac[2, 0] * x + s.to_frac[2, 1] * y + s.to_frac[2, 2] * z
        turn, shift = s.turn[s.copy[i]], s.shift[s.copy[i]]
        for axis in range(3):
            w.fractional[axis, i] = (
                turn[axis, 0] * a + turn[axis, 1] * b + turn[axis, 2] * c + shift[axis]
            )
    waves_of(w.fractional[0], w.x)
    waves_of(w.fractional[1], w.y)
    waves_of(w.fractional[2], w.z)
