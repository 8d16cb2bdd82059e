"""Side chains fitted to the amplitudes, one after the other, the backbone as it is."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch

from crysformer.peptide.kinematics import Kinematics, Pose
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget
from crysformer.phasing.sequence_search.random_poses import random_torsions
from crysformer.phasing.sequence_search.torsion_ascent import score_poses
from crysformer.settings import setting


@dataclass(frozen=True)
class SideChainSettings:
    """Random conformations of side chains."""

    conformations: int = setting(
        8, "Conformations of each side chain, the present one included.", min=1, max=1000
    )
    rounds: int = setting(2, "Passes over all side chains.", min=0, max=100)


def fit_side_chains(
    kinematics: Kinematics,
    target: AmplitudeTarget,
    pose: Pose,
    generator: torch.Generator,
    deadline: float = math.inf,
    *,
    settings: SideChainSettings | None = None,
) -> Pose:
    """Give each side chain the best of a few conformations, one side chain after the other.

    Parameters
    ----------
    kinematics
        The chains.
    target
        Amplitudes; the best score is taken.
    pose
        Poses to start from.
    generator
        Random generator on the CPU.
    deadline
        `time.monotonic` after which the side chains left stay as they are.
    settings
        Number of conformations.
    """
    settings = settings or SideChainSettings()
    p, n, n_tried = kinematics.peptides, len(pose), settings.conformations
    residue = torch.tensor([t.residue for t in p.torsions], device=kinematics.device)
    side = torch.tensor([t.kind.startswith("chi") for t in p.torsions], device=kinematics.device)
    rotation, translation = (
        x.repeat_interleave(n_tried, dim=0) for x in (pose.rotation, pose.translation)
    )
    torsions = pose.torsions.clone()
    for i in range(settings.rounds * len(p.codes)):
        own = side & (residue == i % len(p.codes))
        if not bool(own.any()):
            continue
        if time.monotonic() > deadline:
            break
        fresh = random_torsions(p, n * n_tried, generator).to(torsions).view(n, n_tried, -1)
        fresh = torch.where(own, fresh, torsions[:, None])
        fresh[:, 0] = torsions
        tried = Pose(fresh.flatten(0, 1), rotation, translation)
        best = score_poses(kinematics, target, tried).view(n, n_tried).argmax(1)
        torsions = fresh[torch.arange(n, device=fresh.device), best]
    return Pose(torsions, pose.rotation, pose.translation)
