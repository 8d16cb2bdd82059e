"""Charge flipping from many random starts at once.

Oszlanyi & Suto, Acta Cryst. A60, 134 (2004) and A61, 147 (2005): the density below a small
threshold changes sign, the measured amplitudes are put back, and so on. Here

- the threshold is a rank, not a height: a stated fraction of the voxels stays positive. That
  fraction and the sharpening differ from start to start, since tight and empty cells need
  different ones;
- reflections that were not measured, and F(000), keep what the flipped density gives them;
- each FFT serves all starts of a batch.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from crysformer.phasing.dual_space.projections import (
    ModulusProjection,
    flip,
    impose,
    sharpened,
    timed_iterations,
    to_half_grid,
    to_map,
    upper_quantile,
)
from crysformer.phasing.p1_grid import P1Grid

# The threshold drifts slowly, and finding a rank costs as much as an FFT.
_ITERATIONS_PER_THRESHOLD = 10


def random_phases(grid: P1Grid, n: int, generator: torch.Generator) -> Tensor:
    """Half grids (n, ...) of the measured amplitudes with uniformly random phases.

    The generator is a CPU one, so that a seed gives the same starts on every device.
    """
    angle = 2 * math.pi * torch.rand((n, *grid.amplitude.shape), generator=generator)
    angle = angle.to(grid.device)
    return torch.polar(grid.amplitude.expand_as(angle).contiguous(), angle)


def charge_flipping(
    grid: P1Grid,
    F: Tensor,
    iterations: int,
    positive_fraction: Tensor,
    sharpening: Tensor,
    deadline: float = math.inf,
    reserve: int = 0,
) -> Tensor:
    """Flip low density for a number of iterations.

    Parameters
    ----------
    grid
        The crystal.
    F
        Starting phases, half grids (B, ...).
    iterations
        Number of iterations.
    positive_fraction
        Fraction of the voxels left as they are, the highest, shape (B,).
    sharpening
        B (A^2) taken away from the amplitudes, shape (B,).
    deadline
        `time.monotonic` after which the iterations end early.
    reserve
        Iterations' worth of time to leave before that.

    Returns
    -------
    Tensor
        Half grids (B, ...), measured amplitudes (sharpened, as scaled) with the phases found.
    """
    amplitude = sharpened(grid, sharpening)
    modulus = ModulusProjection(grid, amplitude)
    F = impose(grid, F, amplitude)
    threshold = F.new_zeros(())
    for i in timed_iterations(iterations, reserve, deadline):
        rho = to_map(grid, F)
        if i % _ITERATIONS_PER_THRESHOLD == 0:
            threshold = upper_quantile(rho, positive_fraction)
        F = modulus.in_place(to_half_grid(flip(rho, threshold)))
    return F.resolve_conj()
