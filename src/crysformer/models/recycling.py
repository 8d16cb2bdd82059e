"""Recycling: a prediction, given the measured amplitudes, goes in again as an estimate.

The paper's "+R" trains once more with the previous run's predictions as a further input. Here one
network learns to improve estimates of every quality, from true phases with noise and from its own
predictions, and then starts from nothing and improves its own.
"""

from __future__ import annotations

import torch
from torch import Tensor

from crysformer.models.crysformer import CrysFormer

_GRID = (-3, -2, -1)


def impose_amplitudes(density: Tensor, patterson: Tensor) -> Tensor:
    """The phases of a density with the amplitudes of a Patterson map; any scale.

    Parameters
    ----------
    density, patterson
        Shape (B, 1, U, V, W).
    """
    F = torch.fft.rfftn(density, dim=_GRID)
    amplitude = torch.fft.rfftn(patterson, dim=_GRID).real.clamp_min(0).sqrt()
    phased = amplitude * F / F.abs().clamp_min(1e-20)
    return torch.fft.irfftn(phased, s=patterson.shape[-3:], dim=_GRID)


def disturb_phases(density: Tensor, sigma: Tensor, generator: torch.Generator) -> Tensor:
    """Add normal errors to the phases of real maps.

    Parameters
    ----------
    density
        Shape (B, 1, U, V, W).
    sigma
        Standard deviations of the errors, shape (B,), radians.
    generator
        On the CPU.
    """
    white = torch.randn(density.shape, generator=generator).to(density)
    # The imaginary part of a real map's transform is normal noise with the symmetry of phases.
    noise = torch.fft.rfftn(white, dim=_GRID, norm="ortho").imag * 2**0.5
    error = sigma.reshape(-1, 1, 1, 1, 1) * noise
    F = torch.fft.rfftn(density, dim=_GRID) * torch.polar(torch.ones_like(error), error)
    return torch.fft.irfftn(F, s=density.shape[-3:], dim=_GRID)


def recycle(
    model: CrysFormer,
    patterson: Tensor,
    residues: Tensor,
    lengths: Tensor,
    passes: int,
    estimate: Tensor | None = None,
) -> Tensor:
    """Predict `passes` times, each but the first from the one before; densities (B, 1, U, V, W).

    Networks not made for recycling predict once.
    """
    density: Tensor = model(patterson, residues, lengths, estimate)
    for _ in range(passes - 1 if model.config.recycling else 0):
        density = model(patterson, residues, lengths, impose_amplitudes(density, patterson))
    return density
