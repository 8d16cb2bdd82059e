"""Molecules that lie on an inversion centre, a mirror plane or a two-fold axis of their crystal."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import gemmi
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from crysformer.crystal.operators import Operators, operators
from crysformer.data.synthetic.small_molecules import SmallMolecule, random_molecule

Element = Literal["inversion", "mirror", "twofold"]
_ROTATIONS: dict[Element, tuple[int, int, int]] = {
    "inversion": (-1, -1, -1), "mirror": (1, -1, 1), "twofold": (-1, 1, -1),
}  # fmt: skip
_SULPHUR, _BOND = 16, 1.81  # A, C-S
_HALF_ANGLE = math.radians(51.0)  # of C-S-C
_APART = 2.2  # A, least distance between the atoms of the two halves
_TRIES = 1000


@dataclass(frozen=True, eq=False)
class SpecialSite:
    """A symmetry element of a space group on which a molecule lies.

    Attributes
    ----------
    rotation
        Of its operator, of diagonal elements 1 and -1, shape (3,); axes are those of the cell.
    place
        A fractional point on it, shape (3,).
    images
        Rotations (m, 3, 3) and translations (m, 3) that make the crystal of the whole molecule: of
        two operators that give the same image one, the identity first.
    """

    rotation: NDArray[np.float64]
    place: NDArray[np.float64]
    images: tuple[NDArray[np.float64], NDArray[np.float64]]


def special_site(group: gemmi.SpaceGroup, element: Element) -> SpecialSite:
    """The first symmetry element of a kind, mirrors normal to b and axes along b.

    Raises
    ------
    ValueError
        If the group has none.
    """
    ops = operators(group, centred=True)
    wanted = np.array(_ROTATIONS[element])
    for rotation, shift in ops:
        if (rotation == np.diag(wanted)).all() and not (shift * (wanted == 1)).any():
            return SpecialSite(wanted.astype(np.float64), shift / 2, _images(ops, rotation, shift))
    raise ValueError(f"{group.xhm()}: no {element} normal to or along b")


def _images(
    ops: Operators, rotation: NDArray[np.int64], shift: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """One operator of each two, S and S R, that give the same image of the molecule."""
    kept: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []
    for turn, step in ops:
        partner, moved = turn @ rotation, (turn @ shift + step) % 1.0
        if not any(
            (partner == r).all() and np.allclose((moved - t + 0.5) % 1.0, 0.5) for r, t in kept
        ):
            kept.append((turn, step))
    return np.array([r for r, _ in kept], dtype=np.float64), np.array([t for _, t in kept])


@dataclass(frozen=True, eq=False)
class SymmetricMolecule:
    """A molecule that a symmetry operation about its origin maps onto itself.

    Attributes
    ----------
    molecule
        All of it; Cartesian b along y.
    unique
        Flags of the atoms of one half and of those on the element, shape (N,).
    on_element
        Flags of the latter, shape (N,).
    """

    molecule: SmallMolecule
    unique: NDArray[np.bool_]
    on_element: NDArray[np.bool_]


def symmetric_molecule(
    n_atoms: int, element: Element, rng: np.random.Generator
) -> SymmetricMolecule:
    """A sulphur on the element between two halves, mates of each other.

    Parameters
    ----------
    n_atoms
        Atoms of one half other than hydrogen.
    element
        Symmetry element.
    rng
        Source of the half and its orientation.
    """
    # towards the half, in the plane of the element's perpendicular
    along = np.array([0.0, 1.0, 0.0]) if element != "twofold" else np.array([1.0, 0.0, 0.0])
    across = np.array([1.0, 0.0, 0.0]) if element != "twofold" else np.array([0.0, 1.0, 0.0])
    tilt = math.pi / 2 if element == "inversion" else _HALF_ANGLE
    direction = math.sin(tilt) * along + math.cos(tilt) * across
    operation = np.array(_ROTATIONS[element], dtype=np.float64)
    for _ in range(_TRIES):
        half = random_molecule(n_atoms, rng)
        hydrogen = int(rng.choice(np.flatnonzero(half.number == 1)))
        parent = int(half.bonds[(half.bonds == hydrogen).any(axis=1)][0].min())
        if half.number[parent] != 6:
            continue
        out = half.xyz[hydrogen] - half.xyz[parent]
        turn, _ = Rotation.align_vectors(-direction[None], out[None])
        turn = Rotation.from_rotvec(direction * rng.uniform(0, 2 * math.pi)) * turn
        xyz = turn.apply(half.xyz - half.xyz[parent]) + _BOND * direction
        keep = np.arange(len(xyz)) != hydrogen
        xyz, number = xyz[keep], half.number[keep]
        mate = xyz * operation
        apart = np.linalg.norm(xyz[:, None] - mate[None], axis=-1)
        to_centre = np.sort(np.linalg.norm(xyz, axis=1))
        if apart.min() > _APART and to_centre[1] > _APART:
            return _assembled(xyz, number, operation)
    raise ValueError(f"no half of {n_atoms} atoms fits beside its mate")


def _assembled(
    xyz: NDArray[np.float64], number: NDArray[np.int64], operation: NDArray[np.float64]
) -> SymmetricMolecule:
    n = len(xyz)
    sites = np.concatenate([np.zeros((1, 3)), xyz, xyz * operation])
    numbers = np.concatenate([[_SULPHUR], number, number]).astype(np.int64)
    unique = np.arange(2 * n + 1) <= n
    on_element = np.arange(2 * n + 1) == 0
    order = np.argsort(numbers == 1, kind="stable")
    sites, numbers = sites[order], numbers[order]
    apart = np.linalg.norm(sites[:, None] - sites[None], axis=-1)
    limit = np.where((numbers[:, None] == 1) | (numbers[None] == 1), 1.25, 2.0)
    bonds = np.argwhere(np.triu((apart < limit) & (apart > 0.1))).astype(np.int64)
    return SymmetricMolecule(SmallMolecule(numbers, sites, bonds), unique[order], on_element[order])
