"""Recycling: a prediction with the measured amplitudes is the next input estimate.

The paper's "+R" trains once more with the previous run's predictions as a further input. Here one
network learns to improve estimates of every quality: true phases with noise, and its own
predictions. In use it starts without an estimate; its prediction with random phase errors then
starts several recycling runs, and the agreement of their amplitudes shows which have converged.
"""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor

from crysformer.crystal.fourier.grids import DIMS
from crysformer.models.density_network import DensityNetwork
from crysformer.models.phase_improvement import unit_rms

#: Maximum number of rounds, recycling runs in each round, and predictions in each run.
_ROUNDS, _RUNS, _PASSES = 5, 8, 8
#: Number of the best runs that are continued in each round, and of their further predictions.
_CONTINUED, _FURTHER_PASSES = 3, 8
#: Standard deviation of the phase errors at the start of a run, radians.
_START_ERROR = 1.2
#: Fraction of the prediction in the next estimate, and in runs that are continued.
_FRACTION, _CONTINUED_FRACTION = 0.8, 1.0
#: Agreement of amplitudes from which a run has converged. On the validation split no wrong
#: structure reached it (docs/model.md).
CONVERGED_CORRELATION = 0.987


def impose_amplitudes(density: Tensor, patterson: Tensor, measured: Tensor | None = None) -> Tensor:
    """Combine the phases of a density with the amplitudes of a Patterson map; any scale.

    Parameters
    ----------
    density, patterson
        Shape (B, 1, U, V, W).
    measured
        Mask of the measured amplitudes, half grid (B, U, V, W // 2 + 1); the others are taken from
        the density, on the scale of the measured ones. None: all are measured.
    """
    F = torch.fft.rfftn(density, dim=DIMS)
    amplitude = torch.fft.rfftn(patterson, dim=DIMS).real.clamp_min(0).sqrt()
    if measured is not None:
        known = measured[:, None]
        scale = torch.linalg.vector_norm(amplitude * known, dim=DIMS, keepdim=True)
        own = torch.linalg.vector_norm(F * known, dim=DIMS, keepdim=True).clamp_min(1e-20)
        amplitude = torch.where(known, amplitude, F.abs() * (scale / own))
    phased = amplitude * F / F.abs().clamp_min(1e-20)
    return torch.fft.irfftn(phased, s=patterson.shape[-3:], dim=DIMS)


def disturb_phases(density: Tensor, sigma: Tensor, generator: torch.Generator) -> Tensor:
    """Add normal errors to the phases of real maps.

    Parameters
    ----------
    density
        Shape (B, 1, U, V, W).
    sigma
        Standard deviations of the errors, shape (B,), radians.
    generator
        Random numbers, drawn on the generator's own device.
    """
    white = torch.randn(density.shape, generator=generator, device=generator.device).to(density)
    # The imaginary part of a real map's transform is normal noise with the symmetry of phases.
    noise = torch.fft.rfftn(white, dim=DIMS, norm="ortho").imag * 2**0.5
    error = sigma.reshape(-1, 1, 1, 1, 1) * noise
    F = torch.fft.rfftn(density, dim=DIMS) * torch.polar(torch.ones_like(error), error)
    return torch.fft.irfftn(F, s=density.shape[-3:], dim=DIMS)


def next_estimate(
    density: Tensor,
    estimate: Tensor,
    patterson: Tensor,
    fraction: float,
    measured: Tensor | None = None,
) -> Tensor:
    """Mix a prediction with the estimate it came from, and impose the measured amplitudes.

    Parameters
    ----------
    density, estimate, patterson
        Shape (B, 1, U, V, W).
    fraction
        Fraction of the prediction in the mixture, 0 to 1.
    measured
        As for `impose_amplitudes`.
    """
    mixed = fraction * unit_rms(density) + (1 - fraction) * unit_rms(estimate)
    return impose_amplitudes(mixed, patterson, measured)


@torch.no_grad()
def recycle_to_convergence(
    model: DensityNetwork,
    first: Tensor,
    patterson: Tensor,
    residues: Tensor,
    lengths: Tensor,
    generator: torch.Generator,
    deadline: float = math.inf,
    measured: Tensor | None = None,
    converged: float = CONVERGED_CORRELATION,
) -> tuple[Tensor, float]:
    """Recycle a prediction with random phase errors, in several runs, and return the best.

    Parameters
    ----------
    model
        Network with recycling.
    first, patterson
        Prediction and Patterson map of one crystal, shape (1, 1, U, V, W).
    residues, lengths
        Shape (1, J) and (1, 3).
    generator
        Source of the phase errors.
    deadline
        `time.monotonic` after which no further round is started.
    measured
        Mask of the measured reflections, half grid (1, U, V, W // 2 + 1); None: all.
    converged
        Agreement of amplitudes that ends the search.

    Returns
    -------
    density, agreement
        The last prediction of the best run, shape (1, 1, U, V, W), and its
        `amplitude_agreement`. Its origin and hand are arbitrary.
    """
    best, agreement = first, 0.0
    start = impose_amplitudes(first, patterson, measured).expand(_RUNS, -1, -1, -1, -1)
    sigma = torch.full((_RUNS,), _START_ERROR, device=first.device)

    def run(estimate: Tensor, passes: int, fraction: float) -> tuple[Tensor, Tensor]:
        n = len(estimate)
        known = None if measured is None else measured.expand(n, *measured.shape[1:])
        maps, codes, edges = (x.expand(n, *x.shape[1:]) for x in (patterson, residues, lengths))
        for _ in range(passes):
            density: Tensor = model(maps, codes, edges, estimate, known)
            estimate = next_estimate(density, estimate, maps, fraction, known)
        return density, estimate

    for _ in range(_ROUNDS):
        density, estimate = run(disturb_phases(start, sigma, generator), _PASSES, _FRACTION)
        kept = amplitude_agreement(density, patterson, measured).topk(_CONTINUED).indices
        density, _ = run(estimate[kept], _FURTHER_PASSES, _CONTINUED_FRACTION)
        found = amplitude_agreement(density, patterson, measured)
        chosen = int(found.argmax())
        if float(found[chosen]) > agreement:
            best, agreement = density[chosen : chosen + 1], float(found[chosen])
        if agreement >= converged or time.monotonic() > deadline:
            break
    return best, agreement


def amplitude_agreement(
    density: Tensor, patterson: Tensor, measured: Tensor | None = None
) -> Tensor:
    """Correlation (about zero) of predicted and measured amplitudes, shape (B,)."""
    predicted = torch.fft.rfftn(density, dim=DIMS).abs()
    observed = torch.fft.rfftn(patterson, dim=DIMS).real.clamp_min(0).sqrt()
    if measured is not None:
        predicted, observed = (x * measured[:, None] for x in (predicted, observed))
    return torch.nn.functional.cosine_similarity(predicted.flatten(1), observed.flatten(1), dim=1)
