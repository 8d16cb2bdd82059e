"""Steps common to Fourier iterations: imposed amplitudes, maps, quantiles of density.

Half grids have the layout of `crysformer.crystal.fourier.grids`, shape (B, nu, nv, nw // 2 + 1);
maps are (B, nu, nv, nw), on the arbitrary scale of `to_map`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from crysformer.crystal.fourier.grids import DIMS, half_grid_of, real_space
from crysformer.phasing.p1_grid import P1Grid


def boost(grid: P1Grid, sharpening: Tensor) -> Tensor:
    """Factors on amplitudes that take B (A^2, shape (B,)) away, (B, half grid)."""
    b = sharpening.to(grid.d_star_sq).reshape(-1, 1, 1, 1)
    return torch.exp(0.25 * b * grid.d_star_sq)


def sharpened(grid: P1Grid, sharpening: Tensor) -> Tensor:
    """Measured amplitudes, sharpened, rms one over the measured, (B, half grid)."""
    amplitude = grid.amplitude * boost(grid, sharpening)
    power = (amplitude**2 * grid.weight).sum(DIMS, keepdim=True) / grid.weight.sum()
    return amplitude / power.sqrt()


class ModulusProjection:
    """Projection onto the measured amplitudes; what was not measured floats.

    The result is the nearest to `F` of all that have these amplitudes and nothing beyond the
    resolution. Loops make one of these for all their iterations.

    Parameters
    ----------
    grid
        The crystal.
    amplitude
        Amplitudes that the measured reflections get, (half grid) or (B, half grid).
    """

    def __init__(self, grid: P1Grid, amplitude: Tensor) -> None:
        self._amplitude = torch.where(grid.measured, amplitude, 0)
        self._floating = grid.floating.to(amplitude)

    def in_place(self, F: Tensor) -> Tensor:
        """`F` (B, half grid) itself, changed: new memory costs more than the arithmetic."""
        plain = F.conj() if F.is_conj() else F  # one memory; the factors are real
        parts = torch.view_as_real(plain)  # cheaper than the modulus of complex numbers
        factor = parts[..., 0].square().addcmul_(parts[..., 1], parts[..., 1]).clamp_(min=1e-36)
        plain.mul_(factor.rsqrt_().mul_(self._amplitude).add_(self._floating))
        return F


def impose(grid: P1Grid, F: Tensor, amplitude: Tensor) -> Tensor:
    """Measured amplitudes with the phases of `F`, as `ModulusProjection`, in new memory."""
    copy = torch.broadcast_tensors(F, amplitude)[0].clone()  # `broadcast_shapes` imports sympy
    return ModulusProjection(grid, amplitude).in_place(copy).resolve_conj()


def to_map(grid: P1Grid, F: Tensor) -> Tensor:
    """Density on the scale of a normalised inverse FFT; `to_half_grid` is its inverse."""
    return real_space(F, grid.shape)


def to_half_grid(rho: Tensor) -> Tensor:
    """Structure factors of a map."""
    return half_grid_of(rho)


def flip(rho: Tensor, threshold: Tensor) -> Tensor:
    """`rho` itself, in which density below a threshold (B, 1, 1, 1) has changed its sign."""
    above = rho - threshold
    torch.copysign(torch.ones_like(threshold), above, out=above)
    return rho.mul_(above)


def standard_deviation(rho: Tensor) -> Tensor:
    """Standard deviation of each map, (B, 1, 1, 1); in a quarter of the time of `Tensor.std`."""
    n = rho[0].numel()
    square = torch.linalg.vector_norm(rho, dim=DIMS, keepdim=True) ** 2
    mean = rho.mean(dim=DIMS, keepdim=True)
    return ((square - n * mean**2) / (n - 1)).clamp_(min=0).sqrt()


def upper_quantile(rho: Tensor, fraction: Tensor) -> Tensor:
    """Density that a fraction (B,) of the voxels of each map exceeds, (B, 1, 1, 1)."""
    flat = rho.flatten(1)
    n = flat.shape[1]
    ranks = ((1 - fraction.to(flat)) * n).long().clamp(0, n - 1).tolist()
    # one sort where fractions differ costs more than a selection each
    if flat.device.type == "cpu":  # numpy's selection takes half the time of torch's
        rows = flat.numpy()
        values = [np.partition(row, rank)[rank] for row, rank in zip(rows, ranks, strict=True)]
        return torch.tensor(values, dtype=flat.dtype).reshape(-1, 1, 1, 1)
    chosen = [row.kthvalue(rank + 1).values for row, rank in zip(flat, ranks, strict=True)]
    return torch.stack(chosen).reshape(-1, 1, 1, 1)


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
