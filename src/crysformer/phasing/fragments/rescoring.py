"""Placed fragments refined flexibly and ranked by their log-likelihood gain."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from crysformer.crystal.reflections import CrystalData
from crysformer.phasing.fragments.placement import PlacedFragment
from crysformer.phasing.refinement.flexible_fragments import FlexibleSettings, refine_flexibly
from crysformer.phasing.refinement.likelihood_target import LikelihoodTarget
from crysformer.settings import setting, table

_MAX_FRACTION = 0.9  # of the structure in a fragment
_SAME_GAIN = 0.1  # nats, within which two refined poses are one


@dataclass(frozen=True)
class RescoringSettings:
    """Flexible refinement of many poses: a short one of all, a long one of the best."""

    screening_d_min: float = setting(
        1.6, "Resolution limit of the short refinement.", unit="A", min=0.5, max=6.0
    )
    screening_steps: int = setting(40, "Steps of the short refinement.", min=0, max=10_000)
    refined: int = setting(
        4, "Poses that go on to the long refinement, for each one kept.", min=1, max=1000
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
) -> list[PlacedFragment]:
    """Refine poses of one fragment flexibly and keep the likeliest, best first.

    The log-likelihood gain tells right poses from wrong ones where the correlation of amplitudes
    and the free correlation after density modification do not yet: the more so once a fragment
    has taken on the conformation that the crystal has.

    Parameters
    ----------
    data
        The crystal, in the space group that the poses are in.
    poses
        Poses of one fragment, with equal numbers of copies.
    b_iso
        B of its atoms, A^2.
    fraction
        Fraction of the scattering power in a pose with its symmetry mates.
    n
        Number of poses to keep.
    deadline
        `time.monotonic` after which no step of refinement begins.
    settings
        Resolution and steps of both refinements.
    """
    if not poses:
        return poses
    settings = settings or RescoringSettings()
    number = np.tile(poses[0].fragment.number, len(poses[0].xyz))
    fraction = min(fraction, _MAX_FRACTION)
    flexible = settings.flexible
    xyz = torch.stack([pose.xyz for pose in poses]).flatten(1, 2)
    row = torch.arange(len(poses))
    refined = settings.refined * n
    if len(poses) > refined:
        d_min = max(settings.screening_d_min, data.d_min)
        target = LikelihoodTarget(data, number, b_iso, fraction, flexible.errors[0], d_min)
        short = replace(flexible, errors=flexible.errors[:1], steps=settings.screening_steps)
        xyz, gain = refine_flexibly(target, xyz, deadline, settings=short)
        row = gain.argsort(descending=True)[:refined]
        xyz = xyz[row]
    target = LikelihoodTarget(data, number, b_iso, fraction, flexible.errors[0])
    xyz, gain = refine_flexibly(target, xyz, deadline, settings=flexible)
    order = gain.argsort(descending=True)
    fresh = -gain[order].diff(prepend=gain.new_tensor([torch.inf])) > _SAME_GAIN
    best = order[fresh][:n]
    return [
        replace(
            poses[int(row[i])],
            xyz=xyz[i].view_as(poses[int(row[i])].xyz),
            gain=float(gain[i]),
        )
        for i in best.tolist()
    ]
