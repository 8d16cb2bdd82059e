"""Symmetry operators of a space group as arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import gemmi
import numpy as np
from numpy.typing import NDArray

#: Translations, in every setting of every group, are whole multiples of 1/24 of a cell axis.
STEPS: Final[int] = gemmi.Op.DEN


@dataclass(frozen=True, eq=False)
class Operators:
    """The symmetry operators x' = R x + t of a space group.

    Iteration gives the pairs of a rotation R and a fractional translation t.

    Attributes
    ----------
    rotations
        R, shape (m, 3, 3), int64; the first is the identity. A Miller index row goes to h @ R.
    steps
        t in 24ths of the cell axes, shape (m, 3), int64, for exact arithmetic.
    triplets
        Each operator as written in the International Tables, ``"-x,y+1/2,-z"``.
    centring
        Centring vectors in 24ths of the cell axes, shape (c, 3), int64; the first is zero.
    """

    rotations: NDArray[np.int64]
    steps: NDArray[np.int64]
    triplets: tuple[str, ...]
    centring: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rotations)

    def __iter__(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        return zip(self.rotations, self.translations, strict=True)

    @property
    def translations(self) -> NDArray[np.float64]:
        """Fractional translations t, shape (m, 3)."""
        return self.steps / STEPS

    @property
    def polar_projector(self) -> NDArray[np.float64]:
        """Projector (3, 3) of fractional vectors onto the polar directions of the group.

        The mean of all rotations leaves exactly the vectors that every rotation leaves; as
        rotations are isometries, it projects orthogonally whatever the cell.
        """
        return np.asarray(self.rotations.mean(axis=0))


def operators(space_group: gemmi.SpaceGroup, *, centred: bool = False) -> Operators:
    """Operators of a space group as arrays.

    Parameters
    ----------
    space_group
        Space group, in any setting.
    centred
        List each operator with every centring vector; by default only with the zero vector.
    """
    operations = space_group.operations()
    ops = list(operations if centred else operations.sym_ops)
    matrices = np.array([op.float_seitz() for op in ops])
    return Operators(
        rotations=np.rint(matrices[:, :3, :3]).astype(np.int64),
        steps=np.rint(matrices[:, :3, 3] * STEPS).astype(np.int64),
        triplets=tuple(op.triplet() for op in ops),
        centring=np.array(list(operations.cen_ops), dtype=np.int64),
    )


def integer_rotation(op: gemmi.Op) -> NDArray[np.int64]:
    """Rotation of one crystallographic operator, shape (3, 3), int64."""
    return np.rint(np.array(op.float_seitz())[:3, :3]).astype(np.int64)
