"""Translation functions as maps: their Fourier synthesis, distinct peaks, polar axes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfftn

from crysformer.crystal.fourier.grids import Shape


def real_map(
    index: list[NDArray[np.int64]], values: list[NDArray[np.complex128]], shape: Shape
) -> NDArray[np.float64]:
    """Real part of the sum of values * exp(2 pi i index.t), on a grid of fractional t.

    Parameters
    ----------
    index
        Indices of each part of the sum, shape (n, 3) each; any half of reciprocal space.
    values
        Their coefficients, shape (n,) each.
    shape
        Shape (nu, nv, nw) of the grid; indices beyond half of it are folded back.

    Returns
    -------
    NDArray
        Shape (nu, nv, nw).
    """
    nu, nv, nw = shape
    rows, coefficients = np.concatenate(index) % shape, np.concatenate(values)
    # for the real part, terms of the other half are replaced by their complex conjugates
    flip = rows[:, 2] > nw // 2
    rows = np.where(flip[:, None], (-rows) % shape, rows)
    coefficients = np.where(flip, coefficients.conj(), coefficients)
    double = (rows[:, 2] == 0) | (2 * rows[:, 2] == nw)
    half = np.zeros((nu, nv, nw // 2 + 1), dtype=np.complex128)
    np.add.at(half, tuple(rows.T), np.where(double, 1.0, 0.5) * coefficients)
    return np.asarray(irfftn(half, s=shape, norm="forward"))


def distinct(correlation: NDArray[np.float64], n: int, tolerance: float) -> NDArray[np.int64]:
    """Rows of the `n` highest correlations that differ by more than `tolerance`.

    Solutions at permissible origins have the same amplitudes, hence the same correlation.
    """
    order = np.argsort(-correlation, kind="stable")
    fresh = np.diff(correlation[order], prepend=np.inf) < -tolerance
    return np.asarray(order[fresh][:n])


def free_axes(rotations: NDArray[np.int64]) -> list[bool]:
    """Axes along which every rotation (m, 3, 3) leaves a shift as it is: there the origin is free.

    Returns
    -------
    One flag for each of the three axes.
    """
    free: list[bool] = (rotations == np.eye(3)).all(axis=(0, 1)).tolist()
    return free
