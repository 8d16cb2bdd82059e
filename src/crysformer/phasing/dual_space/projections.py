"""The steps that Fourier iterations share: amplitudes put back, maps, heights by rank.

Half grids have the layout of `crysformer.crystal.fourier.grids`, shape (B, nu, nv, nw // 2 + 1);
maps are (B, nu, nv, nw), on the arbitrary scale of `to_map`.
"""

from __future__ import annotations

import time

import torch
from torch import Tensor

from crysformer.phasing.problem import PhaseProblem

DIMS = (-3, -2, -1)


def boost(problem: PhaseProblem, sharpening: Tensor) -> Tensor:
    """What amplitudes are multiplied by to take B (A^2, shape (B,)) away, (B, half grid)."""
    b = sharpening.to(problem.d_star_sq).reshape(-1, 1, 1, 1)
    return torch.exp(0.25 * b * problem.d_star_sq)


def sharpened(problem: PhaseProblem, sharpening: Tensor) -> Tensor:
    """Measured amplitudes, sharpened, rms one over the measured, (B, half grid)."""
    amplitude = problem.amplitude * boost(problem, sharpening)
    power = (amplitude**2 * problem.weight).sum(DIMS, keepdim=True) / problem.weight.sum()
    return amplitude / power.sqrt()


def impose(problem: PhaseProblem, F: Tensor, amplitude: Tensor) -> Tensor:
    """Measured amplitudes with the phases of `F`; what was not measured floats.

    The nearest to `F` of all that have these amplitudes and nothing beyond the resolution.
    """
    parts = torch.view_as_real(F.resolve_conj())  # cheaper than the modulus of complex numbers
    inverse = torch.rsqrt((parts[..., 0] ** 2 + parts[..., 1] ** 2).clamp_(min=1e-36))
    return F * torch.where(problem.measured, amplitude * inverse, problem.floating)


def to_map(problem: PhaseProblem, F: Tensor) -> Tensor:
    """Density on the scale of a normalised inverse FFT; `to_half_grid` is its inverse."""
    return torch.fft.irfftn(F.conj(), s=problem.shape, dim=DIMS)


def to_half_grid(rho: Tensor) -> Tensor:
    """Structure factors of a map."""
    return torch.fft.rfftn(rho, dim=DIMS).conj()


def upper_quantile(rho: Tensor, share: Tensor) -> Tensor:
    """The density that a share (B,) of the voxels of each map exceeds, (B, 1, 1, 1)."""
    flat = rho.flatten(1)
    n = flat.shape[1]
    rank = ((1 - share.to(flat)) * n).long().clamp(0, n - 1)
    # one sort where shares differ costs more than a selection each
    values = [row.kthvalue(int(k) + 1).values for row, k in zip(flat, rank, strict=True)]
    return torch.stack(values).reshape(-1, 1, 1, 1)


def out_of_time(begun: float, done: int, reserve: int, deadline: float) -> bool:
    """Whether the time left is less than `reserve` more iterations take.

    `done` iterations have run since `begun`; that and `deadline` are of `time.monotonic`.
    """
    now = time.monotonic()
    return now + reserve * (now - begun) / max(done, 1) > deadline
