"""Real Fourier series of listed terms on a grid of the cell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfftn

from crysformer.crystal.fourier.grid_shapes import Shape


def real_fourier_series(
    index: NDArray[np.int64], coefficients: NDArray[np.complex128], shape: Shape
) -> NDArray[np.float64]:
    """Real part of sum c exp(2 pi i index.x) on a grid of fractional x, shape (nu, nv, nw).

    Parameters
    ----------
    index
        Indices of the terms, shape (n, 3); any half of reciprocal space, also repeated.
    coefficients
        Their coefficients c, shape (n,).
    shape
        (nu, nv, nw); indices beyond half of it are folded back.
    """
    nu, nv, nw = shape
    rows = index % shape
    # only the real part counts: a term of the other half is replaced by its complex conjugate
    flip = rows[:, 2] > nw // 2
    rows = np.where(flip[:, None], (-rows) % shape, rows)
    coefficients = np.where(flip, coefficients.conj(), coefficients)
    # irfftn adds the conjugate of every term, except in these planes, where it takes the real part
    single = (rows[:, 2] == 0) | (2 * rows[:, 2] == nw)
    half = np.zeros((nu, nv, nw // 2 + 1), dtype=np.complex128)
    np.add.at(half, tuple(rows.T), np.where(single, 1.0, 0.5) * coefficients)
    return np.asarray(irfftn(half, s=shape, norm="forward"))
