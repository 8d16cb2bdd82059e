"""Atoms without names as a graph of covalent bonds, across symmetry mates."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.operators import operators
from crysformer.crystal.peak_picking import minimum_image
from crysformer.crystal.unit_cell import orth_matrix
from crysformer.phasing.atoms.atomic_structure import (
    AtomicStructure,
    bond_limits,
    shortest_distances,
)

_SHORTEST_BOND: Final = 0.95  # A: peaks nearer than this are of one atom


@dataclass(frozen=True, eq=False)
class BondGraph:
    """Bonds between the atoms of one asymmetric unit and their symmetry mates.

    Attributes
    ----------
    atoms
        The atoms.
    distance
        Shortest distance of each two over all mates, shape (n, n), A.
    operator
        Operator of that mate of the second atom, shape (n, n).
    """

    atoms: AtomicStructure
    distance: NDArray[np.float64]
    operator: NDArray[np.int64]

    @staticmethod
    def of(atoms: AtomicStructure) -> BondGraph:
        """The graph of some atoms."""
        distance, operator = shortest_distances(atoms.frac, atoms.cell, atoms.space_group)
        return BondGraph(atoms, distance, operator)

    @cached_property
    def neighbours(self) -> tuple[tuple[int, ...], ...]:
        """Atoms bonded to each."""
        bonded = (self.distance > _SHORTEST_BOND) & (self.distance < bond_limits(self.atoms.number))
        return tuple(tuple(np.flatnonzero(row).tolist()) for row in bonded)

    @cached_property
    def _mates(self) -> NDArray[np.float64]:
        """Mate of each atom by each operator, shape (operators, n, 3)."""
        ops = operators(self.atoms.space_group, centred=True)
        return np.stack([self.atoms.frac @ rotation.T + shift for rotation, shift in ops])

    @cached_property
    def orth(self) -> NDArray[np.float64]:
        """Orthogonalisation matrix, A."""
        return orth_matrix(self.atoms.cell)

    def beside(self, position: NDArray[np.float64], j: int) -> NDArray[np.float64]:
        """The mate of atom `j` that is nearest to a fractional position, shape (3,)."""
        step = minimum_image(self._mates[:, j] - position)
        nearest = int(np.linalg.norm(step @ self.orth.T, axis=1).argmin())
        return np.asarray(position + step[nearest])

    def arm(self, i: int, j: int) -> NDArray[np.float64]:
        """Vector from atom `i` to the nearest mate of atom `j`, Cartesian, shape (3,), A."""
        start = self.atoms.frac[i]
        return np.asarray(self.orth @ (self.beside(start, j) - start))


def formula_text_of(atoms: AtomicStructure, rows: list[int]) -> str:
    """Symbols of some atoms with their numbers, such as ``C6 O2``."""
    symbols = [gemmi.Element(int(atoms.number[i])).name for i in rows]
    return " ".join(f"{name}{symbols.count(name)}" for name in sorted(set(symbols)))
