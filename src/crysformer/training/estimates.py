"""What a recycling network starts from while it learns."""

from __future__ import annotations

import torch
from torch import Tensor

from crysformer.data.synthesis import Batch
from crysformer.models.crysformer import CrysFormer
from crysformer.models.recycling import disturb_phases, next_estimate
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
    estimate = torch.where(blank.to(device).reshape(-1, 1, 1, 1, 1), 0.0, noisy)
    if float(torch.rand(1, generator=generator)) < config.recycled:
        share = 0.3 + 0.7 * float(torch.rand(1, generator=generator))
        predicted = model(batch.patterson, batch.residues, batch.lengths, estimate)
        estimate = next_estimate(predicted, estimate, batch.patterson, share)
    return estimate
