"""Structure factors as sums of products of cosines and sines along the cell axes.

The trigonometric form of the International Tables: a rotation that only changes signs, as all have
in triclinic, monoclinic and orthorhombic groups, leaves cos(2 pi h x) as it is and changes the sign
of sin(2 pi h x). Summed over such operators, most of the eight products of a cosine or sine along
each axis cancel, and only unique reflections are needed. The other operators make copies of the
atoms. What is left is a matrix product over the atoms, with factors along the first axis on one
side and those along the other two on the other.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from crysformer.crystal.operators import Operators

_ZERO = 1e-9  # coefficients below this vanish
_OVERHEAD = 150  # products for each atom that one more block of the matrix product costs
_BLOCK = 2.0e5  # products in a block: its factors stay in the caches of a core


class TrigonometricSums(NamedTuple):
    """Constants of the sums, as arrays for compiled functions.

    Lengths: m atoms and their copies, c copies, e scattering groups, r unique reflections, b
    blocks, t terms.

    Attributes
    ----------
    to_frac
        Cartesian to fractional coordinates, in the order of the axes of the sums, shape (3, 3).
    turn, shift
        Operators that make the copies, in those axes, shapes (c, 3, 3) and (c, 3).
    atom, copy, weight
        Atom, copy and relative scattering of every summand, by scattering group, shape (m,).
    group
        First summand of each scattering group, shape (e + 1,).
    largest
        Largest Miller index along each axis, shape (3,).
    row, row_start
        Factors along the first axis in every block: 2 |h|, plus one for the sine; the first of each
        block, shape (b + 1,).
    column, column_start
        Factors along the second and third axis, shape (columns, 2), and the first of each block.
    sum_start
        First of the sums of each block, row by row, shape (b + 1,).
    real_sum, real_factor, imaginary_sum, imaginary_factor
        Sums and their coefficients in the real and imaginary part of F, shape (t, r).
    scattering
        Scattering factor of each group, shape (e, r).
    weight_of, observed, pairs
        Of each reflection, as in `AmplitudeTarget`, shape (r,).
    overlap
        Weight of the overlap in the score, shape (1,).
    """

    to_frac: NDArray[np.floating]
    turn: NDArray[np.floating]
    shift: NDArray[np.floating]
    atom: NDArray[np.int64]
    copy: NDArray[np.int64]
    weight: NDArray[np.floating]
    group: NDArray[np.int64]
    largest: NDArray[np.int64]
    row: NDArray[np.int64]
    row_start: NDArray[np.int64]
    column: NDArray[np.int64]
    column_start: NDArray[np.int64]
    sum_start: NDArray[np.int64]
    real_sum: NDArray[np.int32]
    real_factor: NDArray[np.floating]
    imaginary_sum: NDArray[np.int32]
    imaginary_factor: NDArray[np.floating]
    scattering: NDArray[np.floating]
    weight_of: NDArray[np.floating]
    observed: NDArray[np.floating]
    pairs: NDArray[np.floating]
    overlap: NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class ReflectionTerms:
    """Reflections with what they add to the target; symmetry mates may occur.

    Attributes
    ----------
    hkl
        Miller indices, shape (n, 3).
    weight, observed, pairs
        As in `AmplitudeTarget`, shape (n,).
    scattering
        Scattering factor of each group of atoms, shape (e, n).
    """

    hkl: NDArray[np.int64]
    weight: NDArray[np.float64]
    observed: NDArray[np.float64]
    pairs: NDArray[np.float64]
    scattering: NDArray[np.float64]


def trigonometric_sums(
    terms: ReflectionTerms,
    symmetry: Operators,
    axes: tuple[int, int, int],
    to_frac: NDArray[np.float64],
    atoms: list[tuple[NDArray[np.int64], NDArray[np.float64]]],
    overlap: float,
    dtype: DTypeLike = np.float32,
) -> TrigonometricSums:
    """Lay out the sums of a crystal.

    Parameters
    ----------
    terms
        The reflections of the target.
    symmetry
        Operators of the space group.
    axes
        Order of the cell axes in the sums.
    to_frac
        Cartesian to fractional coordinates, in the order of the cell axes, shape (3, 3), 1/A.
    atoms
        Atoms of each scattering group and their relative scattering.
    overlap
        Weight of the overlap in the score.
    dtype
        Floating-point type of the sums.
    """
    order = list(axes)
    unique = _unique(terms, symmetry)
    signs, copies = _by_signs(symmetry)
    hkl = unique.hkl[:, order]
    factor = _coefficients(hkl, [(turn[order][:, order], t[order]) for turn, t in signs])
    rows = 2 * np.abs(hkl[:, 0, None]) + _TYPES[:, 0]
    pairs_of = 2 * np.abs(hkl[:, None, 1:]) + _TYPES[:, 1:]  # (r, 8, 2)
    width = 2 * int(np.abs(hkl[:, 2]).max()) + 2
    columns = pairs_of[..., 0] * width + pairs_of[..., 1]
    needed = np.abs(factor) > _ZERO
    n_summed = len(copies) * max(len(rows_of) for rows_of, _ in atoms)
    blocks = _blocks(rows[needed], columns[needed], n_summed)
    place, row_start, column_start, sum_start = _places(blocks, rows, columns, needed)
    real_sum, real_factor = _compact(factor.real, place)
    imaginary_sum, imaginary_factor = _compact(factor.imag, place)
    column = np.concatenate([c for _, c in blocks])
    count = [len(copies) * len(rows_of) for rows_of, _ in atoms]

    def real(values: NDArray[np.float64]) -> NDArray[np.floating]:
        return np.ascontiguousarray(values, dtype=dtype)

    return TrigonometricSums(
        to_frac=real(to_frac[order]),
        turn=real(np.array([turn[order][:, order] for turn, _ in copies])),
        shift=real(np.array([t[order] for _, t in copies])),
        atom=np.concatenate([np.tile(rows_of, len(copies)) for rows_of, _ in atoms]),
        copy=np.concatenate([np.repeat(np.arange(len(copies)), len(r)) for r, _ in atoms]),
        weight=real(np.concatenate([np.tile(w, len(copies)) for _, w in atoms])),
        group=np.concatenate(([0], np.cumsum(count))).astype(np.int64),
        largest=np.abs(hkl).max(axis=0),
        row=np.concatenate([r for r, _ in blocks]),
        row_start=row_start,
        column=np.ascontiguousarray(np.stack((column // width, column % width), axis=1)),
        column_start=column_start,
        sum_start=sum_start,
        real_sum=real_sum,
        real_factor=real(real_factor),
        imaginary_sum=imaginary_sum,
        imaginary_factor=real(imaginary_factor),
        scattering=real(unique.scattering),
        weight_of=real(unique.weight),
        observed=real(unique.observed),
        pairs=real(unique.pairs),
        overlap=real(np.array([overlap])),
    )


_TYPES = np.array(list(itertools.product((0, 1), repeat=3)))  # 1 for a sine along each axis

_Operator = tuple[NDArray[np.int64], NDArray[np.float64]]


def _unique(terms: ReflectionTerms, symmetry: Operators) -> ReflectionTerms:
    """One reflection of each set of symmetry mates and Friedel mates, with the sum of weights."""
    base = 2 * int(np.abs(terms.hkl).max()) * 3 + 1  # mates may have larger indices

    def key(hkl: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.asarray((hkl[:, 0] * base + hkl[:, 1]) * base + hkl[:, 2])

    mates = [key(sign * terms.hkl @ turn) for turn, _ in symmetry for sign in (1, -1)]
    _, first, which = np.unique(np.max(mates, axis=0), return_index=True, return_inverse=True)
    return ReflectionTerms(
        terms.hkl[first],
        np.bincount(which, terms.weight).astype(np.float64),
        terms.observed[first],
        np.bincount(which, terms.pairs).astype(np.float64),
        terms.scattering[:, first],
    )


def _by_signs(symmetry: Operators) -> tuple[list[_Operator], list[_Operator]]:
    """Operators that only change signs, and others, of which each operator is one after another.

    Exact up to centring vectors, which do not change F.
    """
    operators = list(symmetry)
    signs = [(turn, t) for turn, t in operators if np.array_equal(abs(turn), np.eye(3))]
    done: set[bytes] = set()
    copies = []
    for turn, t in operators:
        if turn.tobytes() not in done:
            copies.append((turn, t))
            done |= {np.ascontiguousarray(sign @ turn).tobytes() for sign, _ in signs}
    return signs, copies


def _coefficients(hkl: NDArray[np.int64], signs: list[_Operator]) -> NDArray[np.complex128]:
    """Coefficients of the eight products in F, shape (r, 8)."""
    total = np.zeros((len(hkl), len(_TYPES)), dtype=np.complex128)
    for turn, t in signs:
        sine = 1j * np.sign(hkl) * np.diag(turn)
        factors = np.where(_TYPES, sine[:, None], 1.0)  # (r, 8, 3)
        total += np.exp(2j * np.pi * (hkl @ t))[:, None] * factors.prod(axis=2)
    return total


def _blocks(
    rows: NDArray[np.int64], columns: NDArray[np.int64], n_summed: int
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Rows and columns of blocks that cover all pairs needed, with few products in vain.

    Rows begin in blocks of their own; the two whose union costs least are joined as long as that
    saves products. Blocks that exceed the caches are cut between columns.
    """
    all_rows, row = np.unique(rows, return_inverse=True)
    all_columns, column = np.unique(columns, return_inverse=True)
    held = np.zeros((len(all_rows), len(all_columns)), dtype=np.float32)
    held[row, column] = 1.0
    members = [[i] for i in range(len(all_rows))]
    common = held @ held.T
    while len(members) > 1:
        count = np.diag(common)
        n_rows = np.array([len(m) for m in members])
        # a column costs two products more, for its own factor and its gradient
        apart = (n_rows + 2) * count + _OVERHEAD
        union = count[:, None] + count - common
        gain = apart[:, None] + apart - (n_rows[:, None] + n_rows + 2) * union - _OVERHEAD
        np.fill_diagonal(gain, -np.inf)
        i, j = sorted(np.unravel_index(int(gain.argmax()), gain.shape))
        if gain[i, j] <= 0:
            break
        members[i] += members.pop(j)
        held[i] = np.maximum(held[i], held[j])
        held = np.delete(held, j, axis=0)
        common = np.delete(np.delete(common, j, axis=0), j, axis=1)
        common[i] = common[:, i] = held @ held[i]
    found = []
    for some, used in zip(members, held, strict=True):
        own = all_columns[used > 0]
        parts = int(np.ceil(len(some) * len(own) * n_summed / _BLOCK))
        found += [(all_rows[sorted(some)], part) for part in np.array_split(own, parts)]
    return found


def _places(
    blocks: list[tuple[NDArray[np.int64], NDArray[np.int64]]],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    needed: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], ...]:
    """Place (r, 8) of each product among the sums of all blocks, and starts of the blocks."""
    place = np.zeros(rows.shape, dtype=np.int64)
    starts = np.zeros((3, len(blocks) + 1), dtype=np.int64)
    for b, (own_rows, own_columns) in enumerate(blocks):
        here = needed & np.isin(rows, own_rows) & np.isin(columns, own_columns)
        i = np.searchsorted(own_rows, rows[here])
        j = np.searchsorted(own_columns, columns[here])
        place[here] = starts[2, b] + i * len(own_columns) + j
        size = len(own_rows), len(own_columns), len(own_rows) * len(own_columns)
        starts[:, b + 1] = starts[:, b] + size
    return place, *starts


def _compact(
    factor: NDArray[np.float64], place: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """Sums and factors (t, r) of the terms that do not vanish, the largest first."""
    order = np.argsort(-np.abs(factor), axis=1, kind="stable")
    factor = np.take_along_axis(factor, order, axis=1)
    place = np.take_along_axis(place, order, axis=1)
    n_terms = max(1, int((np.abs(factor) > _ZERO).sum(axis=1).max()))
    used = np.where(np.abs(factor) > _ZERO, place, 0)[:, :n_terms]
    kept = np.where(np.abs(factor) > _ZERO, factor, 0.0)[:, :n_terms]
    return np.ascontiguousarray(used.T, dtype=np.int32), np.ascontiguousarray(kept.T)
