"""Phases improved by density modification before tracing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from crysformer.crystal.reflections import CrystalData
from crysformer.phasing.dual_space.density_modification import eliminate_low_density
from crysformer.phasing.dual_space.starting_parameters import positive_fractions
from crysformer.phasing.merit.r_factor import grid_r_factor
from crysformer.phasing.problem import phasing_problem

_FRACTIONS = 4  # of positive voxels, of which the one with the lowest R factor is taken
_SHARPENED = 0.25  # fraction of the mean B taken away from the amplitudes


def modified_phases(
    data: CrystalData,
    F: NDArray[np.complex128],
    sequences: Sequence[str],
    iterations: int,
    seed: int = 0,
    deadline: float = math.inf,
) -> NDArray[np.complex128]:
    """Measured amplitudes with phases improved by low-density elimination.

    Parameters
    ----------
    data
        The crystal.
    F
        Weighted map coefficients at its reflections, shape (n_data,); zero or NaN where there is no
        phase.
    sequences
        All chains of the asymmetric unit.
    iterations
        Iterations of density modification.
    seed
        Seed of the fractions of positive voxels.
    deadline
        `time.monotonic` after which the iterations end early.

    Returns
    -------
    Shape (n_data,); NaN where not measured.
    """
    problem = phasing_problem(data, tuple(sequences), copies=1)
    generator = torch.Generator().manual_seed(seed)
    fraction = positive_fractions(problem, _FRACTIONS, generator)
    start = problem.expand(np.nan_to_num(F))[None].repeat(_FRACTIONS, 1, 1, 1)
    sharpening = torch.full_like(fraction, _SHARPENED * problem.content.b_iso)
    modified, model = eliminate_low_density(
        problem.grid, start, iterations, fraction, sharpening, deadline
    )
    best = int(grid_r_factor(problem.grid, model).argmin())
    return problem.average(modified[best])
