"""Ordered waters of a peptide model, from peaks of the difference map at hydrogen-bond distance."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import torch

from crysformer.crystal.peak_picking import PeakPicker, map_on_grid, symmetric_shape
from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.kinematics import Kinematics
from crysformer.phasing.refinement.restrained import (
    RefinedModels,
    RestrainedSettings,
    refine_restrained,
)
from crysformer.settings import setting

PARAMETERS_PER_WATER = 4
"""Position and B of one water."""
_SAMPLE_RATE = 3.5  # grid points of the difference map per d_min
_SEPARATION = 2.4  # A, least distance between a water and any other atom
_HYDROGEN_BOND = 3.5  # A, largest distance to the nearest nitrogen, oxygen or water
_POLAR = (7, 8)  # atomic numbers that form hydrogen bonds


@dataclass(frozen=True)
class WaterSettings:
    """Search for ordered waters."""

    cycles: int = setting(3, "Difference maps in which waters are sought.", min=1, max=100)
    min_peak: float = setting(
        3.0, "Height of a water in the difference map, in units of its rms.", min=0.0, max=20.0
    )
    reflections_per_water: int = setting(
        40, "Measured reflections for each water at least.", min=1, max=10_000
    )
    max_b: float = setting(
        60.0, "B above which a refined water is removed again.", unit="A^2", min=1.0, max=100.0
    )


@dataclass(frozen=True, eq=False)
class ModelWithWaters:
    """A model refined with its waters.

    Attributes
    ----------
    refined
        The refined model, a batch of one; the waters are its last atoms.
    n_waters
        Number of waters.
    """

    refined: RefinedModels
    n_waters: int


def with_waters(
    data: CrystalData,
    kinematics: Kinematics,
    dry: RefinedModels,
    b_iso: float,
    deadline: float = math.inf,
    *,
    settings: WaterSettings | None = None,
    restrained: RestrainedSettings | None = None,
) -> ModelWithWaters | None:
    """Add waters to the first of several refined models; None if none are found.

    Parameters
    ----------
    data
        The crystal.
    kinematics
        The chains of the models.
    dry
        The models without waters (`crysformer.phasing.refinement.restrained`).
    b_iso
        Mean B, A^2.
    deadline
        `time.monotonic` after which no step of refinement begins.
    settings
        Criteria for waters.
    """
    settings = settings or WaterSettings()
    used = data.measured
    shape = symmetric_shape(data, _SAMPLE_RATE)
    picker = PeakPicker(data, shape, _SEPARATION)
    orth, to_frac = data.orth, data.to_frac
    n_atoms = len(kinematics.peptides.number)
    polar = np.isin(kinematics.peptides.number, _POLAR)
    most = int(used.sum()) // settings.reflections_per_water
    xyz, F, best = dry.xyz[:1], dry.F[0][used], None
    r = float(dry.r[0])
    for _ in range(settings.cycles):
        if time.monotonic() > deadline:
            break
        difference = (data.f[used] - np.abs(F)) * np.exp(1j * np.angle(F))
        values = map_on_grid(data, difference, shape)
        values[picker.special] = -np.inf
        placed = xyz[0].cpu().double().numpy() @ to_frac.T
        wanted = most - (len(placed) - n_atoms)
        sites = picker.pick(values, placed, max(wanted, 0), settings.min_peak)[0]
        partners = picker.mates(np.concatenate((placed[:n_atoms][polar], placed[n_atoms:])))
        bonded = [picker.distance(partners - site).min() < _HYDROGEN_BOND for site in sites]
        if not any(bonded):
            break
        added = torch.as_tensor((sites[bonded] @ orth.T)[None], dtype=torch.float32).to(xyz)
        start = torch.cat((xyz, added), dim=1)
        refined = refine_restrained(data, kinematics, start, b_iso, deadline, settings=restrained)
        kept = torch.ones(refined.xyz.shape[1], dtype=torch.bool, device=xyz.device)
        kept[n_atoms:] = refined.b_iso[0, n_atoms:] < settings.max_b
        if not bool(kept.all()):
            refined = refine_restrained(
                data, kinematics, refined.xyz[:, kept], b_iso, deadline, settings=restrained
            )
        if refined.xyz.shape[1] == n_atoms or float(refined.r[0]) >= r:
            break  # none was left, or the time was too short to refine them
        r = float(refined.r[0])
        best = ModelWithWaters(refined, refined.xyz.shape[1] - n_atoms)
        xyz, F = refined.xyz, refined.F[0][used]
    return best
