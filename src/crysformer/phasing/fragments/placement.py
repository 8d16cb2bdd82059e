"""Placement of one or several copies of a fragment by orientation, translation and refinement."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.crystal.operators import operators
from crysformer.crystal.peak_picking import minimum_image
from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.secondary_structure import Fragment
from crysformer.phasing.fragments.fragment_translation import (
    FragmentTranslation,
    TranslationSettings,
)
from crysformer.phasing.fragments.rotation_function import RotationSettings, best_rotations
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget
from crysformer.phasing.refinement.rigid_body import RigidBodySettings, refine_rigid_bodies
from crysformer.settings import setting

# A fragment clashes if more than this fraction of its residues (one atom of each, five atoms in
# poly-alanine) lies within the distance of a placed one. Half of them may: a helix longer than the
# fragment is found piece by piece.
_CLASH_FRACTION, _CLASH_DISTANCE, _ATOMS_PER_RESIDUE = 0.5, 3.0, 5  # -, A, -
_SAME_CORRELATION = 2e-4  # within which two refined poses are one


@dataclass(frozen=True)
class PlacementSettings:
    """Poses of fragments that are tried and refined."""

    translations: int = setting(
        3, "Translations of each orientation of the first fragment.", min=1, max=1000
    )
    translations_beside: int = setting(
        2, "Translations of each orientation beside placed fragments.", min=1, max=1000
    )
    candidates_beside: int = setting(
        6, "Translations checked for clashes to find those.", min=1, max=1000
    )
    d_min_beside: float = setting(
        2.2, "Resolution limit beside placed fragments.", unit="A", min=0.8, max=6.0
    )
    refined_beside: int = setting(
        4, "Poses refined for each one kept, beside placed fragments.", min=1, max=1000
    )
    refinement_d_min: float = setting(
        1.6, "Resolution limit of rigid-body refinement.", unit="A", min=0.8, max=6.0
    )


@dataclass(frozen=True, eq=False)
class PlacedFragment:
    """One or several copies of a fragment in the asymmetric unit.

    Attributes
    ----------
    fragment
        The fragment.
    xyz
        Atoms of each of k copies, shape (k, n, 3), A.
    correlation
        Correlation of measured and calculated amplitudes after refinement.
    gain
        Log-likelihood gain after flexible refinement, nats; None without it.
    """

    fragment: Fragment
    xyz: Tensor
    correlation: float
    gain: float | None = None


class FragmentPlacer:
    """Places a fragment in the asymmetric unit, then further copies beside it.

    Parameters
    ----------
    data
        The crystal, in its own space group.
    fragment
        The fragment to place.
    b_iso
        B of its atoms, A^2.
    n
        Number of poses to keep; the first fragment is tried in at most as many orientations.
    orientations
        Number of orientations to find, all of which are tried for further copies.
    generator
        Source of the random orientations.
    deadline
        `time.monotonic` after which no further orientation is placed, and nothing is refined.
    settings, rotation, translation, rigid_body
        Settings of the placement and of its steps.

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
        *,
        settings: PlacementSettings | None = None,
        rotation: RotationSettings | None = None,
        translation: TranslationSettings | None = None,
        rigid_body: RigidBodySettings | None = None,
    ) -> None:
        self.data, self.fragment, self.b_iso, self.n = data, fragment, b_iso, n
        self.deadline = deadline
        self.settings = settings or PlacementSettings()
        self.translation, self.rigid_body = translation, rigid_body
        found, _ = best_rotations(
            data, fragment, orientations, generator, deadline=deadline, settings=rotation
        )
        self.rotations = found.cpu().double().numpy()
        self.orth = data.orth
        self.to_frac = data.to_frac

    def first(self) -> list[PlacedFragment]:
        """Poses of one fragment, best first.

        Raises
        ------
        NotApplicable
            Outside P1, if there are too few reflections of low resolution.
        """
        rotated = [self.fragment.xyz @ r.T for r in self.rotations[: self.n]]
        poses = []
        if len(self.data.space_group.operations().sym_ops) == 1:
            poses = rotated
        else:
            function = FragmentTranslation(self.data, self.fragment, settings=self.translation)
            for xyz, r in zip(rotated, self.rotations, strict=False):
                if poses and time.monotonic() > self.deadline:
                    break
                where, _ = function.first(r, self.settings.translations)
                poses += [xyz + one for one in where @ self.orth.T]
        return self._refined(np.array(poses)[:, None], 0.0)

    def further(self, poses: list[PlacedFragment]) -> list[PlacedFragment]:
        """Poses with one more copy, tried in all of its orientations beside each; best first.

        The list is empty if there is no room.

        Parameters
        ----------
        poses
            Poses with equal numbers of copies.

        Raises
        ------
        NotApplicable
            If there are too few reflections of low resolution.
        """
        s = self.settings
        d_min = max(s.d_min_beside, self.data.d_min)
        function = FragmentTranslation(self.data, self.fragment, d_min, settings=self.translation)
        placed = [pose.xyz.double().numpy() for pose in poses]
        fixed = [function.transform(xyz) for xyz in placed]
        found: list[NDArray[np.float64]] = []
        score: list[float] = []
        for r in self.rotations:
            if found and time.monotonic() > self.deadline:
                break
            best = function.further(r, fixed, s.candidates_beside)
            for xyz, (where, correlation) in zip(placed, best, strict=True):
                added = self.fragment.xyz @ r.T + (where @ self.orth.T)[:, None]
                apart = [i for i, one in enumerate(added) if not self._clashes(one, xyz)]
                for i in apart[: s.translations_beside]:
                    found.append(np.concatenate((xyz, added[i][None])))
                    score.append(float(correlation[i]))
        if not found:
            return []
        order = np.argsort(-np.array(score), kind="stable")[: s.refined_beside * self.n]
        return self._refined(np.array(found)[order], _SAME_CORRELATION)

    def _clashes(self, added: NDArray[np.float64], placed: NDArray[np.float64]) -> bool:
        """Test if a fragment (n, 3) overlaps placed ones (k, n, 3) or any symmetry mate, A."""
        one = added[::_ATOMS_PER_RESIDUE] @ self.to_frac.T
        others = placed[:, ::_ATOMS_PER_RESIDUE].reshape(-1, 3) @ self.to_frac.T
        near = np.zeros(len(one), dtype=bool)
        ops = operators(self.data.space_group, centred=True)
        for number, (rotation, shift) in enumerate(ops):
            against = others if number == 0 else np.concatenate((others, one))
            step = one[:, None] - (against @ rotation.T + shift)
            step = minimum_image(step) @ self.orth.T
            near |= (step**2).sum(-1).min(axis=1) < _CLASH_DISTANCE**2
        return bool(near.mean() > _CLASH_FRACTION)

    def _refined(self, xyz: NDArray[np.float64], tolerance: float) -> list[PlacedFragment]:
        """Best of poses (B, k, n, 3), A, after refinement.

        Of poses whose correlations differ by no more than `tolerance` one is kept.
        """
        number = np.tile(self.fragment.number, xyz.shape[1])
        d_min = max(self.settings.refinement_d_min, self.data.d_min)
        target = AmplitudeTarget(self.data, number, self.b_iso, d_min)
        moved, correlation = refine_rigid_bodies(
            target,
            torch.as_tensor(xyz, dtype=torch.float32),
            self.deadline,
            settings=self.rigid_body,
        )
        order = correlation.argsort(descending=True)
        fresh = -correlation[order].diff(prepend=correlation.new_tensor([torch.inf])) > tolerance
        return [
            PlacedFragment(self.fragment, moved[i], float(correlation[i]))
            for i in order[fresh][: self.n].tolist()
        ]


def structure_factors(
    data: CrystalData, poses: list[PlacedFragment], b_iso: float
) -> NDArray[np.complex128]:
    """Structure factors of poses of equally many copies, (poses, n), electrons."""
    number = np.tile(poses[0].fragment.number, len(poses[0].xyz))
    target = AmplitudeTarget(data, number, b_iso, by_element=True)
    xyz = torch.stack([pose.xyz for pose in poses]).flatten(1, 2)
    return np.nan_to_num(target.structure_factors(xyz))
