"""The atoms of a crystal at atomic resolution, each with its element."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.operators import operators
from crysformer.crystal.peak_picking import minimum_image
from crysformer.crystal.site_symmetry import site_symmetry
from crysformer.crystal.unit_cell import orth_matrix

_COINCIDENT = 0.5  # A: nearer atoms are one
_HYDROGEN_LIKE, _LONGEST_BOND = 0.4, 0.35  # A: least radius, and how far bonds exceed the radii


@dataclass(frozen=True, eq=False)
class AtomicStructure:
    """Refined atoms of one asymmetric unit, hydrogen left out.

    Attributes
    ----------
    frac
        Fractional coordinates, shape (n, 3); bonded atoms are of one molecule.
    number
        Atomic numbers, shape (n,).
    b_iso, occupancy
        B, A^2, and occupancy, shape (n,): 1 for a whole atom on a special position too.
    F
        Structure factors of the data's reflections, complex, shape (n_data,), on the scale of the
        data; NaN where not measured.
    r
        R factor.
    cell, space_group
        Of the crystal.
    """

    frac: NDArray[np.float64]
    number: NDArray[np.int64]
    b_iso: NDArray[np.float64]
    occupancy: NDArray[np.float64]
    F: NDArray[np.complex128]
    r: float
    cell: gemmi.UnitCell
    space_group: gemmi.SpaceGroup

    def __len__(self) -> int:
        return len(self.frac)

    @property
    def element(self) -> tuple[str, ...]:
        """Symbols of the elements."""
        return tuple(gemmi.Element(int(z)).name for z in self.number)

    @cached_property
    def site_order(self) -> NDArray[np.int64]:
        """Operators that leave each atom unchanged, shape (n,): 1 at general positions."""
        return site_symmetry(self.frac, self.cell, self.space_group).order

    @property
    def formula(self) -> dict[str, int]:
        """Sites by element, those on special positions counted like others."""
        return dict(Counter(self.element))


def bond_limits(number: NDArray[np.int64]) -> NDArray[np.float64]:
    """Longest bond between each two of the atoms, A, shape (n, n), from covalent radii."""
    radius = np.array([gemmi.Element(int(z)).covalent_r for z in number])
    return np.asarray(np.maximum(radius, _HYDROGEN_LIKE)[:, None] + radius + _LONGEST_BOND)


def shortest_distances(
    frac: NDArray[np.float64], cell: gemmi.UnitCell, group: gemmi.SpaceGroup
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Shortest distance between each two atoms over all symmetry mates, and the operator.

    Returns
    -------
    (distance, operator)
        Both of shape (n, n), A: from atom i to the mate of atom j by that operator. Of an atom with
        itself: infinity.
    """
    orth = orth_matrix(cell)
    ops = list(operators(group, centred=True))
    best = np.full((len(frac), len(frac)), np.inf)
    which = np.zeros(best.shape, dtype=np.int64)
    for i, (rotation, shift) in enumerate(ops):
        step = minimum_image((frac @ rotation.T + shift)[None] - frac[:, None])
        distance = np.linalg.norm(step @ orth.T, axis=-1)
        np.fill_diagonal(distance, np.inf)
        nearer = distance < best
        best, which = np.where(nearer, distance, best), np.where(nearer, i, which)
    return best, which


def count_neighbours(
    frac: NDArray[np.float64],
    number: NDArray[np.int64],
    cell: gemmi.UnitCell,
    group: gemmi.SpaceGroup,
) -> NDArray[np.int64]:
    """Number of atoms bonded to each, shape (n,), mates of the same atom among them."""
    orth, limits = orth_matrix(cell), bond_limits(number)
    order = site_symmetry(frac, cell, group).order
    bonds = np.zeros(len(frac))
    for rotation, shift in operators(group, centred=True):
        step = minimum_image((frac @ rotation.T + shift)[None] - frac[:, None])
        distance = np.linalg.norm(step @ orth.T, axis=-1)
        # mates of an atom on a special position coincide
        bonds += (((distance > _COINCIDENT) & (distance < limits)) / order).sum(axis=1)
    return np.asarray(bonds.round(), dtype=np.int64)


def connected(
    frac: NDArray[np.float64], cell: gemmi.UnitCell, group: gemmi.SpaceGroup
) -> NDArray[np.float64]:
    """The same atoms with each replaced by the mate nearest to those before it.

    Grown from the first atom by the shortest distances (Prim's algorithm), and moved such that the
    centre of all is in the unit cell.
    """
    if not len(frac):
        return frac
    ops = list(operators(group, centred=True))
    orth = orth_matrix(cell)
    placed = frac.copy()
    mates = np.stack([frac @ rotation.T + shift for rotation, shift in ops], axis=1)

    def reach(i: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        step = minimum_image(mates - placed[i])
        length = np.linalg.norm(step @ orth.T, axis=-1)
        nearest = length.argmin(axis=1)
        rows = np.arange(len(frac))
        return length[rows, nearest], placed[i] + step[rows, nearest]

    distance, position = reach(0)
    left = np.ones(len(frac), dtype=bool)
    left[0] = False
    while left.any():
        i = int(np.where(left, distance, np.inf).argmin())
        placed[i] = position[i]
        left[i] = False
        other, beside = reach(i)
        nearer = other < distance
        distance, position = (
            np.where(nearer, other, distance),
            np.where(nearer[:, None], beside, position),
        )
    return np.asarray(placed - np.floor(placed.mean(axis=0)))
