"""Accuracy of a network's single prediction on test crystals, without and with alignment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crysformer.crystal.comparison.alignment import align, apply_alignment
from crysformer.crystal.comparison.compare import pearson, phase_errors
from crysformer.crystal.fourier.grids import d_star_sq_grid, density_from_grid, grid_from_density
from crysformer.crystal.resolution import within_resolution
from crysformer.data.examples.stream import Batch
from crysformer.evaluation.scoring import SOLVED_COSINE
from crysformer.models.density_network import DensityNetwork
from crysformer.models.refining import Refining
from crysformer.training.losses import inverse


@dataclass(frozen=True, eq=False)
class NetworkScores:
    """Figures of each crystal, shape (n,), named as in `evaluation.scoring.Score`.

    PC is that of the predicted map as it stands (equation 4 of the paper); phases are those of the
    map's Fourier transform, errors in degrees, weighted by the true amplitudes.
    """

    pc: Tensor
    pc_better_hand: Tensor
    pc_aligned: Tensor
    mean_phase_error: Tensor
    weighted_phase_error: Tensor
    mean_phase_error_aligned: Tensor
    weighted_phase_error_aligned: Tensor
    cosine_aligned: Tensor

    def means(self) -> dict[str, Any]:
        """Means over the crystals, and the fraction that is solved."""
        figures = {
            name: float(value.double().mean())
            for name, value in vars(self).items()
            if name != "cosine_aligned"
        }
        solved = float((self.cosine_aligned >= SOLVED_COSINE).double().mean())
        return {"n": len(self.pc), **figures, "solved_share": solved}


@torch.no_grad()
def score_network(model: DensityNetwork, batches: Sequence[Batch], d_min: float) -> NetworkScores:
    """Predict every crystal once, without an estimate to start from, and compare with the truth.

    Parameters
    ----------
    model
        The network.
    batches
        Exact examples.
    d_min
        Resolution, A.
    """
    model.eval()
    parts = [
        _scores(model(b.patterson, b.residues, b.lengths, measured=b.measured).float(), b, d_min)
        for b in batches
    ]
    return NetworkScores(
        **{name: torch.cat([vars(part)[name] for part in parts]) for name in vars(parts[0])}
    )


@torch.no_grad()
def pc_of_cycles(model: Refining, batches: Sequence[Batch], cycles: int) -> list[float]:
    """Mean PC of the first network's predictions, and after each cycle of the second.

    Returns
    -------
    `cycles` + 1 values.
    """
    model.eval()
    found: list[list[Tensor]] = [[] for _ in range(cycles + 1)]
    for b in batches:
        density = model.first(b.patterson, b.residues, b.lengths, None, b.measured)
        found[0].append(pearson(density.float(), b.density))
        for cycle in range(cycles):
            density = model.second(b.patterson, b.residues, b.lengths, density, b.measured)
            found[cycle + 1].append(pearson(density.float(), b.density))
    return [float(torch.cat(values).mean()) for values in found]


def with_wrong_residues(batches: Sequence[Batch], seed: int = 0) -> list[Batch]:
    """Give each crystal the sequence of another one that has other residues, drawn at random.

    Raises
    ------
    ValueError
        If all sequences are the same.
    """
    generator = np.random.default_rng(seed)
    residues = torch.cat([batch.residues for batch in batches])
    wrong = residues.clone()
    for i, own in enumerate(residues):
        others = torch.nonzero((residues != own).any(1)).flatten()
        if len(others) == 0:
            raise ValueError("all crystals have the same sequence")
        wrong[i] = residues[others[int(generator.integers(len(others)))]]
    parts = wrong.split([len(batch) for batch in batches])
    return [replace(b, residues=part) for b, part in zip(batches, parts, strict=True)]


def _scores(predicted: Tensor, batch: Batch, d_min: float) -> NetworkScores:
    volume = batch.lengths.prod(dim=1)
    true = batch.density
    shape = (true.shape[2], true.shape[3], true.shape[4])
    F_true = grid_from_density(true[:, 0], volume)
    F_predicted = grid_from_density(predicted[:, 0], volume)
    d_star_sq = d_star_sq_grid(torch.diag_embed(batch.lengths), shape)
    weights = F_true.abs() * within_resolution(d_star_sq, d_min)
    measured = weights > 0
    alignment = align(F_predicted, F_true, weights.square())
    F_aligned = apply_alignment(F_predicted, alignment)
    as_is = phase_errors(F_predicted, F_true, measured)
    aligned = phase_errors(F_aligned, F_true, measured)
    moved = density_from_grid(F_aligned, shape, volume)[:, None]
    pc = pearson(predicted, true)
    return NetworkScores(
        pc=pc,
        pc_better_hand=torch.maximum(pc, pearson(predicted, inverse(true))),
        pc_aligned=pearson(moved.to(true), true),
        mean_phase_error=as_is.mean,
        weighted_phase_error=as_is.weighted,
        mean_phase_error_aligned=aligned.mean,
        weighted_phase_error_aligned=aligned.weighted,
        cosine_aligned=aligned.cosine2,
    )
