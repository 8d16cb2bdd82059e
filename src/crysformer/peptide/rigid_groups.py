"""Rigid groups of atoms in chains, and the tree in which torsions connect them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crysformer.peptide.geometry import Peptides


@dataclass(frozen=True, eq=False)
class RigidGroupTree:
    """Chains as trees of rigid groups, each hinged to its parent by one torsion.

    The root of a chain is the group around the CA in its middle, so that no lever is longer than
    half of the chain. Rotation about a bond moves the side that does not hold the root; the torsion
    angle is the same from either side. Groups are numbered by their depth in the tree, the roots
    of all chains first.

    Attributes
    ----------
    group
        Group of each atom, shape (n,). An atom at the far end of a hinge belongs to the group that
        the hinge moves (its own place does not change).
    parent
        Parent of each group, shape (g,); -1 for roots.
    torsion
        Torsion, as in `Peptides.torsions`, that moves each group, shape (g,); -1 for roots.
    hinge
        The two atoms of the bond between a group and its parent, of which the second belongs to
        the group; (-1, CA) for roots.
    """

    group: NDArray[np.int64]
    parent: NDArray[np.int64]
    torsion: NDArray[np.int64]
    hinge: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, peptides: Peptides) -> RigidGroupTree:
        """Divide chains into rigid groups: breadth first over groups, within one over bonds."""
        linked: list[list[int]] = [[] for _ in peptides.names]
        for a, b in peptides.bonds:
            linked[a].append(b)
            linked[b].append(a)
        torsion_of = {frozenset(t.atoms[1:3]): k for k, t in enumerate(peptides.torsions)}
        group = np.full(len(linked), -1)
        parent: list[int] = []
        torsion: list[int] = []
        hinge: list[tuple[int, int]] = []
        # each entry: atom before the hinge, first atom of the group, parent, torsion
        waiting = deque(
            (-1, _middle(peptides, chain), -1, -1) for chain in range(len(peptides.sequences))
        )
        while waiting:
            before, start, above, k = waiting.popleft()
            g = len(parent)
            parent.append(above)
            torsion.append(k)
            hinge.append((before, start))
            group[start] = g
            stack = [start]
            while stack:
                atom = stack.pop()
                for other in linked[atom]:
                    if group[other] >= 0 or other == before:
                        continue
                    rotatable = torsion_of.get(frozenset((atom, other)))
                    if rotatable is None:
                        group[other] = g
                        stack.append(other)
                    else:
                        waiting.append((atom, other, g, rotatable))
        return cls(group, np.array(parent), np.array(torsion), tuple(hinge))

    @property
    def n_chains(self) -> int:
        """Number of roots."""
        return int((self.parent < 0).sum())

    @property
    def owner(self) -> NDArray[np.int64]:
        """Group that each torsion moves together with all groups below it, shape (k,)."""
        owner = np.zeros(len(self.parent) - self.n_chains, dtype=np.int64)
        owner[self.torsion[self.n_chains :]] = np.arange(self.n_chains, len(self.parent))
        return owner

    def levels(self) -> list[NDArray[np.int64]]:
        """Groups at each depth below the roots, from the first on."""
        depth = np.zeros(len(self.parent), dtype=np.int64)
        for g in range(self.n_chains, len(self.parent)):
            depth[g] = depth[self.parent[g]] + 1
        return [np.flatnonzero(depth == d) for d in range(1, int(depth.max()) + 1)]

    def moves(self) -> NDArray[np.bool_]:
        """Atoms that move with each group, those of the groups below included, shape (g, n)."""
        below = np.eye(len(self.parent), dtype=bool)
        for g in reversed(range(self.n_chains, len(self.parent))):
            below[self.parent[g]] |= below[g]
        return np.asarray(below[:, self.group])


def _middle(peptides: Peptides, chain: int) -> int:
    """Find the CA in the middle of a chain."""
    is_ca = np.array([name == "CA" for name in peptides.names])
    own = np.flatnonzero(is_ca & (peptides.chain == chain))
    return int(own[len(own) // 2])
