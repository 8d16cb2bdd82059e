"""Expansion of reflections of any space group to P1."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TypeVar

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.miller import IndexKeys
from crysformer.crystal.operators import STEPS, operators
from crysformer.crystal.reflections import CrystalData

P1 = gemmi.SpaceGroup("P 1")
_ScalarT = TypeVar("_ScalarT", bound=np.generic)


@dataclass(frozen=True, eq=False)
class P1Mapping:
    """Relation of the reflections of one Friedel hemisphere to a list of unique ones.

    A structure invariant under x -> R x + t has F(hR) = F(h) exp(-2 pi i h.t).

    Attributes
    ----------
    hkl
        Miller indices in P1, shape (m, 3), int32, in gemmi's P1 asymmetric unit (l > 0, or l = 0
        and h > 0, or l = h = 0 and k >= 0). Unique; the reflections of the input come first, in
        their order.
    parent
        Row of the input that each one is a mate of, shape (m,).
    conjugate
        Flags of the Friedel mates of that symmetry mate, shape (m,).
    shift
        Phase shift in radians, shape (m,): phi = +-phi_parent + shift, minus where `conjugate`.
    n_parents
        Number n of reflections in the list that was expanded.
    """

    hkl: NDArray[np.int32]
    parent: NDArray[np.int64]
    conjugate: NDArray[np.bool_]
    shift: NDArray[np.float64]
    n_parents: int

    def values(self, column: NDArray[_ScalarT]) -> NDArray[_ScalarT]:
        """A column without phases (F, SIGF, flags), shape (n,), expanded to (m,)."""
        return column[self.parent]

    def phases(self, phi: NDArray[np.float64]) -> NDArray[np.float64]:
        """Phases in degrees, shape (n,), expanded to (m,), in [0, 360); NaN stays NaN."""
        parent = np.asarray(phi, dtype=np.float64)[self.parent]
        return np.mod(np.where(self.conjugate, -parent, parent) + np.degrees(self.shift), 360.0)

    def expand(self, F: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """Structure factors of the own space group, shape (n,), expanded to P1, shape (m,).

        The phase of each mate is shifted, after negation where `conjugate`; NaN stays NaN.
        """
        of_parent = np.asarray(F, dtype=np.complex128)[self.parent]
        return np.where(self.conjugate, of_parent.conj(), of_parent) * np.exp(1j * self.shift)

    def average(self, F: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """Average structure factors of P1, shape (m,), over symmetry mates, shape (n,).

        Each mate is brought back to its parent (the inverse of `expand`); the mean is over the
        mates that are finite, NaN where none is. The origin of `F` must be that of the group.
        """
        unshifted = np.asarray(F, dtype=np.complex128) * np.exp(-1j * self.shift)
        at_parent = np.where(self.conjugate, unshifted.conj(), unshifted)
        known = np.isfinite(at_parent)
        parent = self.parent[known]
        total = np.zeros(self.n_parents, dtype=np.complex128)
        np.add.at(total, parent, at_parent[known])
        count = np.bincount(parent, minlength=self.n_parents)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)

    def mates(self) -> NDArray[np.int64]:
        """Number of P1 reflections with the same parent as each one, shape (m,)."""
        return np.bincount(self.parent)[self.parent]


def p1_mapping(hkl: NDArray[np.int32], space_group: gemmi.SpaceGroup) -> P1Mapping:
    """All symmetry mates of `hkl`, shape (n, 3), reduced to one Friedel hemisphere.

    Where the input itself lists mates of each other, the first one counts.
    """
    rows = np.asarray(hkl, dtype=np.int64)
    indices, parents, conjugates, shifts = [], [], [], []
    ops = operators(space_group)
    for rotation, steps in zip(ops.rotations, ops.steps, strict=True):
        mate = rows @ rotation
        h, k, l = mate.T  # noqa: E741
        flip = (l < 0) | ((l == 0) & ((h < 0) | ((h == 0) & (k < 0))))
        shift = -2 * math.pi * (rows @ steps) / STEPS
        indices.append(np.where(flip[:, None], -mate, mate))
        parents.append(np.arange(len(rows)))
        conjugates.append(flip)
        shifts.append(np.where(flip, -shift, shift))
    every = np.concatenate(indices)
    first = np.sort(np.unique(IndexKeys.around(every)(every), return_index=True)[1])
    return P1Mapping(
        hkl=every[first].astype(np.int32),
        parent=np.concatenate(parents)[first],
        conjugate=np.concatenate(conjugates)[first],
        shift=np.concatenate(shifts)[first],
        n_parents=len(rows),
    )


def expand_to_p1(data: CrystalData) -> tuple[CrystalData, P1Mapping]:
    """Expand a crystal to P1, in the same cell.

    Amplitudes keep their values, since the cell keeps its contents. Normalise (`normalized_e`)
    before expanding: the epsilon factors belong to the original space group.

    Returns
    -------
    (data, mapping)
        Data in P1 with every symmetry mate, one of each Friedel pair, and where each came from.
    """
    mapping = p1_mapping(data.hkl, data.space_group)
    expanded = replace(
        data,
        space_group=P1,
        hkl=mapping.hkl,
        f=mapping.values(data.f),
        sigf=None if data.sigf is None else mapping.values(data.sigf),
        free=None if data.free is None else mapping.values(data.free),
    )
    return expanded, mapping


def mirror_shift(group: gemmi.SpaceGroup) -> NDArray[np.float64]:
    """Fractional t (3,) such that t - x is a mirror image in the same group; zero in most."""
    return np.array(group.change_of_hand_op().tran) / STEPS


def enantiomorph(group: gemmi.SpaceGroup) -> gemmi.SpaceGroup | None:
    """Space group of the mirror images of its structures, if it is another one (P41 and P43)."""
    if not group.is_enantiomorphic():
        return None
    operations = group.operations()
    operations.change_basis_forward(gemmi.Op("-x,-y,-z"))
    return gemmi.find_spacegroup_by_ops(operations)
