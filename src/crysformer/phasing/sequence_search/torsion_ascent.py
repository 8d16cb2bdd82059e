"""Gradient ascent of many poses at once in torsions, orientations and positions."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from crysformer.peptide.cis_bonds import cis_probability
from crysformer.peptide.kinematics import Kinematics, Pose
from crysformer.peptide.ring_closure import RingClosure
from crysformer.peptide.rotations import rotate
from crysformer.phasing.refinement.adam import Adam, cosine_decay
from crysformer.phasing.refinement.amplitude_target import Evaluation
from crysformer.phasing.refinement.compiled_target import CompiledTarget

if TYPE_CHECKING:  # compiles functions when it is imported
    from crysformer.phasing.sequence_search.compiled_ascent import CompiledAscent

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
    rings = RingClosure(kinematics.peptides, kinematics.device)
    sizes = (steps.torsion, steps.rotation, steps.shift)
    final_sizes = [_FINAL_FRACTION * size for size in sizes]
    ascent: _Ascent | CompiledAscent
    if isinstance(target, CompiledTarget) and not rings:
        from crysformer.phasing.sequence_search.compiled_ascent import AdamConstants, CompiledAscent

        constants = AdamConstants(_BETAS, _EPS, _OMEGA_FORCE)
        ascent = CompiledAscent(kinematics, target, pose, constants)
    else:
        ascent = _Ascent(kinematics, target, pose, rings)
    for i in range(steps.number):
        if time.monotonic() > deadline:
            break
        ascent.step(cosine_decay(sizes, final_sizes, i, steps.number))
    return ascent.pose, ascent.score()


def score_poses(kinematics: Kinematics, target: Target, pose: Pose) -> Tensor:
    """Scores of poses, shape (B,)."""
    if isinstance(target, CompiledTarget):
        from crysformer.phasing.sequence_search import compiled_ascent

        return compiled_ascent.score_poses(kinematics, target, pose)
    return target.evaluate(kinematics.coordinates(pose)[0], gradient=False).score


class _Ascent:
    """Poses that ascend any target together by Adam, with PyTorch."""

    def __init__(
        self, kinematics: Kinematics, target: Target, pose: Pose, rings: RingClosure
    ) -> None:
        self._kinematics, self._target, self.pose = kinematics, target, pose
        peptides, device = kinematics.peptides, kinematics.device
        self._omega = torch.tensor([t.kind == "omega" for t in peptides.torsions], device=device)
        self._either = torch.tensor(cis_probability(peptides), device=device) > 0
        self._rings = rings
        self._adam = Adam((pose.torsions, pose.translation, pose.translation), _BETAS, _EPS)

    def step(self, sizes: list[float]) -> None:
        """Move every pose uphill; step sizes of torsions, orientations and positions."""
        pose = self.pose
        xyz, frames, origins = self._kinematics.coordinates(pose)
        force = self._target.evaluate(xyz).gradient
        assert force is not None
        if self._rings:
            force = force + _RING_FORCE * self._rings.force(xyz)
        gradient = list(self._kinematics.gradient(xyz, frames, origins, force))
        away = torch.sin(pose.torsions)  # from 180 degrees, near it
        away = torch.where(self._either, -0.5 * torch.sin(2 * pose.torsions), away)
        gradient[0] = gradient[0] + _OMEGA_FORCE * self._omega * away
        torsions, rotation, shift = self._adam.descent(gradient, [-size for size in sizes])
        self.pose = Pose(
            pose.torsions + torsions,
            rotate(pose.rotation, rotation),
            pose.translation + shift,
        )

    def score(self) -> Tensor:
        """Scores of the poses, shape (B,)."""
        return score_poses(self._kinematics, self._target, self.pose)
