"""Operators of a space group as arrays, and the origins that they leave equally good."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache

import gemmi
import numpy as np
from numpy.typing import NDArray

_STEPS = 12  # every permissible origin of every space group lies on 12ths of the cell


@dataclass(frozen=True, eq=False)
class Operators:
    """The symmetry operators x' = R x + t of a space group, lattice centring taken out.

    Attributes
    ----------
    rotations
        R, shape (m, 3, 3), int64; the first is the identity. A Miller index row goes to h @ R.
    translations
        t in 24ths of the cell, shape (m, 3), int64.
    triplets
        Each operator as written in the International Tables, ``"-x,y+1/2,-z"``.
    centring
        Centring vectors in 24ths, shape (c, 3), int64; the first is zero.
    """

    rotations: NDArray[np.int64]
    translations: NDArray[np.int64]
    triplets: tuple[str, ...]
    centring: NDArray[np.int64]

    @property
    def polar_projector(self) -> NDArray[np.float64]:
        """Projector (3, 3) of fractional vectors onto the polar directions of the group.

        The mean of all rotations leaves exactly the vectors that every rotation leaves; as
        rotations are isometries, it projects orthogonally whatever the cell.
        """
        return np.asarray(self.rotations.mean(axis=0))


def operators(space_group: gemmi.SpaceGroup) -> Operators:
    """Operators of `space_group` as integer arrays."""
    operations = space_group.operations()
    ops = list(operations.sym_ops)
    return Operators(
        rotations=np.array([op.rot for op in ops], dtype=np.int64) // gemmi.Op.DEN,
        translations=np.array([op.tran for op in ops], dtype=np.int64),
        triplets=tuple(op.triplet() for op in ops),
        centring=np.array(list(operations.cen_ops), dtype=np.int64),
    )


@dataclass(frozen=True, eq=False)
class PermissibleOrigins:
    """Origin shifts that leave every operator of a space group as it is.

    Attributes
    ----------
    shifts
        Distinct shifts, fractional, shape (k, 3), the first zero; lattice translations,
        centring and polar shifts not repeated.
    polar
        Directions along which the origin is free, whole-number fractional vectors, shape (p, 3),
        p from 0 to 3.
    """

    shifts: NDArray[np.float64]
    polar: NDArray[np.int64]


@lru_cache(maxsize=32)
def _permissible(name: str) -> PermissibleOrigins:
    ops = operators(gemmi.SpaceGroup(name))
    polar = _polar_basis(ops)
    grid = np.array(list(itertools.product(range(_STEPS), repeat=3)), dtype=np.int64)
    centring = ops.centring * _STEPS // gemmi.Op.DEN
    lattice = {tuple(vector % _STEPS) for vector in centring}
    keep = np.ones(len(grid), dtype=bool)
    for rotation in ops.rotations:
        # Conjugating (R, t) by a shift u adds (R - 1) u to t: it must be a lattice vector.
        moved = (grid @ (np.eye(3, dtype=np.int64) - rotation).T) % _STEPS
        keep &= np.array([(moved == vector).all(axis=1) for vector in lattice]).any(axis=0)
    candidates = grid[keep]
    candidates = candidates[np.argsort((candidates**2).sum(axis=1), kind="stable")]
    steps = itertools.product(range(_STEPS), repeat=len(polar))
    free = np.array([np.array(step, dtype=np.int64) @ polar for step in steps]).reshape(-1, 3)
    same = (free[:, None] + centring[None]).reshape(-1, 3)
    seen: set[tuple[int, ...]] = set()
    shifts = []
    for candidate in candidates:
        if tuple(candidate) not in seen:
            shifts.append(candidate / _STEPS)
            seen.update(map(tuple, (candidate + same) % _STEPS))
    return PermissibleOrigins(shifts=np.array(shifts), polar=polar)


def _polar_basis(ops: Operators) -> NDArray[np.int64]:
    basis: list[NDArray[np.int64]] = []
    for column in ops.rotations.sum(axis=0).T:
        if np.linalg.matrix_rank(np.array([*basis, column])) > len(basis):
            basis.append(column // np.gcd.reduce(column))
    return np.array(basis, dtype=np.int64).reshape(-1, 3)


def permissible_origins(space_group: gemmi.SpaceGroup) -> PermissibleOrigins:
    """Origins among which the symmetry operators alone cannot choose.

    Euclidean normaliser translations, International Tables A, chapter 3.5.
    """
    return _permissible(space_group.xhm())
