"""Recycling: a prediction, given the measured amplitudes, goes in again as an estimate.

The paper's "+R" trains once more with the previous run's predictions as a further input. Here one
network learns to improve estimates of every quality, from true phases with noise and from its own
predictions. In use it starts from nothing; its prediction with random phase errors then starts
several chains of predictions, and whether one has arrived shows in its amplitudes.
"""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor

from crysformer.models.crysformer import CrysFormer
from crysformer.models.phase_improvement import unit_rms

_GRID = (-3, -2, -1)

#: Rounds of chains at most, chains in a round, predictions in each, and how many of them go on for
#: how many more.
_ROUNDS, _CHAINS, _PASSES, _KEPT, _MORE = 5, 8, 8, 3, 8
#: Standard deviation of the phase errors that a chain starts with, radians.
_START_ERROR = 1.2
#: Share of the prediction in the next estimate, and of the chains that go on.
_SHARE, _LAST_SHARE = 0.8, 1.0
#: Agreement of amplitudes from which a chain has arrived. On the validation split no wrong
#: structure reached it (docs/model.md).
CONVERGED_CORRELATION = 0.987


def impose_amplitudes(density: Tensor, patterson: Tensor, measured: Tensor | None = None) -> Tensor:
    """The phases of a density with the amplitudes of a Patterson map; any scale.

    Parameters
    ----------
    density, patterson
        Shape (B, 1, U, V, W).
    measured
        Half grid (B, U, V, W // 2 + 1) of the amplitudes that were measured; the others are the
        density's own, on the scale of the measured ones. None: all were.
    """
    F = torch.fft.rfftn(density, dim=_GRID)
    amplitude = torch.fft.rfftn(patterson, dim=_GRID).real.clamp_min(0).sqrt()
    if measured is not None:
        known = measured[:, None]
        scale = torch.linalg.vector_norm(amplitude * known, dim=_GRID, keepdim=True)
        own = torch.linalg.vector_norm(F * known, dim=_GRID, keepdim=True).clamp_min(1e-20)
        amplitude = torch.where(known, amplitude, F.abs() * (scale / own))
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


def next_estimate(
    density: Tensor,
    estimate: Tensor,
    patterson: Tensor,
    share: float,
    measured: Tensor | None = None,
) -> Tensor:
    """Prediction and the estimate it came from, mixed, with the measured amplitudes.

    Parameters
    ----------
    density, estimate, patterson
        Shape (B, 1, U, V, W).
    share
        Of the prediction, 0 to 1.
    measured
        As for `impose_amplitudes`.
    """
    mixed = share * unit_rms(density) + (1 - share) * unit_rms(estimate)
    return impose_amplitudes(mixed, patterson, measured)


@torch.no_grad()
def improve(
    model: CrysFormer,
    first: Tensor,
    patterson: Tensor,
    residues: Tensor,
    lengths: Tensor,
    generator: torch.Generator,
    deadline: float = math.inf,
    measured: Tensor | None = None,
    arrived: float = CONVERGED_CORRELATION,
) -> tuple[Tensor, float]:
    """Run chains of predictions from a first one with random phase errors; keep the best.

    Parameters
    ----------
    model
        A network made for recycling.
    first, patterson
        Of one crystal, shape (1, 1, U, V, W).
    residues, lengths
        Shape (1, J) and (1, 3).
    generator
        Of the phase errors, on the CPU.
    deadline
        `time.monotonic` after which no further round of chains is begun.
    measured
        Half grid (1, U, V, W // 2 + 1) of the reflections that were measured; None: all.
    arrived
        Agreement that ends the search.

    Returns
    -------
    density, agreement
        The last prediction of the best chain, shape (1, 1, U, V, W), and its
        `amplitude_agreement`. Origin and hand are those it came to.
    """
    best, agreement = first, 0.0
    start = impose_amplitudes(first, patterson, measured).expand(_CHAINS, -1, -1, -1, -1)
    sigma = torch.full((_CHAINS,), _START_ERROR, device=first.device)

    def chain(estimate: Tensor, passes: int, share: float) -> tuple[Tensor, Tensor]:
        n = len(estimate)
        known = None if measured is None else measured.expand(n, *measured.shape[1:])
        maps, codes, edges = (x.expand(n, *x.shape[1:]) for x in (patterson, residues, lengths))
        for _ in range(passes):
            density: Tensor = model(maps, codes, edges, estimate, known)
            estimate = next_estimate(density, estimate, maps, share, known)
        return density, estimate

    for _ in range(_ROUNDS):
        density, estimate = chain(disturb_phases(start, sigma, generator), _PASSES, _SHARE)
        kept = amplitude_agreement(density, patterson, measured).topk(_KEPT).indices
        density, _ = chain(estimate[kept], _MORE, _LAST_SHARE)
        found = amplitude_agreement(density, patterson, measured)
        chosen = int(found.argmax())
        if float(found[chosen]) > agreement:
            best, agreement = density[chosen : chosen + 1], float(found[chosen])
        if agreement >= arrived or time.monotonic() > deadline:
            break
    return best, agreement


def amplitude_agreement(
    density: Tensor, patterson: Tensor, measured: Tensor | None = None
) -> Tensor:
    """Correlation (about zero) of predicted and measured amplitudes, shape (B,)."""
    predicted = torch.fft.rfftn(density, dim=_GRID).abs()
    observed = torch.fft.rfftn(patterson, dim=_GRID).real.clamp_min(0).sqrt()
    if measured is not None:
        predicted, observed = (x * measured[:, None] for x in (predicted, observed))
    return torch.nn.functional.cosine_similarity(predicted.flatten(1), observed.flatten(1), dim=1)
