"""Rotations: random ones, from quaternions and rotation vectors, and superposition."""

from __future__ import annotations

import torch
from torch import Tensor


def random_quaternions(n: int, generator: torch.Generator) -> Tensor:
    """Uniformly distributed rotations as unit quaternions, shape (n, 4), float64."""
    q = torch.randn(n, 4, generator=generator, dtype=torch.float64, device=generator.device)
    return q / q.norm(dim=1, keepdim=True)


def rotation_matrices(quaternion: Tensor) -> Tensor:
    """Rotation matrices, shape (n, 3, 3), of unit quaternions (w, x, y, z), shape (n, 4)."""
    w, x, y, z = quaternion.unbind(dim=1)
    rows = (
        torch.stack((1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)), dim=1),
        torch.stack((2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)), dim=1),
        torch.stack((2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)), dim=1),
    )
    return torch.stack(rows, dim=1)


def rotate(rotation: Tensor, rotation_vector: Tensor) -> Tensor:
    """Rotations (..., 3, 3) followed by one more, given as axis times angle (..., 3), radians."""
    return rotation_of(rotation_vector) @ rotation


def rotation_of(rotation_vector: Tensor) -> Tensor:
    """Rotation matrices (..., 3, 3) of axis times angle (..., 3) (Rodrigues)."""
    angle = torch.linalg.vector_norm(rotation_vector, dim=-1).clamp(min=1e-8)[..., None]
    x, y, z = (rotation_vector / angle).unbind(-1)
    zero = torch.zeros_like(x)
    k = torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), dim=-1).unflatten(-1, (3, 3))
    s, c = angle.sin()[..., None], angle.cos()[..., None]
    return torch.eye(3, device=rotation_vector.device) + s * k + (1 - c) * (k @ k)


def random_rotations(n: int, generator: torch.Generator) -> Tensor:
    """Rotations of uniform density, shape (n, 3, 3) (from random unit quaternions)."""
    q = torch.nn.functional.normalize(torch.randn(n, 4, generator=generator), dim=1)
    return rotation_matrices(q)


def superpose(moving: Tensor, fixed: Tensor) -> tuple[Tensor, Tensor]:
    """Rotations (..., 3, 3) and shifts (..., 3) of atoms (..., n, 3) onto others (Kabsch, 1976)."""
    a, b = moving.mean(-2, keepdim=True), fixed.mean(-2, keepdim=True)
    u, _, vh = torch.linalg.svd((moving - a).mT @ (fixed - b))
    sign = torch.sign(torch.linalg.det(u @ vh))
    one = torch.ones_like(sign)
    rotation = vh.mT @ (torch.stack((one, one, sign), dim=-1)[..., None] * u.mT)
    return rotation, (b - a @ rotation.mT)[..., 0, :]


def dihedrals(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """Torsion angles (...) of four atoms (..., 3), radians (IUPAC sign)."""
    first, axis, last = b - a, c - b, d - c
    n0, n1 = torch.linalg.cross(first, axis), torch.linalg.cross(axis, last)
    length = torch.linalg.vector_norm(axis, dim=-1)
    return torch.atan2(length * (first * n1).sum(-1), (n0 * n1).sum(-1))
