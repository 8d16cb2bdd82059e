"""Rating and ascent of poses against amplitudes by compiled functions, one pose after the other.

The same as `torsion_ascent` does with PyTorch, for `CompiledTarget`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.compiled import compiled, over_ranges
from crysformer.peptide.cis_bonds import cis_probability
from crysformer.peptide.compiled_kinematics import (
    Linkage,
    body,
    linkage,
    place_body,
    pull_body,
    rotate_frame,
)
from crysformer.peptide.kinematics import Kinematics, Pose
from crysformer.phasing.refinement.compiled_sums import evaluate_atoms
from crysformer.phasing.refinement.compiled_target import CompiledTarget
from crysformer.phasing.refinement.compiled_waves import workspace
from crysformer.phasing.refinement.trigonometric_sums import TrigonometricSums


@dataclass(frozen=True)
class AdamConstants:
    """Constants of Adam, and of the force on omega.

    Attributes
    ----------
    betas
        Decay rates of the first and the second moment.
    eps
        Added to the root of the second moment.
    omega_force
        Factor of -cos(omega) in the score; where cis is as stable as trans, of cos(2 omega) / 4.
    """

    betas: tuple[float, float]
    eps: float
    omega_force: float


class CompiledAscent:
    """Poses that ascend a score together, as `refine_torsions` moves them.

    Parameters
    ----------
    kinematics
        The chains.
    target
        Amplitudes.
    pose
        Poses to start from, on the processor; they are left as they are.
    constants
        Constants of the steps.
    """

    def __init__(
        self,
        kinematics: Kinematics,
        target: CompiledTarget,
        pose: Pose,
        constants: AdamConstants,
    ) -> None:
        self._linkage, self._sums, self._constants = linkage(kinematics), target.sums, constants
        self.pose = Pose(*(x.clone().contiguous() for x in pose.parts))
        self._parts = [x.numpy() for x in self.pose.parts]
        peptides = kinematics.peptides
        omega = np.array([t.kind == "omega" for t in peptides.torsions])
        either = np.array(cis_probability(peptides)) > 0
        factors = np.stack((omega & ~either, -1.0 * (omega & either)))
        self._omega = (constants.omega_force * factors).astype(np.float32)
        parameters = len(omega) + 6 * kinematics.n_chains
        self._mean = np.zeros((len(pose), parameters), dtype=np.float32)
        self._square = np.zeros_like(self._mean)
        self._count = 0

    def step(self, sizes: list[float]) -> None:
        """Move every pose uphill; step sizes of torsions, orientations and positions."""
        self._count += 1
        (first, second), eps = self._constants.betas, self._constants.eps
        norm, root_norm = 1 - first**self._count, math.sqrt(1 - second**self._count)
        numbers = np.array(
            [first, second, eps, 1 / root_norm, *(size / norm for size in sizes)], dtype=np.float32
        )

        torsions, rotation, translation = self._parts

        def part(rows: slice) -> None:
            ascend(
                self._sums,
                self._linkage,
                torsions[rows],
                rotation[rows],
                translation[rows],
                self._omega,
                self._mean[rows],
                self._square[rows],
                numbers,
            )

        over_ranges(part, len(self._mean))

    def score(self) -> Tensor:
        """Scores of the poses, shape (B,)."""
        return _scores(self._linkage, self._sums, self._parts)


def score_poses(kinematics: Kinematics, target: CompiledTarget, pose: Pose) -> Tensor:
    """Scores of poses on the processor, shape (B,)."""
    parts = [x.contiguous().numpy() for x in pose.parts]
    return _scores(linkage(kinematics), target.sums, parts)


def _scores(chains: Linkage, sums: TrigonometricSums, parts: list[NDArray[np.float32]]) -> Tensor:
    torsions, rotation, translation = parts
    found = np.empty(len(torsions), dtype=np.float32)

    def part(rows: slice) -> None:
        rate(sums, chains, torsions[rows], rotation[rows], translation[rows], found[rows])

    over_ranges(part, len(found))
    return torch.from_numpy(found)


@compiled
def rate(
    s: TrigonometricSums,
    c: Linkage,
    torsions: NDArray[np.floating],
    rotation: NDArray[np.floating],
    translation: NDArray[np.floating],
    score: NDArray[np.floating],
) -> None:
    """Fill `score`, shape (B,), with the scores of poses (see `Pose` for the shapes)."""
    w, b = workspace(s), body(c)
    no_force = b.force[:0]
    for i in range(len(torsions)):
        place_body(c, b, torsions[i], rotation[i], translation[i])
        score[i] = evaluate_atoms(s, w, b.xyz, no_force)[2]


@compiled
def ascend(
    s: TrigonometricSums,
    c: Linkage,
    torsions: NDArray[np.floating],
    rotation: NDArray[np.floating],
    translation: NDArray[np.floating],
    omega: NDArray[np.floating],
    mean: NDArray[np.floating],
    square: NDArray[np.floating],
    numbers: NDArray[np.floating],
) -> None:
    """Move every pose one step of Adam uphill, in place.

    Parameters
    ----------
    s, c
        Amplitudes and chains.
    torsions, rotation, translation
        The poses, as in `Pose`.
    omega
        Factors of sin(torsion) and sin(torsion) cos(torsion) in the gradient with respect to each
        torsion, shape (2, K).
    mean, square
        Moments of the gradient, shape (B, K + 6 C).
    numbers
        Decay rates of the first and second moment, addition to the root of the second, factor of
        that root, and step sizes of torsions, orientations and positions, shape (7,).
    """
    w, b, n_torsions = workspace(s), body(c), torsions.shape[1]
    slope = np.empty(mean.shape[1], mean.dtype)
    one = mean.dtype.type(1)
    first, second, eps, root = numbers[0], numbers[1], numbers[2], numbers[3]
    for i in range(len(torsions)):
        place_body(c, b, torsions[i], rotation[i], translation[i])
        evaluate_atoms(s, w, b.xyz, b.force)
        pull_body(c, b, slope)
        for k in range(n_torsions):
            angle = torsions[i, k]
            slope[k] += math.sin(angle) * (omega[0, k] + omega[1, k] * math.cos(angle))
        for k in range(len(slope)):  # becomes the move
            mean[i, k] += (slope[k] - mean[i, k]) * (one - first)
            square[i, k] = square[i, k] * second + slope[k] * slope[k] * (one - second)
            slope[k] = mean[i, k] / (math.sqrt(square[i, k]) * root + eps)
        for k in range(n_torsions):
            torsions[i, k] += numbers[4] * slope[k]
        for chain in range(c.chains):
            k = n_torsions + 3 * chain
            size = numbers[5]
            rotate_frame(
                rotation[i, chain], size * slope[k], size * slope[k + 1], size * slope[k + 2]
            )
            k += 3 * c.chains
            for axis in range(3):
                translation[i, chain, axis] += numbers[6] * slope[k + axis]
