"""Space groups that a lattice allows, in the setting of the given cell."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.operators import STEPS, Operators, integer_rotation, operators

#: Degrees by which the lattice may miss an operator.
_OBLIQUITY = 1.0

# Lattice vectors about the origin, in 24ths of the axes.
_CELLS = STEPS * np.array(list(itertools.product((-2, -1, 0, 1, 2), repeat=3)), dtype=np.int64)

Key = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, eq=False)
class OperatorClass:
    """A rotation with its screw or glide component: an operator wherever it lies in the cell.

    Attributes
    ----------
    rotation
        R, shape (3, 3), int64.
    steps
        Translation of one member of the class, in 24ths of the axes, shape (3,), int64.
    key
        Equal for all operators that differ by their place alone.
    """

    rotation: NDArray[np.int64]
    steps: NDArray[np.int64]
    key: Key

    @property
    def is_inversion(self) -> bool:
        """True for an inversion centre."""
        return bool((self.rotation == -np.eye(3)).all())


@dataclass(frozen=True, eq=False)
class CandidateGroup:
    """A space group in the setting of the cell, with the classes of its operators.

    Attributes
    ----------
    space_group
        The group.
    classes
        One class for each operator but the identity, centring left out.
    """

    space_group: gemmi.SpaceGroup
    classes: tuple[OperatorClass, ...]

    @property
    def order(self) -> int:
        """Number of operators, centring included."""
        return len(self.space_group.operations())


def lattice_rotations(cell: gemmi.UnitCell) -> set[Key]:
    """Rotations, proper and improper, that map the lattice of a cell onto itself.

    Parameters
    ----------
    cell
        Unit cell; centring plays no part.
    """
    found = set()
    for op in gemmi.find_lattice_symmetry(cell, "P", _OBLIQUITY).sym_ops:
        # the transpose acts on Miller indices; both are listed, since the set is a group
        rotation = integer_rotation(op)
        found |= {_rows(rotation), _rows(-rotation)}
    return found


def candidate_groups(cell: gemmi.UnitCell, stated: gemmi.SpaceGroup) -> list[CandidateGroup]:
    """Space groups whose rotations the lattice has and whose centring includes the stated one.

    Each type of group and orientation of its axes is listed once, with its reference setting where
    the cell has that, and otherwise with its origin on an inversion centre.

    Parameters
    ----------
    cell
        Unit cell.
    stated
        Space group of the data, in the setting of the cell.
    """
    allowed = lattice_rotations(cell)
    centring = _centring(operators(stated))
    chosen: dict[object, CandidateGroup] = {}
    table = sorted(
        gemmi.spacegroup_table(),
        key=lambda g: (g.xhm() != stated.xhm(), not g.is_reference_setting(), g.ext == "1"),
    )
    for group in table:
        ops = operators(group)
        if not centring <= _centring(ops):
            continue
        if any(_rows(rotation) not in allowed for rotation in ops.rotations):
            continue
        vectors = _rows(ops.centring)
        classes = tuple(
            OperatorClass(
                rotation, steps, _class_key(_rows(rotation), tuple(steps.tolist()), vectors)
            )
            for rotation, steps in zip(ops.rotations[1:], ops.steps[1:], strict=True)
        )
        identity = (group.number, frozenset(c.key for c in classes), frozenset(_centring(ops)))
        chosen.setdefault(identity, CandidateGroup(group, classes))
    return list(chosen.values())


def _rows(rotation: NDArray[np.int64]) -> Key:
    return tuple(tuple(int(x) for x in row) for row in rotation)


def _centring(ops: Operators) -> set[tuple[int, ...]]:
    return {tuple(vector) for vector in (ops.centring % STEPS).tolist()}


@functools.lru_cache(4096)  # most groups share their operators with others
def _class_key(rows: Key, steps: tuple[int, ...], centring: Key) -> Key:
    """Rotation and intrinsic translation, reduced by the lattice.

    A change of origin adds (1 - R) u to the translation, which the sum of all powers of R
    annihilates: what that sum leaves is the screw or glide component.
    """
    rotation = np.array(rows, dtype=np.int64)
    powers, power = np.eye(3, dtype=np.int64), rotation
    while not (power == np.eye(3)).all():
        powers, power = powers + power, power @ rotation
    lattice = (_CELLS[:, None] + np.array(centring)).reshape(-1, 3)
    intrinsic = (np.array(steps) + lattice) @ powers.T
    shortest = intrinsic[np.lexsort((*intrinsic.T[::-1], (intrinsic**2).sum(axis=1)))[0]]
    return (*rows, tuple(int(x) for x in shortest))
