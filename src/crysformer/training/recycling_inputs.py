"""What a recycling network starts from while it learns."""

from __future__ import annotations

import torch
from torch import Tensor

from crysformer.data.examples.stream import Batch
from crysformer.models.crysformer import CrysFormer
from crysformer.models.recycling import disturb_phases, impose_amplitudes, next_estimate
from crysformer.training.config import TrainingConfig


@torch.no_grad()
def starting_estimate(
    model: CrysFormer, batch: Batch, config: TrainingConfig, generator: torch.Generator
) -> Tensor:
    """Nothing, the truth with random phase errors, or what the network makes of either.

    Parameters
    ----------
    model
        The network as it is now.
    batch
        Examples.
    config
        `blank` is the share of examples that start from nothing, `recycled` that of batches which
        start from the network's own estimates.
    generator
        On the CPU.

    Returns
    -------
    Tensor
        e/A^3, shape (B, 1, U, V, W).
    """
    device = batch.density.device
    blank = torch.rand(len(batch), generator=generator) < config.blank
    # Up to errors beyond 120 degrees, where hardly anything is left of the truth.
    sigma = 0.4 + 2.0 * torch.rand(len(batch), generator=generator)
    noisy = disturb_phases(batch.density, sigma.to(device), generator)
    if batch.measured is not None:
        noisy = _as_estimated(noisy, batch, sigma.to(device))
    estimate = torch.where(blank.to(device).reshape(-1, 1, 1, 1, 1), 0.0, noisy)
    if float(torch.rand(1, generator=generator)) < config.recycled:
        share = 0.3 + 0.7 * float(torch.rand(1, generator=generator))
        predicted = model(batch.patterson, batch.residues, batch.lengths, estimate, batch.measured)
        estimate = next_estimate(predicted, estimate, batch.patterson, share, batch.measured)
    return estimate


def _as_estimated(noisy: Tensor, batch: Batch, sigma: Tensor) -> Tensor:
    """Measured amplitudes as they are; the others as weak as their phases are uncertain."""
    assert batch.measured is not None
    F = torch.fft.rfftn(noisy, dim=(-3, -2, -1))
    weak = torch.exp(-sigma.square() / 2).reshape(-1, 1, 1, 1, 1)
    F = F * torch.where(batch.measured[:, None], 1.0, weak)
    weakened = torch.fft.irfftn(F, s=noisy.shape[-3:], dim=(-3, -2, -1))
    return impose_amplitudes(weakened, batch.patterson, batch.measured)
