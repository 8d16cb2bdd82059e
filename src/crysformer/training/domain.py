"""Range of crystals that a network was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from crysformer.crystal.cell_composition import composition, count_atoms
from crysformer.crystal.fourier.grids import d_star_sq_grid
from crysformer.crystal.normalisation import sum_of_squares
from crysformer.crystal.resolution import within_resolution
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
    sequences = [sequence for batch in batches for sequence in _sequences(batch)]
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


def wilson_scale(batches: Sequence[Batch], d_min: float, b_iso: float) -> float:
    """Mean ratio of amplitudes to those expected of atoms at random positions (Wilson).

    Amplitudes of a crystal on an unknown scale are brought to that expectation. A network with
    constant scales has seen absolute ones, which are stronger, above all where much of the cell is
    empty: 1.24 times for 15 residues in 41 x 30 x 24 A.

    Parameters
    ----------
    batches
        Exact examples.
    d_min
        Resolution, A.
    b_iso
        Displacement parameter of the atoms, A^2.
    """
    ratios = []
    for batch in batches:
        shape = (batch.patterson.shape[2], batch.patterson.shape[3], batch.patterson.shape[4])
        d_star_sq = d_star_sq_grid(torch.diag_embed(batch.lengths), shape).double().cpu()
        inside = within_resolution(d_star_sq, d_min)
        inside[:, 0, 0, 0] = False  # F(000) is absent
        friedel = torch.full(d_star_sq.shape[1:], 2.0, dtype=torch.float64)
        friedel[..., 0] = 1.0  # both mates of l = 0 are on the half grid
        found = (batch.patterson[:, 0, 0, 0, 0] * batch.lengths.prod(dim=1)).double().cpu()
        for i, sequence in enumerate(_sequences(batch)):
            flat = d_star_sq[i][inside[i]].numpy()
            expected = sum_of_squares(composition(sequence), flat) * np.exp(-0.5 * b_iso * flat)
            total = float((torch.from_numpy(expected) * friedel[inside[i]]).sum())
            ratios.append((float(found[i]) / total) ** 0.5)
    return float(np.mean(ratios))


def _sequences(batch: Batch) -> list[str]:
    return ["".join(residues.CODES[i] for i in row) for row in batch.residues]
