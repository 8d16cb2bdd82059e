"""Coordinates of many conformations at once, and gradients with respect to their torsions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.peptide.geometry import Peptides


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

    The root is the group around a CA in the middle of the chain, so that no lever is longer than
    half of it. Turning a bond moves the side that does not hold the root; the torsion angle is the
    same from either side.

    Parameters
    ----------
    peptides
        The chains.
    device
        Where to compute.
    """

    def __init__(self, peptides: Peptides, device: torch.device | str = "cpu") -> None:
        self.peptides = peptides
        n = len(peptides.names)
        linked: list[list[int]] = [[] for _ in range(n)]
        for a, b in peptides.bonds:
            linked[a].append(b)
            linked[b].append(a)
        turning = {frozenset(t.atoms[1:3]): k for k, t in enumerate(peptides.torsions)}
        roots = [_middle(peptides, c) for c in range(len(peptides.sequences))]

        # groups: chains' roots first, then by distance from the root
        group = np.full(n, -1)
        parent: list[int] = []
        torsion: list[int] = []
        depth: list[int] = []
        hinge: list[tuple[int, int]] = []
        queue: list[tuple[int, int, int, int]] = []
        for root in roots:
            queue.append((root, -1, -1, -1))
        while queue:
            start, before, above, k = queue.pop(0)
            g = len(parent)
            parent.append(above)
            torsion.append(k)
            depth.append(0 if above < 0 else depth[above] + 1)
            hinge.append((before, start))
            stack = [start]
            group[start] = g
            while stack:
                atom = stack.pop()
                for other in linked[atom]:
                    if group[other] >= 0 or other == before:
                        continue
                    turns = turning.get(frozenset((atom, other)))
                    if turns is None:
                        group[other] = g
                        stack.append(other)
                    else:
                        queue.append((other, atom, g, turns))
        # an atom at the end of a hinge belongs to the group that it starts; its place is the same
        self.n_chains = len(roots)
        self.depths = [
            [g for g in range(len(parent)) if depth[g] == d] for d in range(1, max(depth) + 1)
        ]
        xyz = peptides.xyz
        frames = np.stack([_frame(xyz, a, b) for a, b in hinge])
        origins = np.array([xyz[b] for _, b in hinge])
        up = np.array([max(p, 0) for p in parent])
        local_frame = np.einsum("gij,gik->gjk", frames[up], frames)
        local_origin = np.einsum("gij,gi->gj", frames[up], origins - origins[up])
        local = np.einsum("aij,ai->aj", frames[group], xyz - origins[group])

        # downstream[k, a]: whether torsion k moves atom a
        below = np.zeros((len(parent), len(parent)), dtype=bool)
        for g, p in enumerate(parent):
            below[g, g] = True
            while p >= 0:
                below[p, g] = True
                p = parent[p]
        moves = below[:, group]
        owner = np.zeros(len(peptides.torsions), dtype=int)
        for g, k in enumerate(torsion):
            if k >= 0:
                owner[k] = g

        def tensor(values: NDArray[np.generic]) -> Tensor:
            single = values.dtype.kind == "f"
            out = torch.as_tensor(values, device=device)
            return out.to(torch.float32) if single else out

        self.group = tensor(group)
        self.parent = tensor(np.array(parent))
        self.torsion = tensor(np.array(torsion))
        self.local_frame = tensor(local_frame)
        self.local_origin = tensor(local_origin)
        self.local = tensor(local)
        self.owner = tensor(owner)
        self.moves = tensor(moves[owner].astype(np.float64))
        self.of_chain = tensor(moves[: self.n_chains].astype(np.float64))
        self.reference = tensor(np.array([t.reference for t in peptides.torsions]))
        self.device = torch.device(device)
        self._level = [
            (torch.tensor(level, device=device), self.parent[level], self.torsion[level])
            for level in self.depths
        ]

    def coordinates(self, pose: Pose) -> tuple[Tensor, Tensor, Tensor]:
        """Atoms, shape (B, n, 3), and the groups' frames (B, G, 3, 3) and origins (B, G, 3), A."""
        batch = len(pose)
        angle = pose.torsions - self.reference
        cosine, sine = angle.cos(), angle.sin()
        n_groups = len(self.parent)
        frames = pose.rotation.new_empty(batch, n_groups, 3, 3)
        origins = pose.rotation.new_empty(batch, n_groups, 3)
        frames[:, : self.n_chains] = pose.rotation
        origins[:, : self.n_chains] = pose.translation
        for level, parent, torsion in self._level:
            above = frames[:, parent]
            turned = above @ self.local_frame[level]
            c, s = cosine[:, torsion, None], sine[:, torsion, None]
            frames[:, level, :, 0] = turned[..., 0]
            frames[:, level, :, 1] = c * turned[..., 1] + s * turned[..., 2]
            frames[:, level, :, 2] = c * turned[..., 2] - s * turned[..., 1]
            shift = (above * self.local_origin[level][:, None, :]).sum(-1)
            origins[:, level] = origins[:, parent] + shift
        moved = (frames[:, self.group] * self.local[:, None, :]).sum(-1)
        return moved + origins[:, self.group], frames, origins

    def gradient(
        self, xyz: Tensor, frames: Tensor, origins: Tensor, force: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """From a gradient with respect to coordinates to one with respect to the pose.

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
        turn = whole[..., :3] - torch.linalg.cross(root, whole[..., 3:])
        return (axis * about).sum(-1), turn, whole[..., 3:]


def _middle(peptides: Peptides, chain: int) -> int:
    """The CA in the middle of a chain."""
    own = [
        i
        for i, (c, name) in enumerate(zip(peptides.chain, peptides.names, strict=True))
        if c == chain and name == "CA"
    ]
    return own[len(own) // 2]


def _frame(xyz: NDArray[np.float64], a: int, b: int) -> NDArray[np.float64]:
    """Columns: x along a to b, y and z any; the unit matrix for a root (a < 0)."""
    if a < 0:
        return np.eye(3)
    x = xyz[b] - xyz[a]
    x /= np.linalg.norm(x)
    y = np.cross(x, np.eye(3)[np.argmin(np.abs(x))])
    y /= np.linalg.norm(y)
    return np.stack((x, y, np.cross(x, y)), axis=1)
