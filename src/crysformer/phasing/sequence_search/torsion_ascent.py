"""Gradient ascent of many poses at once in torsions, orientations and positions."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from crysformer.peptide.cis_bonds import cis_probability
from crysformer.peptide.kinematics import Kinematics, Pose
from crysformer.peptide.ring_closure import RingClosure
from crysformer.peptide.rotations import rotate
from crysformer.phasing.refinement.adam import Adam, cosine_decay
from crysformer.phasing.refinement.amplitude_target import Evaluation

_BETAS, _EPS = (0.8, 0.95), 1e-6  # of Adam: short memory for short refinements
_FINAL_FRACTION = 0.1  # of the first step sizes, to which they fall
_OMEGA_FORCE = 0.3  # factor of -cos(omega) in the score, which keeps peptides trans and planar
_RING_FORCE = 0.3  # A^-2, of half the squared deviations of distances that close rings


class Target(Protocol):
    """What poses are rated by: amplitudes (`AmplitudeTarget`), or a map."""

    def evaluate(self, xyz: Tensor, gradient: bool = True) -> Evaluation:
        """Score of coordinates (B, n, 3), A, to be maximised, and its gradient."""
        ...


@dataclass(frozen=True)
class Steps:
    """Number and size of the steps of one refinement.

    Attributes
    ----------
    number
        Number of steps.
    torsion, rotation, shift
        First step sizes, radians, radians and A; they fall to a tenth along a cosine.
    """

    number: int
    torsion: float = 0.12
    rotation: float = 0.10
    shift: float = 0.25


def refine_torsions(
    kinematics: Kinematics,
    target: Target,
    pose: Pose,
    steps: Steps,
    deadline: float = math.inf,
) -> tuple[Pose, Tensor]:
    """Maximise the score of every pose by Adam.

    Parameters
    ----------
    kinematics
        The chains.
    target
        What to maximise.
    pose
        Poses to start from.
    steps
        Number and size of the steps.
    deadline
        `time.monotonic` after which no step begins.

    Returns
    -------
    (pose, score)
        The last poses and their scores, shape (B,).
    """
    omega = torch.tensor(
        [t.kind == "omega" for t in kinematics.peptides.torsions], device=kinematics.device
    )
    either = torch.tensor(cis_probability(kinematics.peptides), device=kinematics.device) > 0
    rings = RingClosure(kinematics.peptides, kinematics.device)
    adam = Adam((pose.torsions, pose.translation, pose.translation), _BETAS, _EPS)
    sizes = (steps.torsion, steps.rotation, steps.shift)
    final_sizes = [_FINAL_FRACTION * size for size in sizes]
    for i in range(steps.number):
        if time.monotonic() > deadline:
            break
        xyz, frames, origins = kinematics.coordinates(pose)
        force = target.evaluate(xyz).gradient
        assert force is not None
        if rings:
            force = force + _RING_FORCE * rings.force(xyz)
        gradient = list(kinematics.gradient(xyz, frames, origins, force))
        away = torch.sin(pose.torsions)  # from 180 degrees, near it
        away = torch.where(either, -0.5 * torch.sin(2 * pose.torsions), away)
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
