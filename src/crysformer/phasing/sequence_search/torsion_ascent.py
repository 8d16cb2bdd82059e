"""Gradient ascent of many poses at once."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from crysformer.peptide.kinematics import Kinematics, Pose
from crysformer.peptide.rotations import rotate
from crysformer.phasing.refinement.adam import Adam, cosine_decay
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget

_BETAS, _EPS = (0.8, 0.95), 1e-6
_FINAL_FRACTION = 0.1  # of the first step sizes, to which they fall
_OMEGA_FORCE = 0.3  # correlation lost by an omega 1 radian from flat, times two


@dataclass(frozen=True)
class Steps:
    """How far and how often to step.

    Attributes
    ----------
    number
        Of steps.
    torsion, turn, shift
        First step sizes, radians, radians and A; they fall to a tenth along a cosine.
    """

    number: int
    torsion: float = 0.12
    turn: float = 0.10
    shift: float = 0.25


def climb(
    kinematics: Kinematics,
    target: AmplitudeTarget,
    pose: Pose,
    steps: Steps,
    deadline: float = math.inf,
) -> tuple[Pose, Tensor]:
    """Improve every pose by Adam (Kingma & Ba, 2015); returns the last poses and scores.

    No step is begun after `deadline` (`time.monotonic`).
    """
    omega = torch.tensor(
        [t.kind == "omega" for t in kinematics.peptides.torsions], device=kinematics.device
    )
    adam = Adam((pose.torsions, pose.translation, pose.translation), _BETAS, _EPS)
    sizes = (steps.torsion, steps.turn, steps.shift)
    final_sizes = [_FINAL_FRACTION * size for size in sizes]
    for i in range(steps.number):
        if time.monotonic() > deadline:
            break
        xyz, frames, origins = kinematics.coordinates(pose)
        force = target.evaluate(xyz).gradient
        assert force is not None
        gradient = list(kinematics.gradient(xyz, frames, origins, force))
        away = torch.sin(pose.torsions)  # from 180 degrees, near it
        gradient[0] = gradient[0] + _OMEGA_FORCE * omega * away
        rates = [-size for size in cosine_decay(sizes, final_sizes, i, steps.number)]  # uphill
        torsions, rotation, shift = adam.descent(gradient, rates)
        pose = Pose(
            pose.torsions + torsions,
            rotate(pose.rotation, rotation),
            pose.translation + shift,
        )
    xyz, _, _ = kinematics.coordinates(pose)
    return pose, target.evaluate(xyz, gradient=False).score
