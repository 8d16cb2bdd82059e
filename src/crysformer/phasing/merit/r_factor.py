"""R factor of amplitudes, its scale, and what measurement errors leave of it."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from crysformer.phasing.p1_grid import P1Grid

_DIMS = (-3, -2, -1)


def amplitude_r(grid: P1Grid, F: Tensor) -> Tensor:
    """R = sum | |F_obs| - k |F| | / sum |F_obs| over the measured, k by least squares, (B,)."""
    modulus = F.abs()
    difference = (amplitude_scale(grid, modulus) * modulus - grid.amplitude).abs() * grid.weight
    return difference.sum(_DIMS) / (grid.amplitude * grid.weight).sum()


def amplitude_scale(grid: P1Grid, modulus: Tensor) -> Tensor:
    """Least-squares scale k of |F| (B, half grid) to the measured amplitudes, (B, 1, 1, 1)."""
    cross = (modulus * grid.amplitude * grid.weight).sum(_DIMS, keepdim=True)
    square = (modulus**2 * grid.weight).sum(_DIMS, keepdim=True)
    return cross / square.clamp(min=1e-30)


def noise_floor(grid: P1Grid) -> float:
    """R factor that a perfect model would have, from the measured uncertainties.

    sqrt(2 / pi) sum sigma / sum F for normal errors; zero where no uncertainties are known.
    """
    data = grid.data
    if data.sigf is None:
        return 0.0
    used = data.measured & np.isfinite(data.sigf)
    return float(np.sqrt(2 / np.pi) * data.sigf[used].sum() / data.f[used].sum())
