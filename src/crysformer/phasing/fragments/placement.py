"""Poses of a fragment in the crystal, once or several times: orientation, translation, climb."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.crystal.operators import operators
from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.rotations import rotate
from crysformer.peptide.secondary_structure import Fragment
from crysformer.phasing.atoms.peak_picking import minimum_image
from crysformer.phasing.fragments.fragment_translation import FragmentTranslation
from crysformer.phasing.fragments.rotation_function import best_rotations
from crysformer.phasing.refinement.adam import minimise
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget

_TRANSLATIONS = 3  # of each orientation
# Of each orientation beside what is placed already, and how many are looked at for those that are
# not on top of it: more than half of the residues (five atoms each in poly-alanine) nearer than so
# many A to another one. Half may be: a longer helix than the fragment is found piece by piece.
_TRANSLATIONS_BESIDE, _LOOKED_AT = 2, 6
_ON_TOP, _RESIDUE = 3.0, 5
_D_MIN_BESIDE = 2.2  # A
_CLIMBED_BESIDE = 4  # poses that climb, for each one returned
_SAME = 2e-4  # correlations nearer than this are of one pose
_CLIMB_D_MIN = 1.6  # A
_CLIMB_STEPS, _TURN, _SHIFT = 20, 0.01, 0.05  # radians and A a step


@dataclass(frozen=True, eq=False)
class PlacedFragment:
    """A fragment where the amplitudes want it, or several of one kind.

    Attributes
    ----------
    fragment
        What was placed.
    xyz
        Its atoms, shape (k, n, 3), A, for each of k times that it was placed.
    correlation
        Of measured and calculated amplitudes after the climb.
    """

    fragment: Fragment
    xyz: Tensor
    correlation: float


class FragmentPlacer:
    """Places a fragment in the asymmetric unit, then further ones beside it.

    Parameters
    ----------
    data
        The crystal, in its own space group.
    fragment
        What to place.
    b_iso
        B of its atoms, A^2.
    n
        How many poses to keep; the first fragment has as many orientations at most.
    orientations
        How many to find for further fragments.
    generator
        Of the orientations.
    deadline
        `time.monotonic` after which no further orientation is placed, and nothing climbs.

    Raises
    ------
    NotApplicable
        If there are too few reflections of low resolution.
    """

    def __init__(
        self,
        data: CrystalData,
        fragment: Fragment,
        b_iso: float,
        n: int,
        orientations: int,
        generator: torch.Generator,
        deadline: float,
    ) -> None:
        self.data, self.fragment, self.b_iso, self.n = data, fragment, b_iso, n
        self.deadline = deadline
        found, _ = best_rotations(data, fragment, orientations, generator, deadline=deadline)
        self.rotations = found.cpu().double().numpy()
        self.orth = data.orth
        self.to_frac = data.to_frac

    def first(self) -> list[PlacedFragment]:
        """The best poses of one fragment, best first.

        Raises
        ------
        NotApplicable
            Outside P1, if there are too few reflections of low resolution.
        """
        turned = [self.fragment.xyz @ r.T for r in self.rotations[: self.n]]
        poses = []
        if len(self.data.space_group.operations().sym_ops) == 1:
            poses = turned
        else:
            function = FragmentTranslation(self.data, self.fragment)
            for xyz, r in zip(turned, self.rotations, strict=False):
                if poses and time.monotonic() > self.deadline:
                    break
                where, _ = function.first(r, _TRANSLATIONS)
                poses += [xyz + one for one in where @ self.orth.T]
        return self._climbed(np.array(poses)[:, None], 0.0)

    def further(self, poses: list[PlacedFragment]) -> list[PlacedFragment]:
        """The best poses with one fragment more, all of its orientations beside each; best first.

        None, if there is no room.

        Parameters
        ----------
        poses
            With equal numbers of fragments.

        Raises
        ------
        NotApplicable
            If there are too few reflections of low resolution.
        """
        d_min = max(_D_MIN_BESIDE, self.data.d_min)
        function = FragmentTranslation(self.data, self.fragment, d_min)
        placed = [pose.xyz.double().numpy() for pose in poses]
        fixed = [function.transform(xyz) for xyz in placed]
        found: list[NDArray[np.float64]] = []
        score: list[float] = []
        for r in self.rotations:
            if found and time.monotonic() > self.deadline:
                break
            best = function.further(r, fixed, _LOOKED_AT)
            for xyz, (where, correlation) in zip(placed, best, strict=True):
                added = self.fragment.xyz @ r.T + (where @ self.orth.T)[:, None]
                apart = [i for i, one in enumerate(added) if not self._on_top(one, xyz)]
                for i in apart[:_TRANSLATIONS_BESIDE]:
                    found.append(np.concatenate((xyz, added[i][None])))
                    score.append(float(correlation[i]))
        if not found:
            return []
        order = np.argsort(-np.array(score), kind="stable")[: _CLIMBED_BESIDE * self.n]
        return self._climbed(np.array(found)[order], _SAME)

    def _on_top(self, added: NDArray[np.float64], placed: NDArray[np.float64]) -> bool:
        """Whether one fragment (n, 3) lies on those placed (k, n, 3) or on any mate, A."""
        one = added[::_RESIDUE] @ self.to_frac.T
        others = placed[:, ::_RESIDUE].reshape(-1, 3) @ self.to_frac.T
        near = np.zeros(len(one), dtype=bool)
        ops = operators(self.data.space_group, centred=True)
        for number, (turn, shift) in enumerate(ops):
            against = others if number == 0 else np.concatenate((others, one))
            gap = one[:, None] - (against @ turn.T + shift)
            gap = minimum_image(gap) @ self.orth.T
            near |= (gap**2).sum(-1).min(axis=1) < _ON_TOP**2
        return bool(near.mean() > 0.5)

    def _climbed(self, xyz: NDArray[np.float64], same: float) -> list[PlacedFragment]:
        number = np.tile(self.fragment.number, xyz.shape[1])
        target = AmplitudeTarget(self.data, number, self.b_iso, max(_CLIMB_D_MIN, self.data.d_min))
        moved, correlation = climb(target, torch.as_tensor(xyz, dtype=torch.float32), self.deadline)
        order = correlation.argsort(descending=True)
        fresh = -correlation[order].diff(prepend=correlation.new_tensor([torch.inf])) > same
        return [
            PlacedFragment(self.fragment, moved[i], float(correlation[i]))
            for i in order[fresh][: self.n].tolist()
        ]


def climb(
    target: AmplitudeTarget, xyz: Tensor, deadline: float = math.inf
) -> tuple[Tensor, Tensor]:
    """Move rigid bodies (B, k, n, 3) up the correlation; their places and correlations (B,)."""
    centre = xyz.mean(dim=2, keepdim=True)
    body = xyz - centre
    turn = xyz.new_zeros(*xyz.shape[:2], 3).requires_grad_()
    shift = torch.zeros_like(turn).requires_grad_()

    def moved() -> Tensor:
        rotation = rotate(torch.eye(3), turn.flatten(0, 1)).view(*turn.shape, 3)
        return body @ rotation.mT + centre + shift[:, :, None]

    def gradients() -> tuple[Tensor, ...]:
        atoms = moved().flatten(1, 2)
        gradient = target.evaluate(atoms.detach()).gradient
        assert gradient is not None
        return torch.autograd.grad(atoms, (turn, shift), -gradient)

    minimise((turn, shift), gradients, (_TURN, _SHIFT), _CLIMB_STEPS, deadline=deadline)
    with torch.no_grad():
        reached = moved()
        return reached, target.evaluate(reached.flatten(1, 2), gradient=False).correlation


def structure_factors(
    data: CrystalData, poses: list[PlacedFragment], b_iso: float
) -> NDArray[np.complex128]:
    """F of poses of as many fragments each, with their symmetry mates: (poses, n), electrons."""
    number = np.tile(poses[0].fragment.number, len(poses[0].xyz))
    target = AmplitudeTarget(data, number, b_iso, by_element=True)
    xyz = torch.stack([pose.xyz for pose in poses]).flatten(1, 2)
    return np.nan_to_num(target.structure_factors(xyz))
