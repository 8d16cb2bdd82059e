"""Correlation with amplitudes, and its gradient, of one set of atoms after the other, compiled.

Everything that belongs to one set of atoms stays in the caches of a core. The functions work in the
floating-point type of their arguments. `TrigonometricSums` has the notation.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from crysformer.compiled import compiled
from crysformer.phasing.refinement.compiled_waves import Workspace, place_atoms, workspace
from crysformer.phasing.refinement.trigonometric_sums import TrigonometricSums

_TINY = 1e-12  # least intensity and variance, against division by zero

Rated = tuple[np.floating, np.floating, np.floating]


@compiled
def _block(
    s: TrigonometricSums, w: Workspace, b: int, first: int, last: int
) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Factors (rows, atoms) and (columns, atoms) of a block for summands `first` to `last`."""
    n = last - first
    rows = s.row[s.row_start[b] : s.row_start[b + 1]]
    columns = s.column[s.column_start[b] : s.column_start[b + 1]]
    left = w.left[: len(rows) * n].reshape((len(rows), n))
    right = w.right[: len(columns) * n].reshape((len(columns), n))
    weight = s.weight[first:last]
    for i in range(len(rows)):
        wave, out = w.x[rows[i], first:last], left[i]
        for j in range(n):
            out[j] = weight[j] * wave[j]
    for i in range(len(columns)):
        y, z, out = w.y[columns[i, 0], first:last], w.z[columns[i, 1], first:last], right[i]
        for j in range(n):
            out[j] = y[j] * z[j]
    return left, right


@compiled
def _structure_factors(s: TrigonometricSums, w: Workspace) -> None:
    """Real and imaginary parts of F from the waves."""
    real, imaginary = w.real, w.imaginary
    real[:] = 0
    imaginary[:] = 0
    for e in range(len(s.group) - 1):
        first, last = s.group[e], s.group[e + 1]
        sums, scattering = w.sums[e], s.scattering[e]
        for b in range(len(s.row_start) - 1):
            left, right = _block(s, w, b, first, last)
            out = sums[s.sum_start[b] : s.sum_start[b + 1]]
            np.dot(left, right.T, out.reshape((len(left), len(right))))
        for t in range(len(s.real_sum)):
            place, factor = s.real_sum[t], s.real_factor[t]
            for r in range(len(real)):
                real[r] += scattering[r] * factor[r] * sums[place[r]]
        for t in range(len(s.imaginary_sum)):
            place, factor = s.imaginary_sum[t], s.imaginary_factor[t]
            for r in range(len(imaginary)):
                imaginary[r] += scattering[r] * factor[r] * sums[place[r]]


@compiled
def _rate(s: TrigonometricSums, w: Workspace, gradient: bool) -> Rated:
    """Correlation, overlap and score; with `gradient`, that of the score with respect to F.

    The gradient replaces the real and imaginary parts of F.
    """
    number = w.real.dtype.type
    tiny, zero = number(_TINY), number(0)
    real, imaginary, amplitude = w.real, w.imaginary, w.amplitude
    weight, observed, pairs = s.weight_of, s.observed, s.pairs
    overlap, mean = zero, zero
    for r in range(len(real)):
        intensity = real[r] * real[r] + imaginary[r] * imaginary[r]
        overlap += pairs[r] * intensity
        amplitude[r] = math.sqrt(max(intensity, tiny))
        mean += weight[r] * amplitude[r]
    variance, product = zero, zero
    for r in range(len(real)):
        centred = amplitude[r] - mean
        variance += weight[r] * centred * centred
        product += weight[r] * observed[r] * amplitude[r]
    spread = math.sqrt(max(variance, tiny))
    correlation = product / spread
    if gradient:
        share, twice = correlation / spread, number(2) * s.overlap[0]
        for r in range(len(real)):
            slope = weight[r] * (observed[r] - (amplitude[r] - mean) * share)
            slope = slope / (spread * amplitude[r]) - twice * pairs[r]
            real[r] *= slope
            imaginary[r] *= slope
    return correlation, overlap, correlation - s.overlap[0] * overlap


@compiled
def _derivative(element: int, number: type) -> float:
    """Factor of the other wave of a pair in the derivative of wave `element` by its coordinate."""
    slope = number(2 * math.pi * (element // 2))
    return slope if element % 2 else -slope


@compiled
def _slopes(s: TrigonometricSums, w: Workspace) -> None:
    """Gradient with respect to fractional coordinates, from that with respect to F."""
    number = w.real.dtype.type
    w.slope[:] = 0
    for e in range(len(s.group) - 1):
        first, last = s.group[e], s.group[e + 1]
        n = last - first
        d_sums, scattering = w.d_sums[e], s.scattering[e]
        d_sums[:] = 0
        for t in range(len(s.real_sum)):
            place, factor = s.real_sum[t], s.real_factor[t]
            for r in range(len(w.real)):
                d_sums[place[r]] += scattering[r] * factor[r] * w.real[r]
        for t in range(len(s.imaginary_sum)):
            place, factor = s.imaginary_sum[t], s.imaginary_factor[t]
            for r in range(len(w.real)):
                d_sums[place[r]] += scattering[r] * factor[r] * w.imaginary[r]
        along_x, along_y, along_z = (
            w.slope[0, first:last],
            w.slope[1, first:last],
            w.slope[2, first:last],
        )
        weight = s.weight[first:last]
        for b in range(len(s.row_start) - 1):
            left, right = _block(s, w, b, first, last)
            flat = d_sums[s.sum_start[b] : s.sum_start[b + 1]]
            d_block = flat.reshape((len(left), len(right)))
            d_left = w.d_left[: left.size].reshape(left.shape)
            d_right = w.d_right[: right.size].reshape(right.shape)
            np.dot(d_block, right, d_left)
            np.dot(d_block.T, left, d_right)
            for i in range(len(left)):
                row = s.row[s.row_start[b] + i]
                h = _derivative(row, number)
                wave, d = w.x[row ^ 1, first:last], d_left[i]
                for j in range(n):
                    along_x[j] += h * weight[j] * d[j] * wave[j]
            for i in range(len(right)):
                row, column = s.column[s.column_start[b] + i]
                d_y, d_z = _derivative(row, number), _derivative(column, number)
                y, dy = w.y[row, first:last], w.y[row ^ 1, first:last]
                z, dz = w.z[column, first:last], w.z[column ^ 1, first:last]
                d = d_right[i]
                for j in range(n):
                    along_y[j] += d_y * d[j] * dy[j] * z[j]
                    along_z[j] += d_z * d[j] * y[j] * dz[j]


@compiled
def evaluate_atoms(
    s: TrigonometricSums,
    w: Workspace,
    xyz: NDArray[np.floating],
    force: NDArray[np.floating],
) -> Rated:
    """Correlation, overlap and score of one set of atoms.

    Parameters
    ----------
    s
        The sums.
    w
        Memory from `workspace`.
    xyz
        Cartesian coordinates, shape (n, 3), A.
    force
        Filled with the gradient of the score, shape (n, 3), 1/A; empty if none is wanted.
    """
    place_atoms(s, w, xyz)
    _structure_factors(s, w)
    rated = _rate(s, w, len(force) > 0)
    if len(force):
        _slopes(s, w)
        force[:] = 0
        for i in range(len(s.atom)):
            turn, row = s.turn[s.copy[i]], force[s.atom[i]]
            x, y, z = w.slope[0, i], w.slope[1, i], w.slope[2, i]
            a = turn[0, 0] * x + turn[1, 0] * y + turn[2, 0] * z
            b = turn[0, 1] * x + turn[1, 1] * y + turn[2, 1] * z
            c = turn[0, 2] * x + turn[1, 2] * y + turn[2, 2] * z
            for axis in range(3):
                row[axis] += (
                    s.to_frac[0, axis] * a + s.to_frac[1, axis] * b + s.to_frac[2, axis] * c
                )
    return rated


@compiled
def evaluate_batch(
    s: TrigonometricSums,
    xyz: NDArray[np.floating],
    rated: NDArray[np.floating],
    force: NDArray[np.floating],
) -> None:
    """Evaluate several sets of atoms.

    Parameters
    ----------
    s
        The sums.
    xyz
        Cartesian coordinates, shape (B, n, 3), A.
    rated
        Filled with correlation, overlap and score of each, shape (B, 3).
    force
        Filled with the gradient of each score, shape (B, n, 3), 1/A; empty if none is wanted.
    """
    w = workspace(s)
    unused = np.empty((0, 3), xyz.dtype)
    for i in range(len(xyz)):
        out = force[i] if len(force) else unused
        rated[i, 0], rated[i, 1], rated[i, 2] = evaluate_atoms(s, w, xyz[i], out)
