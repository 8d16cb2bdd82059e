"""Placed fragments refined flexibly and ranked by their log-likelihood gain."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import numpy as np
import torch

from crysformer.crystal.reflections import CrystalData
from crysformer.phasing.fragments.placement import PlacedFragment
from crysformer.phasing.refinement.flexible_fragments import FlexibleSettings, refine_flexibly
from crysformer.phasing.refinement.likelihood_target import LikelihoodTarget
from crysformer.settings import setting, table

_MAX_FRACTION = 0.9  # of the structure in a fragment
_AT_ONCE = 8  # poses refined side by side, after which the time is looked at
_SAME_GAIN = 0.1  # nats, within which two refined poses are one


@dataclass(frozen=True)
class RescoringSettings:
    """Flexible refinement of placed strands, by which they are ranked."""

    time_fraction: float = setting(
        0.5, "Fraction of the turn's time left that it may take.", min=0.0, max=1.0
    )
    d_min: float = setting(
        1.0, "Resolution limit; beyond it errors of the coordinates leave little.",
        unit="A", min=0.5, max=6.0,
    )  # fmt: skip
    standing_out: float = setting(
        1.6,
        "Gain of the best pose to the median of all from which free atoms are grown in any case; "
        "wrong poses stay below.",
        min=1.0,
        max=100.0,
    )
    flexible: FlexibleSettings = table(FlexibleSettings, "Flexible refinement.")


def refine_poses(
    data: CrystalData,
    poses: list[PlacedFragment],
    b_iso: float,
    fraction: float,
    n: int,
    deadline: float = math.inf,
    *,
    settings: RescoringSettings | None = None,
) -> tuple[list[PlacedFragment], float]:
    """Refine poses of fragments flexibly and keep the likeliest.

    The log-likelihood gain tells right poses from wrong ones where the correlation of amplitudes
    and the free correlation after density modification do not yet, once a fragment has taken on
    the conformation that the crystal has. The gain of rigid poses, or after fewer steps at lower
    resolution, does not.

    Parameters
    ----------
    data
        The crystal, in the space group that the poses are in.
    poses
        Poses of fragments of the same atoms, with equal numbers of copies.
    b_iso
        B of their atoms, A^2.
    fraction
        Fraction of the scattering power in a pose with its symmetry mates.
    n
        Number of poses to keep.
    deadline
        `time.monotonic` after which no step of refinement begins. Poses that were not reached
        follow those that were, as they are.
    settings
        Resolution limit and stages of the refinement.

    Returns
    -------
    (poses, typical)
        The likeliest poses, best first, and the median gain of those refined, nats.
    """
    if not poses:
        return [], 0.0
    settings = settings or RescoringSettings()
    flexible = settings.flexible
    number = np.tile(poses[0].fragment.number, len(poses[0].xyz))
    fraction = min(fraction, _MAX_FRACTION)
    d_min = max(settings.d_min, data.d_min)
    target = LikelihoodTarget(data, number, b_iso, fraction, flexible.errors[0], d_min)
    start = torch.stack([pose.xyz for pose in poses])
    parts = []
    for part in start.flatten(1, 2).split(_AT_ONCE):
        parts.append(refine_flexibly(target, part, deadline, settings=flexible))
        if time.monotonic() > deadline:
            break
    gain = torch.cat([found for _, found in parts])
    xyz = torch.cat([moved for moved, _ in parts]).view_as(start[: len(gain)])
    order = gain.argsort(descending=True)
    fresh = -gain[order].diff(prepend=gain.new_tensor([torch.inf])) > _SAME_GAIN
    kept = [replace(poses[i], xyz=xyz[i], gain=float(gain[i])) for i in order[fresh][:n].tolist()]
    return [*kept, *poses[len(gain) :]][:n], float(gain.median())
