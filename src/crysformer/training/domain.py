"""Range of crystals that a network was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from crysformer.crystal.cell_composition import count_atoms
from crysformer.data.examples.data_augmentation import AugmentationRanges
from crysformer.data.examples.stream import Batch
from crysformer.peptide import residues

#: Lowest resolution at which predictions are made, as a multiple of the trained d_min.
_D_MIN_REACH = 5 / 3


def trained_domain(
    batches: Sequence[Batch], d_min: float, ranges: AugmentationRanges | None = None
) -> dict[str, Any]:
    """Ranges of cell edges (a >= b >= c, A) and of the volume per atom (A^3), for the weights.

    With `ranges`, for a network trained on imperfect data, also its lowest resolution and the
    fraction of the reflections to `d_min` that its least complete examples had.
    """
    lengths = torch.cat([batch.lengths for batch in batches]).double().cpu()
    sequences = [
        "".join(residues.CODES[i] for i in row) for batch in batches for row in batch.residues
    ]
    atoms = torch.tensor([count_atoms([sequence]) for sequence in sequences])
    per_atom = lengths.prod(1) / atoms
    measured: dict[str, float] = {"max_d_min": round(d_min * _D_MIN_REACH, 2)}
    if ranges is not None:
        worst = ranges.completeness * (d_min / ranges.d_min) ** 3
        measured = {"max_d_min": ranges.d_min, "min_completeness": round(worst, 3)}
    return {
        "min_edges": [round(x, 2) for x in lengths.amin(0).tolist()],
        "max_edges": [round(x, 2) for x in lengths.amax(0).tolist()],
        "volume_per_atom": [round(float(per_atom.min()), 2), round(float(per_atom.max()), 2)],
        **measured,
    }
