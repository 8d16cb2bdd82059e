"""Candidates from phases, polished by density modification."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from crysformer.phasing.candidate import Candidate
from crysformer.phasing.dual_space.density_modification import eliminate_low_density
from crysformer.phasing.dual_space.free_correlation import free_correlation
from crysformer.phasing.merit.figures import DensityFigures
from crysformer.phasing.merit.r_factor import grid_r_factor, noise_floor
from crysformer.phasing.problem import PhasingProblem

_ITERATIONS = 15
_SHARPENED = 0.25  # fraction of the mean B taken away from the amplitudes


def polish_by_density_modification(
    problem: PhasingProblem,
    method: str,
    F: Tensor,
    positive_fraction: Tensor,
    n_keep: int,
    generator: torch.Generator,
    deadline: float = math.inf,
) -> list[Candidate]:
    """Polish phases by density modification and rate them, best first.

    Parameters
    ----------
    problem
        The crystal.
    method
        Name of the method that found the phases.
    F
        Phases, half grids (B, ...).
    positive_fraction
        Fraction of the voxels above the level, shape (B,).
    n_keep
        Number of candidates to keep, by R factor.
    generator
        For the cross-validation.
    deadline
        `time.monotonic` after which polishing and rating are cut short (large cells only need it).
    """
    grid = problem.grid
    sharpening = torch.full_like(positive_fraction, _SHARPENED * problem.content.b_iso)
    F, model = eliminate_low_density(grid, F, _ITERATIONS, positive_fraction, sharpening, deadline)
    r = grid_r_factor(grid, model)
    keep = r.argsort()[:n_keep]
    F, model, r = F[keep], model[keep], r[keep]
    positive_fraction = positive_fraction[keep.cpu()]
    free = free_correlation(grid, F, positive_fraction, generator, deadline)
    noise = noise_floor(grid)
    candidates = [
        Candidate(
            method=method,
            F=F[i],
            model=model[i],
            figures=DensityFigures(
                r=float(r[i]),
                free_correlation=float(free[i]),
                noise=noise,
                reflections_per_volume=grid.reflections_per_volume,
            ),
            positive_fraction=float(positive_fraction[i]),
        )
        for i in range(len(keep))
    ]
    return sorted(candidates, key=lambda c: c.confidence, reverse=True)
