"""Poses of a fragment in the crystal: orientation, translation, and a rigid climb."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.crystal.reflections import CrystalData
from crysformer.phasing.fragments.ideal import Fragment
from crysformer.phasing.fragments.rotation import best_rotations
from crysformer.phasing.fragments.translation import TranslationFunction
from crysformer.phasing.peptide.kinematics import rotate
from crysformer.phasing.peptide.target import AmplitudeTarget

_TRANSLATIONS = 3  # of each orientation
_CLIMB_D_MIN = 1.6  # A
_CLIMB_STEPS, _TURN, _SHIFT = 20, 0.01, 0.05  # radians and A a step


@dataclass(frozen=True, eq=False)
class PlacedFragment:
    """A fragment where the amplitudes want it.

    Attributes
    ----------
    fragment
        What was placed.
    xyz
        Its atoms, shape (n, 3), A.
    correlation
        Of measured and calculated amplitudes after the climb.
    """

    fragment: Fragment
    xyz: Tensor
    correlation: float


def place_fragment(
    data: CrystalData,
    fragment: Fragment,
    b_iso: float,
    n: int,
    generator: torch.Generator,
    deadline: float,
) -> list[PlacedFragment]:
    """The best poses of a fragment in the asymmetric unit, best first.

    Parameters
    ----------
    data
        The crystal, in its own space group.
    fragment
        What to place.
    b_iso
        B of its atoms, A^2.
    n
        How many poses, and how many orientations to try.
    generator
        Of the orientations.
    deadline
        `time.monotonic` after which no further orientation is placed.
    """
    rotation, _ = best_rotations(data, fragment, n, generator, deadline=deadline)
    xyz = torch.as_tensor(fragment.xyz, dtype=torch.float32)
    poses = []
    if len(data.space_group.operations().sym_ops) == 1:
        poses = [xyz @ r.T for r in rotation]
    else:
        function = TranslationFunction(data, fragment)
        orth = np.array(data.cell.orth.mat.tolist())
        for r in rotation:
            if poses and time.monotonic() > deadline:
                break
            where, _ = function.best(r.cpu().double().numpy(), _TRANSLATIONS)
            shift = torch.as_tensor(where @ orth.T, dtype=torch.float32)
            poses += [xyz @ r.T + one for one in shift]
    placed = torch.stack(poses)
    target = AmplitudeTarget(data, fragment.number, b_iso, max(_CLIMB_D_MIN, data.d_min))
    placed, correlation = climb(target, placed)
    order = correlation.argsort(descending=True)[:n].tolist()
    return [PlacedFragment(fragment, placed[i], float(correlation[i])) for i in order]


def climb(target: AmplitudeTarget, xyz: Tensor) -> tuple[Tensor, Tensor]:
    """Move rigid bodies (B, n, 3) up the correlation; their places and correlations (B,)."""
    centre = xyz.mean(dim=1, keepdim=True)
    body = xyz - centre
    turn = torch.zeros(len(xyz), 3, requires_grad=True)
    shift = torch.zeros(len(xyz), 3, requires_grad=True)
    optimizer = torch.optim.Adam(
        [{"params": [turn], "lr": _TURN}, {"params": [shift], "lr": _SHIFT}]
    )
    for _ in range(_CLIMB_STEPS):
        moved = body @ rotate(torch.eye(3), turn).mT + centre + shift[:, None]
        found = target.evaluate(moved.detach())
        assert found.gradient is not None
        optimizer.zero_grad()
        moved.backward(-found.gradient)
        optimizer.step()
    with torch.no_grad():
        moved = body @ rotate(torch.eye(3), turn).mT + centre + shift[:, None]
        return moved, target.evaluate(moved, gradient=False).correlation


def structure_factors(
    data: CrystalData, poses: list[PlacedFragment], b_iso: float
) -> NDArray[np.complex128]:
    """F of each pose of one fragment with its symmetry mates, shape (poses, n), electrons."""
    target = AmplitudeTarget(data, poses[0].fragment.number, b_iso, by_element=True)
    return np.nan_to_num(target.structure_factors(torch.stack([pose.xyz for pose in poses])))
