"""Validation: accuracy of a network on held-out examples."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crysformer.crystal.comparison.compare import pearson, phase_errors
from crysformer.crystal.comparison.phase_errors import unit_phases
from crysformer.crystal.fourier.grids import d_star_sq_grid, grid_from_density
from crysformer.crystal.resolution import within_resolution
from crysformer.data.examples.stream import Batch, fixed_batches
from crysformer.data.recipe import Recipe
from crysformer.data.store import FragmentTable
from crysformer.models.density_network import DensityNetwork
from crysformer.models.orientations import predict_averaged
from crysformer.training.losses import inverse

#: Bins of the calibration.
_BINS = 12


@dataclasses.dataclass(frozen=True)
class ValidationResult:
    """Means over the examples, without alignment of origin or hand.

    Attributes
    ----------
    pc
        Pearson correlation of predicted and true map.
    phase_error, weighted_phase_error
        Mean and F-weighted phase error, degrees.
    n
        Examples.
    pc_better_hand
        Pearson correlation with the true map or its inverse, whichever is higher: needs the truth.
    calibration
        Mean cosine of the phase error ("cosine") at ratios of predicted to true amplitude
        ("ratio"). A network trained on 1 - PC predicts small amplitudes where it is uncertain,
        so a small ratio means an unreliable phase.
    """

    pc: float
    phase_error: float
    weighted_phase_error: float
    n: int
    pc_better_hand: float
    calibration: dict[str, list[float]]

    def metrics(self) -> dict[str, Any]:
        """Figures stored with the weights."""
        return {
            "split": "validation",
            "pc": self.pc,
            "pc_better_hand": self.pc_better_hand,
            "mean_phase_error": self.phase_error,
            "weighted_phase_error": self.weighted_phase_error,
            "n": self.n,
        }


def validation_batches(
    table: FragmentTable,
    recipe: Recipe,
    patch: int,
    n: int,
    device: torch.device | str,
    part: int = 0,
    parts: int = 1,
) -> list[Batch]:
    """Make `n` examples spread evenly over a split, in their stored orientation; or a part of them.

    Each part is spread evenly as well.
    """
    rows = np.unique(np.linspace(0, len(table) - 1, min(n, len(table))).round().astype(int))
    rows = rows[part::parts]
    if not len(rows):
        return []
    return list(fixed_batches(select(table, rows.tolist()), recipe, 32, device, multiple_of=patch))


def select(table: FragmentTable, rows: Sequence[int]) -> FragmentTable:
    """Select rows of a table, in the order given."""
    atoms = [np.arange(table.offset[i], table.offset[i + 1]) for i in rows]
    counts = [len(a) for a in atoms]
    strings: dict[str, Any] = {
        name: [getattr(table, name)[i] for i in rows]
        for name in ("sequence", "id", "entry", "chain", "cluster")
    }
    return dataclasses.replace(
        table,
        xyz=table.xyz[np.concatenate(atoms)],
        offset=np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
        start=table.start[np.asarray(rows)],
        cell=table.cell[np.asarray(rows)],
        **strings,
    )


@torch.no_grad()
def validate(
    model: DensityNetwork,
    batches: Iterable[Batch],
    d_min: float,
    averaged: bool = False,
) -> ValidationResult:
    """Predict every example once and compare, over the reflections to `d_min`.

    Parameters
    ----------
    model
        The network.
    batches
        Examples.
    d_min
        Resolution, A.
    averaged
        Average over the four equivalent orientations, as `predict` does.
    """
    predict = functools.partial(predict_averaged, model) if averaged else model
    was_training = model.training
    model.eval()
    pc, better, mean, weighted = [], [], [], []
    ratios, cosines = [], []
    for batch in batches:
        predicted = predict(
            batch.patterson, batch.residues, batch.lengths, measured=batch.measured
        ).float()
        pc.append(pearson(predicted, batch.density))
        better.append(torch.maximum(pc[-1], pearson(predicted, inverse(batch.density))))
        volume = batch.lengths.prod(dim=1)
        F = grid_from_density(batch.density[:, 0], volume)
        shape = (batch.density.shape[2], batch.density.shape[3], batch.density.shape[4])
        d_star_sq = d_star_sq_grid(torch.diag_embed(batch.lengths), shape)
        measured = within_resolution(d_star_sq, d_min)
        F_predicted = grid_from_density(predicted[:, 0], volume)
        errors = phase_errors(F_predicted, F, measured)
        measured &= F.abs() > 0
        ratios.append((F_predicted.abs() / F.abs())[measured])
        cosines.append((unit_phases(F_predicted) * unit_phases(F).conj()).real[measured])
        mean.append(errors.mean)
        weighted.append(errors.weighted)
    model.train(was_training)
    return ValidationResult(
        pc=float(torch.cat(pc).mean()),
        phase_error=float(torch.cat(mean).mean()),
        weighted_phase_error=float(torch.cat(weighted).mean()),
        n=sum(len(values) for values in pc),
        pc_better_hand=float(torch.cat(better).mean()),
        calibration=calibrate(torch.cat(ratios), torch.cat(cosines)),
    )


def calibrate(ratio: Tensor, cosine: Tensor) -> dict[str, list[float]]:
    """Mean cosine of phase errors against the ratio of predicted to true amplitude.

    Both of shape (n,), reflections of many crystals; means in bins of equally many reflections,
    smallest ratio first.
    """
    bins = ratio.argsort().tensor_split(_BINS)
    return {
        "ratio": [round(float(ratio[rows].median()), 4) for rows in bins],
        "cosine": [round(float(cosine[rows].mean()), 4) for rows in bins],
    }
