"""Permissible origins of a space group."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.operators import STEPS, Operators, operators

#: Permissible origins of every space group lie on whole multiples of 1/12 of the cell axes.
_TWELFTHS = 12


@dataclass(frozen=True, eq=False)
class PermissibleOrigins:
    """Origin shifts that leave every operator of a space group unchanged.

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
    grid = np.array(list(itertools.product(range(_TWELFTHS), repeat=3)), dtype=np.int64)
    centring = ops.centring * _TWELFTHS // STEPS
    lattice = {tuple(vector % _TWELFTHS) for vector in centring}
    keep = np.ones(len(grid), dtype=bool)
    for rotation in ops.rotations:
        # Conjugating (R, t) by a shift u adds (R - 1) u to t: it must be a lattice vector.
        moved = (grid @ (np.eye(3, dtype=np.int64) - rotation).T) % _TWELFTHS
        keep &= np.array([(moved == vector).all(axis=1) for vector in lattice]).any(axis=0)
    candidates = grid[keep]
    candidates = candidates[np.argsort((candidates**2).sum(axis=1), kind="stable")]
    steps = itertools.product(range(_TWELFTHS), repeat=len(polar))
    free = np.array([np.array(step, dtype=np.int64) @ polar for step in steps]).reshape(-1, 3)
    same = (free[:, None] + centring[None]).reshape(-1, 3)
    seen: set[tuple[int, ...]] = set()
    shifts = []
    for candidate in candidates:
        if tuple(candidate) not in seen:
            shifts.append(candidate / _TWELFTHS)
            seen.update(map(tuple, (candidate + same) % _TWELFTHS))
    return PermissibleOrigins(shifts=np.array(shifts), polar=polar)


def _polar_basis(ops: Operators) -> NDArray[np.int64]:
    basis: list[NDArray[np.int64]] = []
    for column in ops.rotations.sum(axis=0).T:
        if np.linalg.matrix_rank(np.array([*basis, column])) > len(basis):
            basis.append(column // np.gcd.reduce(column))
    return np.array(basis, dtype=np.int64).reshape(-1, 3)


def permissible_origins(space_group: gemmi.SpaceGroup) -> PermissibleOrigins:
    """Permissible origin shifts, between which the symmetry operators do not distinguish.

    Euclidean normaliser translations, International Tables A, chapter 3.5.
    """
    return _permissible(space_group.xhm())
