"""Figures of merit that never see the truth."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import torch
from torch import Tensor

from crysformer.crystal.fourier.grids import DIMS
from crysformer.phasing.dual_space.density_modification import eliminate_low_density
from crysformer.phasing.p1_grid import P1Grid

_FOLDS = 5
# Independent reflections to hold out: a correlation over so many is known to about 0.02.
_HELD_OUT = 2500
_ITERATIONS = 12


def free_correlation(
    grid: P1Grid,
    F: Tensor,
    positive_fraction: Tensor,
    generator: torch.Generator,
    deadline: float = math.inf,
) -> Tensor:
    """Correlation of predicted with measured amplitudes that density modification was not given.

    A fifth of the measured reflections at a time is taken out of the map and left free while low
    density is eliminated; the correlation of the normalised amplitudes |E| so predicted with the
    measured ones is taken over all fifths, or over as many as hold enough reflections. Wrong
    phases predict hardly anything, however well they reproduce what they were fitted to (the idea
    of Bruenger's free R factor, Nature 355, 472, 1992). Phases that were found with all
    reflections keep a trace of them, so that random solutions reach more than zero.

    Parameters
    ----------
    grid
        The crystal.
    F
        Phases, half grids (B, ...).
    positive_fraction
        As in `eliminate_low_density`, shape (B,).
    generator
        For the choice of the fifths.
    deadline
        `time.monotonic` after which no further fifth is begun and iterations end early; the first
        fifth always counts.

    Returns
    -------
    Tensor
        Shape (B,), at most 1.
    """
    observed = grid.e
    to_e = torch.where(grid.measured, observed / grid.amplitude.clamp(min=1e-6), 0)
    # symmetry mates are held out together: one would give the other away
    draws = torch.randint(_FOLDS, (int(grid.independent.max()) + 1,), generator=generator)
    fold = draws.numpy()[grid.independent]
    folds = grid.to_grid(fold + 1.0).round().long() - 1
    predicted = torch.zeros_like(F.real)
    none = torch.zeros_like(positive_fraction)
    tried = min(_FOLDS, math.ceil(_FOLDS * _HELD_OUT / grid.n_independent))
    for i in range(tried):
        if i and time.monotonic() > deadline:
            tried = i
            break
        held_out = grid.measured & (folds == i)
        work = replace(
            grid,
            measured=grid.measured & ~held_out,
            floating=grid.floating | held_out,
            weight=torch.where(held_out, 0, grid.weight),
        )
        start = torch.where(held_out, 0, F)
        _, modified = eliminate_low_density(
            work, start, _ITERATIONS, positive_fraction, none, deadline
        )
        predicted = torch.where(held_out, modified.abs() * to_e, predicted)
    weight = torch.where(folds < tried, grid.weight, 0)
    return _weighted_correlation(predicted, observed.expand_as(predicted), weight)


def _weighted_correlation(x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    weight = weight / weight.sum()
    x = x - (x * weight).sum(DIMS, keepdim=True)
    y = y - (y * weight).sum(DIMS, keepdim=True)
    covariance = (x * y * weight).sum(DIMS)
    variance = (x**2 * weight).sum(DIMS) * (y**2 * weight).sum(DIMS)
    return covariance / variance.clamp(min=1e-30).sqrt()
