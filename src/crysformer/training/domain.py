"""What crystals a network was trained on, and how far its amplitudes can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from crysformer.crystal.maps import grid_from_density
from crysformer.crystal.phase_errors import unit_phases
from crysformer.crystal.sequence import count_atoms
from crysformer.data import residues
from crysformer.data.synthesis import Batch
from crysformer.models.crysformer import CrysFormer
from crysformer.models.recycling import recycle

#: Bins of the ratio of predicted to true amplitude, equally filled.
_BINS = 12
#: Lowest resolution at which a prediction is still made, as a multiple of the trained d_min.
_D_MIN_REACH = 5 / 3


def trained_domain(batches: Sequence[Batch], d_min: float) -> dict[str, Any]:
    """Ranges of cell edges (a >= b >= c, A) and of the volume per atom (A^3), for the weights."""
    lengths = torch.cat([batch.lengths for batch in batches]).double().cpu()
    sequences = [
        "".join(residues.CODES[i] for i in row) for batch in batches for row in batch.residues
    ]
    atoms = torch.tensor([count_atoms([sequence]) for sequence in sequences])
    per_atom = lengths.prod(1) / atoms
    return {
        "min_edges": [round(x, 2) for x in lengths.amin(0).tolist()],
        "max_edges": [round(x, 2) for x in lengths.amax(0).tolist()],
        "volume_per_atom": [round(float(per_atom.min()), 2), round(float(per_atom.max()), 2)],
        "max_d_min": round(d_min * _D_MIN_REACH, 2),
    }


@torch.no_grad()
def calibration(model: CrysFormer, batches: Sequence[Batch], passes: int) -> dict[str, list[float]]:
    """Mean cosine of the phase error against the ratio of predicted to true amplitude.

    A network trained on 1 - PC holds back where it is unsure, so a small ratio means a bad phase.
    """
    ratios, cosines = [], []
    for batch in batches:
        volume = batch.lengths.prod(dim=1)
        predicted = recycle(model, batch.patterson, batch.residues, batch.lengths, passes).float()
        F = grid_from_density(predicted[:, 0], volume)
        true = grid_from_density(batch.density[:, 0], volume)
        measured = true.abs() > 1e-3 * true.abs().amax()
        ratios.append((F.abs() / true.abs())[measured])
        cosines.append((unit_phases(F) * unit_phases(true).conj()).real[measured])
    ratio, cosine = torch.cat(ratios), torch.cat(cosines)
    order = ratio.argsort()
    bins = order.tensor_split(_BINS)
    return {
        "ratio": [round(float(ratio[rows].median()), 4) for rows in bins],
        "cosine": [round(float(cosine[rows].mean()), 4) for rows in bins],
    }
