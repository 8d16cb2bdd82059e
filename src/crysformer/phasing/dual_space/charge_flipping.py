"""Charge flipping from many random starts at once, and the elimination of low density.

Oszlanyi & Suto, Acta Cryst. A60, 134 (2004) and A61, 147 (2005): the density below a small
threshold changes sign, the measured amplitudes are put back, and so on. Here

- the threshold is a rank, not a height: a stated share of the voxels stays positive. That share
  and the sharpening differ from start to start, since tight and empty cells need different ones;
- reflections that were not measured, and F(000), keep what the flipped density gives them;
- all starts of a batch share each FFT.
"""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor

from crysformer.phasing.dual_space.projections import (
    DIMS,
    boost,
    impose,
    out_of_time,
    sharpened,
    to_half_grid,
    to_map,
    upper_quantile,
)
from crysformer.phasing.problem import PhaseProblem

# The threshold drifts slowly, and finding a rank costs as much as an FFT.
_ITERATIONS_PER_THRESHOLD = 10
_FEWEST_ELIMINATIONS = 2


def random_phases(problem: PhaseProblem, n: int, generator: torch.Generator) -> Tensor:
    """Half grids (n, ...) of the measured amplitudes with uniformly random phases.

    The generator is a CPU one, so that a seed gives the same starts on every device.
    """
    angle = 2 * math.pi * torch.rand((n, *problem.amplitude.shape), generator=generator)
    angle = angle.to(problem.device)
    return torch.polar(problem.amplitude.expand_as(angle).contiguous(), angle)


def charge_flipping(
    problem: PhaseProblem,
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
    problem
        The crystal.
    F
        Where to start, half grids (B, ...).
    iterations
        How many.
    positive_fraction
        Share of the voxels left as they are, the highest, shape (B,).
    sharpening
        B (A^2) taken away from the amplitudes, shape (B,).
    deadline
        `time.monotonic` after which the iterations end early.
    reserve
        End as many iterations' time before that.

    Returns
    -------
    Tensor
        Half grids (B, ...), measured amplitudes (sharpened, as scaled) with the phases found.
    """
    amplitude = sharpened(problem, sharpening)
    F = impose(problem, F, amplitude)
    threshold = F.new_zeros(())
    begun = time.monotonic()
    for i in range(iterations):
        if out_of_time(begun, i, reserve, deadline):
            break
        rho = to_map(problem, F)
        if i % _ITERATIONS_PER_THRESHOLD == 0:
            threshold = upper_quantile(rho, positive_fraction)
        rho = torch.where(rho < threshold, -rho, rho)
        F = impose(problem, to_half_grid(rho), amplitude)
    return F


def eliminate_low_density(
    problem: PhaseProblem,
    F: Tensor,
    iterations: int,
    positive_fraction: Tensor,
    sharpening: Tensor,
    deadline: float = math.inf,
) -> tuple[Tensor, Tensor]:
    """Settle phases that are nearly right: density counts only as far as it is above a level.

    rho becomes max(rho - level, 0). Cutting the level off, and not only what lies below it (the
    low-density elimination of Shiono & Woolfson, Acta Cryst. A48, 451, 1992), leaves no steps at
    the rim of an atom; it gives the smaller phase error here.

    Parameters
    ----------
    problem, F, iterations, positive_fraction, sharpening
        As `charge_flipping`.
    deadline
        `time.monotonic` after which the iterations end early, but not before the first few.

    Returns
    -------
    F
        Half grids (B, ...): measured amplitudes as they are (not sharpened), the last phases, and
        zero where not measured.
    modified
        Half grids (B, ...) of the modified density, everywhere within the resolution limits,
        not sharpened and on the scale of the measured amplitudes: what the phases stand for.
    """
    amplitude = sharpened(problem, sharpening)
    inside = problem.measured | problem.floating
    F = impose(problem, F, amplitude)
    modified = F
    for i in range(iterations):
        if i >= _FEWEST_ELIMINATIONS and time.monotonic() > deadline:
            break
        rho = to_map(problem, F)
        rho = (rho - upper_quantile(rho, positive_fraction)).clamp(min=0)
        modified = to_half_grid(rho)
        F = impose(problem, modified, amplitude)
    modified = torch.where(inside, modified / boost(problem, sharpening), 0)
    return problem.with_amplitudes(F), modified * _scale(problem, modified.abs())


def amplitude_r(problem: PhaseProblem, F: Tensor) -> Tensor:
    """R = sum | |F_obs| - k |F| | / sum |F_obs| over the measured, k by least squares, (B,)."""
    modulus = F.abs()
    difference = (_scale(problem, modulus) * modulus - problem.amplitude).abs() * problem.weight
    return difference.sum(DIMS) / (problem.amplitude * problem.weight).sum()


def _scale(problem: PhaseProblem, modulus: Tensor) -> Tensor:
    cross = (modulus * problem.amplitude * problem.weight).sum(DIMS, keepdim=True)
    square = (modulus**2 * problem.weight).sum(DIMS, keepdim=True)
    return cross / square.clamp(min=1e-30)
