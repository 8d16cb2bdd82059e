"""Steps common to Fourier iterations: imposed amplitudes, maps, quantiles of density.

Half grids have the layout of `crysformer.crystal.fourier.grids`, shape (B, nu, nv, nw // 2 + 1);
maps are (B, nu, nv, nw), on the arbitrary scale of `to_map`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch import Tensor

from crysformer.phasing.p1_grid import P1Grid

DIMS = (-3, -2, -1)


def boost(grid: P1Grid, sharpening: Tensor) -> Tensor:
    """Factors on amplitudes that take B (A^2, shape (B,)) away, (B, half grid)."""
    b = sharpening.to(grid.d_star_sq).reshape(-1, 1, 1, 1)
    return torch.exp(0.25 * b * grid.d_star_sq)


def sharpened(grid: P1Grid, sharpening: Tensor) -> Tensor:
    """Measured amplitudes, sharpened, rms one over the measured, (B, half grid)."""
    amplitude = grid.amplitude * boost(grid, sharpening)
    power = (amplitude**2 * grid.weight).sum(DIMS, keepdim=True) / grid.weight.sum()
    return amplitude / power.sqrt()


def impose(grid: P1Grid, F: Tensor, amplitude: Tensor) -> Tensor:
    """Measured amplitudes with the phases of `F`; what was not measured floats.

    The nearest to `F` of all that have these amplitudes and nothing beyond the resolution.
    """
    parts = torch.view_as_real(F.resolve_conj())  # cheaper than the modulus of complex numbers
    inverse = torch.rsqrt((parts[..., 0] ** 2 + parts[..., 1] ** 2).clamp_(min=1e-36))
    return F * torch.where(grid.measured, amplitude * inverse, grid.floating)


def to_map(grid: P1Grid, F: Tensor) -> Tensor:
    """Density on the scale of a normalised inverse FFT; `to_half_grid` is its inverse."""
    return torch.fft.irfftn(F.conj(), s=grid.shape, dim=DIMS)


def to_half_grid(rho: Tensor) -> Tensor:
    """Structure factors of a map."""
    return torch.fft.rfftn(rho, dim=DIMS).conj()


def upper_quantile(rho: Tensor, fraction: Tensor) -> Tensor:
    """Density that a fraction (B,) of the voxels of each map exceeds, (B, 1, 1, 1)."""
    flat = rho.flatten(1)
    n = flat.shape[1]
    rank = ((1 - fraction.to(flat)) * n).long().clamp(0, n - 1)
    # one sort where fractions differ costs more than a selection each
    values = [row.kthvalue(int(k) + 1).values for row, k in zip(flat, rank, strict=True)]
    return torch.stack(values).reshape(-1, 1, 1, 1)


def timed_iterations(iterations: int, reserve: int, deadline: float) -> Iterator[int]:
    """Count iterations from 0, ending early when the time runs out.

    Parameters
    ----------
    iterations
        Number of iterations where time allows.
    reserve
        Iterations' worth of time to leave before the deadline.
    deadline
        Of `time.monotonic`.
    """
    begun = time.monotonic()
    for done in range(iterations):
        now = time.monotonic()
        if now + reserve * (now - begun) / max(done, 1) > deadline:
            return
        yield done
