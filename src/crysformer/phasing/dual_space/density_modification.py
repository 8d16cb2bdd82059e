"""Polishing of phases by density modification."""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor

from crysformer.phasing.dual_space.projections import (
    ModulusProjection,
    boost,
    impose,
    sharpened,
    to_half_grid,
    to_map,
    upper_quantile,
)
from crysformer.phasing.merit.r_factor import grid_scale
from crysformer.phasing.p1_grid import P1Grid

_MIN_ELIMINATIONS = 2


def eliminate_low_density(
    grid: P1Grid,
    F: Tensor,
    iterations: int,
    positive_fraction: Tensor,
    sharpening: Tensor,
    deadline: float = math.inf,
) -> tuple[Tensor, Tensor]:
    """Polish phases that are nearly right: density counts only as far as it is above a level.

    rho becomes max(rho - level, 0). Cutting the level off, and not only what lies below it (the
    low-density elimination of Shiono & Woolfson, Acta Cryst. A48, 451, 1992), leaves no steps at
    the rim of an atom; it gives the smaller phase error here.

    Parameters
    ----------
    grid, F, iterations, positive_fraction, sharpening
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
    amplitude = sharpened(grid, sharpening)
    inside = grid.measured | grid.floating
    modulus = ModulusProjection(grid, amplitude)
    F = impose(grid, F, amplitude)
    modified = F
    for i in range(iterations):
        if i >= _MIN_ELIMINATIONS and time.monotonic() > deadline:
            break
        rho = to_map(grid, F)
        rho = rho.sub_(upper_quantile(rho, positive_fraction)).clamp_(min=0)
        modified = to_half_grid(rho)
        F = modulus.in_place(modified.clone())
    modified = torch.where(inside, modified / boost(grid, sharpening), 0)
    return grid.with_amplitudes(F), modified * grid_scale(grid, modified.abs())
