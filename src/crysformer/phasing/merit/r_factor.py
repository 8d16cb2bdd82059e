"""R factor and least-squares scale of calculated against measured amplitudes."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from crysformer.phasing.p1_grid import P1Grid

# One implementation for both: tensors on any device, differentiable, and arrays.
_Array = TypeVar("_Array", Tensor, NDArray[np.float64])
_NO_AMPLITUDE = 1e-30  # sum of squares below which nothing is calculated and the scale is zero


def amplitude_scale(observed: _Array, calculated: _Array, weights: _Array | None = None) -> _Array:
    """Scale k that minimises sum w (|Fo| - k |Fc|)^2.

    Parameters
    ----------
    observed
        Measured amplitudes, shape (m,) or (..., m).
    calculated
        Amplitudes of one or more models, shape (..., m).
    weights
        Weight of each reflection, shape (m,) or (..., m); all equal if omitted.

    Returns
    -------
    Shape (...).
    """
    weighted = calculated if weights is None else calculated * weights
    square = (weighted * calculated).sum(-1)
    return (weighted * observed).sum(-1) / (square + _NO_AMPLITUDE)


def r_factor(
    observed: _Array,
    calculated: _Array,
    weights: _Array | None = None,
    scale: _Array | None = None,
) -> _Array:
    """R = sum w | |Fo| - k |Fc| | / sum w |Fo|.

    Parameters
    ----------
    observed, calculated, weights
        As in `amplitude_scale`.
    scale
        k, shape (...); by least squares if omitted.

    Returns
    -------
    Shape (...).
    """
    k = amplitude_scale(observed, calculated, weights) if scale is None else scale
    difference = abs(k[..., None] * calculated - observed)
    if weights is None:
        return difference.sum(-1) / observed.sum(-1)
    return (difference * weights).sum(-1) / (observed * weights).sum(-1)


def grid_scale(grid: P1Grid, modulus: Tensor) -> Tensor:
    """Scale of |F|, half grids (B, ...), to the measured amplitudes, shape (B, 1, 1, 1)."""
    k = amplitude_scale(grid.amplitude.flatten(), modulus.flatten(-3), grid.weight.flatten())
    return k[..., None, None, None]


def grid_r_factor(grid: P1Grid, F: Tensor) -> Tensor:
    """R factor of half grids (B, ...) over the measured reflections, shape (B,)."""
    return r_factor(grid.amplitude.flatten(), F.abs().flatten(-3), grid.weight.flatten())


def noise_floor(grid: P1Grid) -> float:
    """R factor that a perfect model would have, from the measured uncertainties.

    sqrt(2 / pi) sum sigma / sum F for normal errors; zero where no uncertainties are known.
    """
    data = grid.data
    if data.sigf is None:
        return 0.0
    used = data.measured & np.isfinite(data.sigf)
    return float(np.sqrt(2 / np.pi) * data.sigf[used].sum() / data.f[used].sum())
