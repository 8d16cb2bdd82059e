"""Gradient ascent of many poses at once."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from crysformer.peptide.kinematics import Kinematics, Pose
from crysformer.peptide.rotations import rotate
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget

_BETA1, _BETA2 = 0.8, 0.95
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
    moments: list[Tensor] | None = None
    squares: list[Tensor] = []
    sizes = (steps.torsion, steps.turn, steps.shift)
    for i in range(steps.number):
        if time.monotonic() > deadline:
            break
        xyz, frames, origins = kinematics.coordinates(pose)
        force = target.evaluate(xyz).gradient
        assert force is not None
        gradient = list(kinematics.gradient(xyz, frames, origins, force))
        away = torch.sin(pose.torsions)  # from 180 degrees, near it
        gradient[0] = gradient[0] + _OMEGA_FORCE * omega * away
        if moments is None:
            moments = [torch.zeros_like(g) for g in gradient]
            squares = [torch.zeros_like(g) for g in gradient]
        factor = 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * i / steps.number))
        moves = []
        for g, m, v, size in zip(gradient, moments, squares, sizes, strict=True):
            m.mul_(_BETA1).add_(g, alpha=1 - _BETA1)
            v.mul_(_BETA2).addcmul_(g, g, value=1 - _BETA2)
            step = m / (1 - _BETA1 ** (i + 1))
            step = step / ((v / (1 - _BETA2 ** (i + 1))).sqrt() + 1e-6)
            moves.append(step * (size * factor))
        pose = Pose(
            pose.torsions + moves[0],
            rotate(pose.rotation, moves[1]),
            pose.translation + moves[2],
        )
    xyz, _, _ = kinematics.coordinates(pose)
    return pose, target.evaluate(xyz, gradient=False).score
