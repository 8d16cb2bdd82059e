"""Restraints to standard geometry: bonds, angles, planes, and the hand of chiral centres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.peptide.kinematics import Kinematics
from crysformer.peptide.ring_closure import ANGLE, BOND, ring_distances

_FLAT = 0.06  # A, expected error of other distances
_VOLUME = 0.2  # and of a chiral volume, A^3


@dataclass(frozen=True, eq=False)
class Restraints:
    """Pairs of atoms with their ideal distance, and centres with their ideal chiral volume.

    Attributes
    ----------
    first, second
        Atoms, shape (m,).
    distance, sigma
        A, shape (m,).
    bonds
        Bonded pairs, shape (k, 2).
    centres
        Atoms with three neighbours, and these, shape (c, 4).
    volume
        (a - centre) . ((b - centre) x (c - centre)), shape (c,), A^3.
    """

    first: Tensor
    second: Tensor
    distance: Tensor
    sigma: Tensor
    bonds: Tensor
    centres: Tensor
    volume: Tensor

    def chi_squared(self, xyz: Tensor) -> Tensor:
        """Sum of squared deviations in units of sigma, shape (B,), of coordinates (B, n, 3)."""
        found = torch.linalg.vector_norm(xyz[:, self.first] - xyz[:, self.second], dim=2)
        lengths = (((found - self.distance) / self.sigma) ** 2).sum(1)
        volumes = (((chiral_volumes(xyz, self.centres) - self.volume) / _VOLUME) ** 2).sum(1)
        return lengths + volumes

    def of_atoms(self, row: Tensor) -> Restraints:
        """The restraints among some of the atoms, in another order.

        Parameters
        ----------
        row
            Place of each atom in the new order, shape (n,); -1 for an atom that is not there.
        """
        pairs = (row[self.first] >= 0) & (row[self.second] >= 0)
        bonds, centres = row[self.bonds], row[self.centres]
        kept = (centres >= 0).all(1)
        return Restraints(
            row[self.first[pairs]],
            row[self.second[pairs]],
            self.distance[pairs],
            self.sigma[pairs],
            bonds[(bonds >= 0).all(1)],
            centres[kept],
            self.volume[kept],
        )


def joined(parts: Sequence[Restraints]) -> Restraints:
    """All restraints of several sets on the same atoms; there is at least one set."""
    return Restraints(*(
        torch.cat([getattr(part, name) for part in parts])
        for name in ("first", "second", "distance", "sigma", "bonds", "centres", "volume")
    ))  # fmt: skip


def chiral_volumes(xyz: Tensor, centres: Tensor) -> Tensor:
    """Volumes spanned by three bonds of each centre, shape (B, c), A^3."""
    arms = xyz[:, centres[:, 1:]] - xyz[:, centres[:, :1]]
    return torch.linalg.det(arms)


def restraints_of(
    kinematics: Kinematics, reference: NDArray[np.float64] | None = None
) -> Restraints:
    """Restraints of chains: every pair of atoms whose distance no torsion changes.

    These are bonds, distances across one angle, and all pairs of atoms in one rigid group; the
    peptide bond counts as rigid, flat and trans. The chiral volume of every atom with three
    neighbours keeps alpha carbons L and flat atoms flat.

    Parameters
    ----------
    kinematics
        The chains.
    reference
        Coordinates that have the ideal distances, shape (n, 3), A: those of the chains by default;
        others where peptide bonds are cis.
    """
    p = kinematics.peptides
    xyz = p.xyz if reference is None else reference
    n = len(p.names)
    ring = ring_distances(p)
    steps = np.full((n, n), 9)
    for a, b in p.bonds:
        steps[a, b] = steps[b, a] = 1
    linked = steps == 1
    across = (linked.astype(int) @ linked.astype(int) > 0) & ~linked
    steps[across] = 2
    np.fill_diagonal(steps, 0)
    group = kinematics.group.cpu().numpy()
    rigid = group[:, None] == group[None, :]
    for torsion in p.torsions:
        if torsion.kind == "omega":
            _, c, nitrogen, _ = torsion.atoms
            flat = np.flatnonzero((steps[c] == 1) | (steps[nitrogen] == 1))
            rigid[np.ix_(flat, flat)] = True
    first, second = np.nonzero(np.triu((steps <= 2) | rigid, 1))
    distance = np.linalg.norm(xyz[first] - xyz[second], axis=1)
    sigma = np.array([0.0, BOND, ANGLE, *[_FLAT] * 7])[steps[first, second]]
    if ring:
        first, second, distance, sigma = (
            np.concatenate((old, [pair[k] for pair in ring])).astype(old.dtype)
            for k, old in enumerate((first, second, distance, sigma))
        )
    device = kinematics.device
    neighbours = [np.flatnonzero(row).tolist() for row in linked]
    centres = torch.tensor([[i, *near] for i, near in enumerate(neighbours) if len(near) == 3])
    volume = chiral_volumes(torch.as_tensor(xyz)[None], centres)[0]
    flat_ends = [
        [x, *neighbours[x], other]
        for bond in p.ring_bonds
        for x, other in (bond, bond[::-1])
        if len(neighbours[x]) == 2
    ]
    if flat_ends:
        centres = torch.cat((centres, torch.tensor(flat_ends)))
        volume = torch.cat((volume, volume.new_zeros(len(flat_ends))))

    def single(values: np.ndarray) -> Tensor:
        return torch.as_tensor(values, dtype=torch.float32, device=device)

    return Restraints(
        torch.as_tensor(first, device=device),
        torch.as_tensor(second, device=device),
        single(distance),
        single(sigma),
        torch.tensor([*p.bonds, *p.ring_bonds], device=device),
        centres.to(device),
        volume.to(device, torch.float32),
    )
