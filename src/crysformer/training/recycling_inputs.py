"""Input estimates for the training of recycling networks."""

from __future__ import annotations

import torch
from torch import Tensor

from crysformer.crystal.fourier.grids import DIMS
from crysformer.data.examples.random_draws import host_uniform
from crysformer.data.examples.stream import Batch
from crysformer.models.density_network import DensityNetwork
from crysformer.models.recycling import disturb_phases, impose_amplitudes, next_estimate
from crysformer.training.config import TrainingConfig


@torch.no_grad()
def starting_estimate(
    model: DensityNetwork, batch: Batch, config: TrainingConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Draw input estimates: blank, the truth with phase errors, or a prediction from either.

    Parameters
    ----------
    model
        The network in its current state.
    batch
        Examples.
    config
        `blank` is the fraction of examples with a blank estimate, `recycled` the fraction of
        batches that start from the network's own predictions.
    generator
        Random numbers, drawn on the generator's own device.

    Returns
    -------
    estimate, blank
        e/A^3, shape (B, 1, U, V, W), and the examples that began without phases, shape (B,).
    """
    device, drawn = batch.density.device, generator.device
    blank = torch.rand(len(batch), generator=generator, device=drawn) < config.blank
    # Phase errors up to more than 120 degrees, where hardly any information is left.
    sigma = (0.4 + 2.0 * torch.rand(len(batch), generator=generator, device=drawn)).to(device)
    noisy = disturb_phases(batch.density, sigma, generator)
    if batch.measured is not None:
        noisy = _as_estimated(noisy, batch, sigma)
    estimate = torch.where(blank.to(device).reshape(-1, 1, 1, 1, 1), 0.0, noisy)
    if host_uniform(generator) < config.recycled:
        fraction = 0.3 + 0.7 * host_uniform(generator, 1)
        predicted = model(batch.patterson, batch.residues, batch.lengths, estimate, batch.measured)
        estimate = next_estimate(predicted, estimate, batch.patterson, fraction, batch.measured)
    return estimate, blank


def _as_estimated(noisy: Tensor, batch: Batch, sigma: Tensor) -> Tensor:
    """Impose the measured amplitudes; down-weight the others by their phase uncertainty."""
    assert batch.measured is not None
    F = torch.fft.rfftn(noisy, dim=DIMS)
    weak = torch.exp(-sigma.square() / 2).reshape(-1, 1, 1, 1, 1)
    F = F * torch.where(batch.measured[:, None], 1.0, weak)
    weakened = torch.fft.irfftn(F, s=noisy.shape[-3:], dim=DIMS)
    return impose_amplitudes(weakened, batch.patterson, batch.measured)
