"""Relaxed averaged alternating reflections in a support that follows the density.

Luke, Inverse Problems 21, 37 (2005): of a map x, with P the projection onto the measured
amplitudes, S that onto positive density within a support, and reflections R = 2 P - 1,

    x  <-  beta / 2 (R_S R_P + 1) x  +  (1 - beta) P x .

Where most of the cell is empty, that most voxels are zero tells more than that density is
positive, and it holds at any resolution. Where they are is not known before; the support is found
as the search goes (shrink-wrap, Marchesini et al., Phys. Rev. B 68, 140101, 2003): a stated
fraction of the voxels, those where the density, smoothed ever less, is highest.

Reflections that were not measured, and F(000), are whatever the map makes them. Each FFT
serves all starts of a batch, and an iteration costs as much as one of charge flipping.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from crysformer.crystal.fourier.grids import DIMS
from crysformer.phasing.dual_space.projections import (
    ModulusProjection,
    impose,
    sharpened,
    timed_iterations,
    to_half_grid,
    to_map,
    upper_quantile,
)
from crysformer.phasing.p1_grid import P1Grid

_BETA = 0.82
_ITERATIONS_PER_SUPPORT = 10
_NARROWING = 0.6  # fraction of the iterations in which the smoothing falls to its last width
_ALTERNATING = 10  # last iterations without relaxation, which converge to the nearest solution


def raar(
    grid: P1Grid,
    F: Tensor,
    iterations: int,
    support_fraction: Tensor,
    width: Tensor,
    sharpening: Tensor,
    deadline: float = math.inf,
    reserve: int = 0,
    beta: float = _BETA,
    converged: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Search for phases whose density is positive within a support and nil outside.

    Parameters
    ----------
    grid, F, sharpening, deadline, reserve
        As `crysformer.phasing.dual_space.charge_flipping.charge_flipping`.
    iterations
        Number of iterations; the last ten are plain alternating projections.
    support_fraction
        Fraction of the voxels in the support, shape (B,).
    width
        Standard deviation of the Gaussian that smooths the density for the support in the end, A,
        shape (B,); twice as much at first.
    beta
        As `relax`.
    converged
        Misfit relative to that of the tenth iteration below which a start counts as converged; the
        first one ends the iterations, but for the last ten. With 0 all are done.

    Returns
    -------
    F
        Half grids (B, ...), as `charge_flipping`.
    relative_misfit
        Misfit (`support_misfit`) before the last ten iterations, relative to that of the tenth,
        shape (B,); 1 where there were fewer. It falls to a half or less when a start finds the
        solution, and stays where it was otherwise.
    """
    amplitude = sharpened(grid, sharpening)
    modulus = ModulusProjection(grid, amplitude)
    F = impose(grid, F, amplitude)
    rho = to_map(grid, F)
    support = torch.ones_like(rho, dtype=torch.bool)
    outside = torch.zeros_like(rho)
    relative_misfit = torch.ones(len(F), device=grid.device)
    first_misfit: Tensor | None = None
    relaxed, narrowing = iterations - _ALTERNATING, _NARROWING * iterations
    for i in timed_iterations(iterations, reserve, deadline):
        if i == relaxed + _ALTERNATING:
            break
        F = modulus.in_place(to_half_grid(rho))
        phased = to_map(grid, F)
        if i % _ITERATIONS_PER_SUPPORT == 0:
            wider = 2 - min(1.0, i / narrowing)
            support = shrink_wrap(grid, F, support_fraction, wider * width)
            outside = torch.where(support, 0.0, math.inf)
        if i >= relaxed:
            rho = within(phased, support)
            continue
        rho = relax(rho, phased, outside, beta)
        if (i + 1) % _ITERATIONS_PER_SUPPORT == 0:
            misfit = support_misfit(phased, support)
            first_misfit = misfit if first_misfit is None else first_misfit
            relative_misfit = misfit / first_misfit
            if bool((relative_misfit < converged).any()):
                relaxed, narrowing = i + 1, i + 1  # a final support for the last iterations
    return F.resolve_conj(), relative_misfit


def support_misfit(phased: Tensor, support: Tensor) -> Tensor:
    """Distance of maps (B, ...) to the nearest ones `within` the support, by their own norm, (B,).

    The error metric of the difference map (Elser, J. Opt. Soc. Am. A20, 40, 2003): zero for a
    solution, if amplitudes and support are exact.
    """
    norm = torch.linalg.vector_norm(phased, dim=DIMS)
    return torch.linalg.vector_norm(phased - within(phased, support), dim=DIMS) / norm


def shrink_wrap(grid: P1Grid, F: Tensor, fraction: Tensor, width: Tensor) -> Tensor:
    """Support: bool maps (B, ...), true where the smoothed density is highest.

    Parameters
    ----------
    grid
        The crystal.
    F
        Phased amplitudes, half grids (B, ...).
    fraction
        Fraction of the voxels, shape (B,).
    width
        Standard deviation of the Gaussian that smooths, A, shape (B,).
    """
    spread = (math.pi * width.to(grid.d_star_sq).reshape(-1, 1, 1, 1)) ** 2
    damping = torch.exp(-2 * spread * grid.d_star_sq)
    smooth = to_map(grid, F * damping)
    return smooth >= upper_quantile(smooth, fraction)


def within(rho: Tensor, support: Tensor) -> Tensor:
    """The nearest map that is nowhere negative, and zero outside the support."""
    return torch.where(support, rho.clamp(min=0), 0)


def relax(rho: Tensor, phased: Tensor, outside: Tensor, beta: float = _BETA) -> Tensor:
    """One step of RAAR, in place: `rho` becomes the next map.

    Parameters
    ----------
    rho
        The map, (B, ...).
    phased
        Its projection onto the measured amplitudes.
    outside
        Zero in the support and infinite outside, (B, ...).
    beta
        1 is the difference map (Elser, J. Opt. Soc. Am. A20, 40, 2003) with its own beta of 1;
        less is steadier.
    """
    # R_S of a voxel that stays (in the support, 2 phased >= rho) is itself, so that the step is to
    # `phased`; of all others minus it, so that the step is to beta rho + (1 - 2 beta) phased
    short = torch.sub(phased, rho, alpha=0.5)
    torch.minimum(short, outside, out=short)
    return torch.add(phased, short, alpha=-2 * beta, out=rho)
