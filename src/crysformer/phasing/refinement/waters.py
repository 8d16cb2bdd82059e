"""Waters of a peptide model: peaks of the difference map at hydrogen bonds' length."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import torch

from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.kinematics import Kinematics
from crysformer.phasing.atoms.peak_picking import PeakPicker, map_on_grid, symmetric_shape
from crysformer.phasing.refinement.restrained import Polished, polish

PARAMETERS = 4
"""Of one water: place and B."""
_SAMPLE_RATE = 3.5
_APART = 2.4  # A, between a water and any other atom
_BONDED = 3.5  # A, to the nearest nitrogen, oxygen or water
_ABOVE = 3.0  # rms of the difference map
_TURNS = 3
_REFLECTIONS_PER_WATER = 40
_LARGEST_B = 60.0  # A^2


@dataclass(frozen=True, eq=False)
class ModelWithWaters:
    """A model refined with its waters.

    Attributes
    ----------
    polished
        The refined model, a batch of one; the waters are its last atoms.
    n_waters
        How many.
    """

    polished: Polished
    n_waters: int


def with_waters(
    data: CrystalData,
    kinematics: Kinematics,
    polished: Polished,
    b_iso: float,
    deadline: float = math.inf,
) -> ModelWithWaters | None:
    """Find waters beside the first of refined models; None if there are none.

    Parameters
    ----------
    data
        The crystal.
    kinematics
        The chains of the models.
    polished
        The models (`crysformer.phasing.refinement.restrained`).
    b_iso
        Mean B, A^2.
    deadline
        `time.monotonic` after which no step of refinement is begun.
    """
    used = data.measured
    shape = symmetric_shape(data, _SAMPLE_RATE)
    picker = PeakPicker(data, shape, _APART)
    orth, to_frac = data.orth, data.to_frac
    n_atoms = len(kinematics.peptides.number)
    polar = np.isin(kinematics.peptides.number, (7, 8))
    most = int(used.sum()) // _REFLECTIONS_PER_WATER
    xyz, F, best = polished.xyz[:1], polished.F[0][used], None
    r = float(polished.r[0])
    for _ in range(_TURNS):
        if time.monotonic() > deadline:
            break
        left = (data.f[used] - np.abs(F)) * np.exp(1j * np.angle(F))
        values = map_on_grid(data, left, shape)
        values[picker.special] = -np.inf
        placed = xyz[0].cpu().double().numpy() @ to_frac.T
        wanted = most - (len(placed) - n_atoms)
        sites = picker.pick(values, placed, max(wanted, 0), _ABOVE)[0]
        partners = picker.mates(np.concatenate((placed[:n_atoms][polar], placed[n_atoms:])))
        near = [picker.distance(partners - site).min() < _BONDED for site in sites]
        if not any(near):
            break
        added = torch.as_tensor((sites[near] @ orth.T)[None], dtype=torch.float32).to(xyz)
        refined = polish(data, kinematics, torch.cat((xyz, added), dim=1), b_iso, deadline)
        kept = torch.ones(refined.xyz.shape[1], dtype=torch.bool, device=xyz.device)
        kept[n_atoms:] = refined.b_iso[0, n_atoms:] < _LARGEST_B
        if not bool(kept.all()):
            refined = polish(data, kinematics, refined.xyz[:, kept], b_iso, deadline)
        if refined.xyz.shape[1] == n_atoms or float(refined.r[0]) >= r:
            break  # none was left, or the time was too short to refine them
        r = float(refined.r[0])
        best = ModelWithWaters(refined, refined.xyz.shape[1] - n_atoms)
        xyz, F = refined.xyz, refined.F[0][used]
    return best
