"""Coordinates of many conformations at once, and gradients with respect to their torsions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.peptide.geometry import Peptides
from crysformer.peptide.rigid_groups import RigidGroupTree


@dataclass(frozen=True, eq=False)
class Pose:
    """A batch of conformations.

    Attributes
    ----------
    torsions
        Radians, shape (B, K), as `Peptides.torsions`.
    rotation
        Orientation of each chain's root, shape (B, C, 3, 3).
    translation
        Cartesian position of each chain's root, shape (B, C, 3), A.
    """

    torsions: Tensor
    rotation: Tensor
    translation: Tensor

    def __len__(self) -> int:
        return len(self.torsions)

    @property
    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        """Torsions, rotation and translation."""
        return self.torsions, self.rotation, self.translation

    def to(self, device: torch.device | str) -> Pose:
        """The same poses on another device."""
        return Pose(*(x.to(device) for x in self.parts))

    def clone(self) -> Pose:
        """A copy that can be changed in place."""
        return Pose(*(x.clone() for x in self.parts))

    def __getitem__(self, rows: Tensor | slice | list[int]) -> Pose:
        return Pose(self.torsions[rows], self.rotation[rows], self.translation[rows])


def join(poses: list[Pose]) -> Pose:
    """Several batches as one."""
    return Pose(
        torch.cat([p.torsions for p in poses]),
        torch.cat([p.rotation for p in poses]),
        torch.cat([p.translation for p in poses]),
    )


class Kinematics:
    """Chains as trees of rigid groups, each hinged to its parent by one torsion.

    Parameters
    ----------
    peptides
        The chains.
    device
        Where to compute.
    """

    def __init__(self, peptides: Peptides, device: torch.device | str = "cpu") -> None:
        tree = RigidGroupTree.of(peptides)
        xyz = peptides.xyz
        frames = np.stack([_frame(xyz, a, b) for a, b in tree.hinge])
        origins = xyz[[b for _, b in tree.hinge]]
        above = np.maximum(tree.parent, 0)
        local_frame = np.einsum("gij,gik->gjk", frames[above], frames)
        local_origin = np.einsum("gij,gi->gj", frames[above], origins - origins[above])
        local = np.einsum("aij,ai->aj", frames[tree.group], xyz - origins[tree.group])
        moves = tree.moves()

        def tensor(values: NDArray[np.generic]) -> Tensor:
            return torch.as_tensor(values, device=device)

        def single(values: NDArray[np.generic]) -> Tensor:
            return torch.as_tensor(values, dtype=torch.float32, device=device)

        self.peptides, self.tree = peptides, tree
        self.device = torch.device(device)
        self.n_chains = tree.n_chains
        self.group = tensor(tree.group)
        self.owner = tensor(tree.owner)
        self.local_frame, self.local_origin = single(local_frame), single(local_origin)
        self.local = single(local)
        self.moves, self.of_chain = single(moves[tree.owner]), single(moves[: tree.n_chains])
        self.reference = single(np.array([t.reference for t in peptides.torsions]))
        self._levels = [
            (tensor(level), tensor(tree.parent[level]), tensor(tree.torsion[level]))
            for level in tree.levels()
        ]

    def coordinates(self, pose: Pose) -> tuple[Tensor, Tensor, Tensor]:
        """Atoms, shape (B, n, 3), and the groups' frames (B, G, 3, 3) and origins (B, G, 3), A."""
        batch = len(pose)
        angle = pose.torsions - self.reference
        cosine, sine = angle.cos(), angle.sin()
        n_groups = len(self.local_frame)
        frames = pose.rotation.new_empty(batch, n_groups, 3, 3)
        origins = pose.rotation.new_empty(batch, n_groups, 3)
        frames[:, : self.n_chains] = pose.rotation
        origins[:, : self.n_chains] = pose.translation
        for level, parent, torsion in self._levels:
            above = frames[:, parent]
            rotated = above @ self.local_frame[level]
            c, s = cosine[:, torsion, None], sine[:, torsion, None]
            frames[:, level, :, 0] = rotated[..., 0]
            frames[:, level, :, 1] = c * rotated[..., 1] + s * rotated[..., 2]
            frames[:, level, :, 2] = c * rotated[..., 2] - s * rotated[..., 1]
            shift = (above * self.local_origin[level][:, None, :]).sum(-1)
            origins[:, level] = origins[:, parent] + shift
        moved = (frames[:, self.group] * self.local[:, None, :]).sum(-1)
        return moved + origins[:, self.group], frames, origins

    def gradient(
        self, xyz: Tensor, frames: Tensor, origins: Tensor, force: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Gradient with respect to the pose, from one with respect to the coordinates.

        Parameters
        ----------
        xyz, frames, origins
            As `coordinates` returned them.
        force
            Gradient with respect to `xyz`, shape (B, n, 3).

        Returns
        -------
        (torsions, rotation, translation)
            Shapes (B, K), (B, C, 3) (about each chain's root, axis times angle, laboratory axes)
            and (B, C, 3).
        """
        torque = torch.linalg.cross(xyz, force)
        both = torch.cat((torque, force), dim=2)
        sums = self.moves @ both  # (B, K, 6)
        axis, origin = frames[:, self.owner, :, 0], origins[:, self.owner]
        about = sums[..., :3] - torch.linalg.cross(origin, sums[..., 3:])
        whole = self.of_chain @ both
        root = origins[:, : self.n_chains]
        about_root = whole[..., :3] - torch.linalg.cross(root, whole[..., 3:])
        return (axis * about).sum(-1), about_root, whole[..., 3:]


def _frame(xyz: NDArray[np.float64], a: int, b: int) -> NDArray[np.float64]:
    """Columns: x along a to b, y and z any; the unit matrix for a root (a < 0)."""
    if a < 0:
        return np.eye(3)
    x = xyz[b] - xyz[a]
    x /= np.linalg.norm(x)
    y = np.cross(x, np.eye(3)[np.argmin(np.abs(x))])
    y /= np.linalg.norm(y)
    return np.stack((x, y, np.cross(x, y)), axis=1)
