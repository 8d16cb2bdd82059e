"""Coordinates of one conformation after the other, and gradients, compiled.

The same as `crysformer.peptide.kinematics`, which computes many conformations at once.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from crysformer.compiled import compiled
from crysformer.peptide.kinematics import Kinematics


class Linkage(NamedTuple):
    """Constants of `Kinematics` as arrays; groups are numbered from the roots outwards.

    Attributes
    ----------
    parent, torsion
        Parent of each rigid group and the torsion between them, shape (G,); -1 for roots.
    local_frame, local_origin
        Frames and origins of the groups, each in the frame of its parent, shapes (G, 3, 3), (G, 3).
    group, local
        Group of each atom and its position in the frame of that, shapes (n,) and (n, 3).
    reference
        Torsions of the local frames, shape (K,), radians.
    chains
        Number of roots.
    """

    parent: NDArray[np.int64]
    torsion: NDArray[np.int64]
    local_frame: NDArray[np.floating]
    local_origin: NDArray[np.floating]
    group: NDArray[np.int64]
    local: NDArray[np.floating]
    reference: NDArray[np.floating]
    chains: int


class Body(NamedTuple):
    """Memory for one conformation.

    Attributes
    ----------
    frame, origin
        Of each group, shapes (G, 3, 3) and (G, 3), A.
    xyz, force
        Atoms, A, and the gradient with respect to them, shape (n, 3).
    torque_sum, force_sum
        Of the atoms of each group and those that it carries, shape (G, 3).
    """

    frame: NDArray[np.floating]
    origin: NDArray[np.floating]
    xyz: NDArray[np.floating]
    force: NDArray[np.floating]
    torque_sum: NDArray[np.floating]
    force_sum: NDArray[np.floating]


def linkage(kinematics: Kinematics) -> Linkage:
    """Constants of chains for the functions below."""
    k = kinematics
    return Linkage(
        k.tree.parent,
        k.tree.torsion,
        k.local_frame.numpy(),
        k.local_origin.numpy(),
        k.tree.group,
        k.local.numpy(),
        k.reference.numpy(),
        k.n_chains,
    )


@compiled
def body(c: Linkage) -> Body:
    """Allocate memory for the functions below."""
    n, g, dtype = len(c.group), len(c.parent), c.local.dtype
    return Body(
        np.empty((g, 3, 3), dtype),
        np.empty((g, 3), dtype),
        np.empty((n, 3), dtype),
        np.empty((n, 3), dtype),
        np.empty((g, 3), dtype),
        np.empty((g, 3), dtype),
    )


@compiled
def place_body(
    c: Linkage,
    b: Body,
    torsions: NDArray[np.floating],
    rotation: NDArray[np.floating],
    translation: NDArray[np.floating],
) -> None:
    """Frames, origins and atoms of one conformation.

    Parameters
    ----------
    c, b
        The chains, and memory for the result.
    torsions, rotation, translation
        Of the conformation, shapes (K,), (C, 3, 3) and (C, 3): see `Pose`.
    """
    frame, origin = b.frame, b.origin
    for g in range(len(c.parent)):
        if g < c.chains:
            for i in range(3):
                origin[g, i] = translation[g, i]
                for j in range(3):
                    frame[g, i, j] = rotation[g, i, j]
            continue
        above, own, shift = c.parent[g], c.local_frame[g], c.local_origin[g]
        angle = torsions[c.torsion[g]] - c.reference[c.torsion[g]]
        cosine, sine = math.cos(angle), math.sin(angle)
        for i in range(3):
            x, y, z = frame[above, i, 0], frame[above, i, 1], frame[above, i, 2]
            origin[g, i] = origin[above, i] + x * shift[0] + y * shift[1] + z * shift[2]
            first = x * own[0, 0] + y * own[1, 0] + z * own[2, 0]
            second = x * own[0, 1] + y * own[1, 1] + z * own[2, 1]
            third = x * own[0, 2] + y * own[1, 2] + z * own[2, 2]
            frame[g, i, 0] = first
            frame[g, i, 1] = cosine * second + sine * third
            frame[g, i, 2] = cosine * third - sine * second
    for a in range(len(c.group)):
        g = c.group[a]
        x, y, z = c.local[a, 0], c.local[a, 1], c.local[a, 2]
        for i in range(3):
            b.xyz[a, i] = (
                origin[g, i] + frame[g, i, 0] * x + frame[g, i, 1] * y + frame[g, i, 2] * z
            )


@compiled
def pull_body(c: Linkage, b: Body, slope: NDArray[np.floating]) -> None:
    """Gradient with respect to a conformation, from `b.force`.

    Parameters
    ----------
    c, b
        The chains, and one conformation from `place_body` with its forces.
    slope
        Filled with the gradient with respect to torsions, orientation of each root (axis times
        angle, laboratory axes) and its position, shape (K + 6 C,).
    """
    torque, force = b.torque_sum, b.force_sum
    torque[:] = 0
    force[:] = 0
    for a in range(len(c.group)):
        g = c.group[a]
        x, y, z = b.xyz[a, 0], b.xyz[a, 1], b.xyz[a, 2]
        u, v, w = b.force[a, 0], b.force[a, 1], b.force[a, 2]
        torque[g, 0] += y * w - z * v
        torque[g, 1] += z * u - x * w
        torque[g, 2] += x * v - y * u
        force[g, 0] += u
        force[g, 1] += v
        force[g, 2] += w
    n_torsions = len(c.reference)
    for g in range(len(c.parent) - 1, -1, -1):
        x, y, z = b.origin[g, 0], b.origin[g, 1], b.origin[g, 2]
        u, v, w = force[g, 0], force[g, 1], force[g, 2]
        along_x = torque[g, 0] - (y * w - z * v)
        along_y = torque[g, 1] - (z * u - x * w)
        along_z = torque[g, 2] - (x * v - y * u)
        if g < c.chains:
            first = n_torsions + 3 * g
            slope[first], slope[first + 1], slope[first + 2] = along_x, along_y, along_z
            first += 3 * c.chains
            slope[first], slope[first + 1], slope[first + 2] = u, v, w
            continue
        frame = b.frame[g]
        slope[c.torsion[g]] = frame[0, 0] * along_x + frame[1, 0] * along_y + frame[2, 0] * along_z
        above = c.parent[g]
        for i in range(3):
            torque[above, i] += torque[g, i]
            force[above, i] += force[g, i]


@compiled
def rotate_frame(frame: NDArray[np.floating], x: float, y: float, z: float) -> None:
    """Rotate a frame (3, 3) by axis times angle in place (Rodrigues)."""
    angle = math.sqrt(x * x + y * y + z * z)
    if angle == 0:
        return
    x, y, z = x / angle, y / angle, z / angle
    cosine, sine, one = math.cos(angle), math.sin(angle), frame.dtype.type(1)
    for j in range(3):
        u, v, w = frame[0, j], frame[1, j], frame[2, j]
        along = (x * u + y * v + z * w) * (one - cosine)
        frame[0, j] = cosine * u + sine * (y * w - z * v) + along * x
        frame[1, j] = cosine * v + sine * (z * u - x * w) + along * y
        frame[2, j] = cosine * w + sine * (x * v - y * u) + along * z
