"""Relaxed averaged alternating reflections in a support that follows the density.

Luke, Inverse Problems 21, 37 (2005): of a map x, with P the projection onto the measured
amplitudes, S that onto positive density within a support, and reflections R = 2 P - 1,

    x  <-  beta / 2 (R_S R_P + 1) x  +  (1 - beta) P x .

Where most of the cell is empty, that most voxels are zero tells more than that density is
positive, and it holds at any resolution. Where they are is not known before; the support is found
as the search goes (shrink-wrap, Marchesini et al., Phys. Rev. B 68, 140101, 2003): a stated share
of the voxels, those where the density, smoothed ever less, is highest.

Reflections that were not measured, and F(000), are whatever the map makes them. All starts of a
batch share each FFT, and an iteration costs as much as one of charge flipping.
"""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor

from crysformer.phasing.dual_space.projections import (
    impose,
    out_of_time,
    sharpened,
    to_half_grid,
    to_map,
    upper_quantile,
)
from crysformer.phasing.problem import PhaseProblem

_BETA = 0.82
_ITERATIONS_PER_SUPPORT = 10
_NARROWING = 0.6  # share of the iterations in which the smoothing falls to its last width
_ALTERNATING = 10  # last iterations without relaxation, which settle in the nearest solution


def raar(
    problem: PhaseProblem,
    F: Tensor,
    iterations: int,
    support_fraction: Tensor,
    width: Tensor,
    sharpening: Tensor,
    deadline: float = math.inf,
    reserve: int = 0,
) -> Tensor:
    """Search for phases whose density is positive within a support and nil outside.

    Parameters
    ----------
    problem
        The crystal.
    F
        Where to start, half grids (B, ...).
    iterations
        How many; the last ten are plain alternating projections.
    support_fraction
        Share of the voxels that the support holds, shape (B,).
    width
        Standard deviation of the Gaussian that smooths the density for the support in the end, A,
        shape (B,); twice as much at first.
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
    rho = to_map(problem, F)
    support = torch.ones_like(rho, dtype=torch.bool)
    begun = time.monotonic()
    for i in range(iterations):
        if out_of_time(begun, i, reserve, deadline):
            break
        F = impose(problem, to_half_grid(rho), amplitude)
        phased = to_map(problem, F)
        if i % _ITERATIONS_PER_SUPPORT == 0:
            wider = 2 - min(1.0, i / (_NARROWING * iterations))
            support = shrink_wrap(problem, F, support_fraction, wider * width)
        if i < iterations - _ALTERNATING:
            rho = relaxed(rho, phased, support)
        else:
            rho = within(phased, support)
    return F


def shrink_wrap(problem: PhaseProblem, F: Tensor, share: Tensor, width: Tensor) -> Tensor:
    """Where the smoothed density is highest, bool maps (B, ...).

    Parameters
    ----------
    problem
        The crystal.
    F
        Phased amplitudes, half grids (B, ...).
    share
        Share of the voxels, shape (B,).
    width
        Standard deviation of the Gaussian that smooths, A, shape (B,).
    """
    spread = (math.pi * width.to(problem.d_star_sq).reshape(-1, 1, 1, 1)) ** 2
    damping = torch.exp(-2 * spread * problem.d_star_sq)
    smooth = to_map(problem, F * damping)
    return smooth >= upper_quantile(smooth, share)


def within(rho: Tensor, support: Tensor) -> Tensor:
    """The nearest map that is nowhere negative, and zero outside the support."""
    return torch.where(support, rho.clamp(min=0), 0)


def relaxed(rho: Tensor, phased: Tensor, support: Tensor, beta: float = _BETA) -> Tensor:
    """One step of RAAR.

    Parameters
    ----------
    rho
        The map, (B, ...).
    phased
        Its projection onto the measured amplitudes.
    support
        Bool, (B, ...).
    beta
        1 is the difference map (Elser, J. Opt. Soc. Am. A20, 40, 2003) with its own beta of 1;
        less is steadier.
    """
    # R_S of a voxel that stays is itself, so that the step is to `phased`; of all others, minus it
    stays = support & (2 * phased >= rho)
    return torch.where(stays, phased, beta * rho + (1 - 2 * beta) * phased)
