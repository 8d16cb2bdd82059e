"""The free set: reflections that model building and refinement leave out (Brunger, 1992).

The file's own set is used where it has one. Its convention is recognised by the counts of the
values, as other programs do: CCP4 numbers the parts of the data from 0, of which part 0 is free;
X-PLOR, CNS and Phenix mark free reflections by 1 among zeros; SF-mmCIF and SHELXL mark them by a
status or a sign, which the readers turn into 0 among ones. A set is drawn where there is none.

Reflections that symmetry of the lattice relates are near copies of each other in a twin, so that
a drawn set never has one of them free and another one not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import gemmi
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from crysformer.crystal.io.free_flags import NO_FLAG
from crysformer.crystal.quality.twin_laws import OBLIQUITY
from crysformer.crystal.quality.twinning import MateLookup
from crysformer.crystal.reflections import CrystalData

FEW_FREE: Final = 300
"""Free reflections below which one R-free says little, and k-fold R-free is better."""
#: Least and largest fraction of the measured reflections that a file's free set may hold.
_LEAST_FRACTION, _LARGEST_FRACTION = 0.005, 0.25
#: Fraction that is drawn: the smaller one, and up to the larger one until there are enough.
_USUAL_FRACTION, _MOST_DRAWN, _ENOUGH = 0.05, 0.1, 500
#: Parts whose sizes differ by less than this factor are parts of one numbering.
_LIKE_SIZES = 4.0


@dataclass(frozen=True, eq=False)
class FreeSet:
    """Free reflections of a crystal.

    Attributes
    ----------
    free
        Flags of the free reflections, shape (n,), whether measured or not.
    origin
        ``"file"`` or ``"drawn"``; ``"none"`` for a set without reflections.
    convention
        Meaning of `flags`, such as ``"0 of 0 to 19 is free (CCP4)"``.
    note
        A sentence for the user: where the set comes from, and how many reflections it holds.
    flags
        The flags as a file holds them, shape (n,), int32, `NO_FLAG` where there is none.
    """

    free: NDArray[np.bool_]
    origin: Literal["file", "drawn", "none"]
    convention: str
    note: str
    flags: NDArray[np.int32]

    @classmethod
    def empty(cls, n: int) -> FreeSet:
        """A set without free reflections for `n` reflections."""
        free = np.zeros(n, dtype=bool)
        return cls(free, "none", "", "no reflection is free", np.full(n, NO_FLAG, dtype=np.int32))

    def n_free(self, data: CrystalData) -> int:
        """Number of free reflections that are measured."""
        return int((self.free & data.measured).sum())

    def few(self, data: CrystalData) -> bool:
        """True if k-fold R-free is better: fewer than `FEW_FREE` measured free reflections."""
        return self.n_free(data) < FEW_FREE


def free_set(
    data: CrystalData,
    seed: int = 0,
    fraction: float | None = None,
    twin_laws: Sequence[str] | None = None,
) -> FreeSet:
    """The free set of the file, or a drawn one.

    Parameters
    ----------
    data
        The crystal.
    seed
        Of the random numbers of a drawn set.
    fraction
        Fraction to draw, 0 to 0.5; by default 5 %, and up to 10 % until there are 500.
    twin_laws
        Operators on Miller indices, such as ``"k,h,-l"``, whose mates are free together in a drawn
        set; by default all that the lattice allows, whether the crystal is twinned or not.

    Returns
    -------
    FreeSet
        A set of the file that cannot be one (all reflections, less than 0.5 % or more than 25 % of
        them, two equal halves) is replaced by a drawn one, and the note says so.
    """
    refused = ""
    if data.free is not None:
        found = _of_file(data)
        if isinstance(found, FreeSet):
            return found
        refused = f"{found}; "
    measured = int(data.measured.sum())
    if fraction is None:
        enough = _ENOUGH / max(measured, 1)
        fraction = max(_USUAL_FRACTION, min(_MOST_DRAWN, enough))
    n_parts = max(2, round(1 / fraction))
    part = _parts(data, n_parts, seed, twin_laws)
    free = part == 0
    n_free = int((free & data.measured).sum())
    note = (
        f"{refused}free set drawn (seed {seed}): {n_free} of {measured} reflections "
        f"({_percent(n_free, measured)})"
    )
    convention = f"0 of 0 to {n_parts - 1} is free (CCP4)"
    return FreeSet(free, "drawn", convention, note, part.astype(np.int32))


def folds(
    data: CrystalData, k: int, seed: int = 0, twin_laws: Sequence[str] | None = None
) -> list[FreeSet]:
    """Disjoint free sets that together hold every reflection, for k-fold R-free.

    Parameters
    ----------
    data
        The crystal.
    k
        How many, at least 2.
    seed, twin_laws
        As `free_set`.
    """
    part = _parts(data, k, seed, twin_laws).astype(np.int32)
    sets = []
    for i in range(k):
        free = part == i
        n_free = int((free & data.measured).sum())
        note = f"part {i + 1} of {k} (seed {seed}): {n_free} reflections"
        sets.append(FreeSet(free, "drawn", f"{i} of 0 to {k - 1} is free", note, part))
    return sets


def _of_file(data: CrystalData) -> FreeSet | str:
    """The file's own set, or a sentence why it cannot be one."""
    assert data.free is not None
    name = f"{data.free_label or 'the free flags'} of the file"
    flags, measured = data.free, data.measured
    total = int(measured.sum())
    values, counts = np.unique(flags[measured & (flags != NO_FLAG)], return_counts=True)
    if len(values) < 2:
        what = "no flag" if not len(values) else f"one flag ({values[0]})"
        return f"{name} has {what} for all reflections, no free set"
    value, convention = _convention(values, counts)
    free = flags == value
    n_free = int((free & measured).sum())
    if not _LEAST_FRACTION * total <= n_free <= _LARGEST_FRACTION * total:
        return (
            f"{name} marks {n_free} of {total} reflections ({_percent(n_free, total)}), expected "
            f"{_LEAST_FRACTION:.1%} to {_LARGEST_FRACTION:.0%} in a free set"
        )
    note = f"free set {name}: {convention}, {n_free} of {total} reflections"
    note += f" ({_percent(n_free, total)})"
    without = int((measured & (flags == NO_FLAG)).sum())
    if without:
        note += f"; {without} reflections without a flag are not free"
    return FreeSet(free, "file", convention, note, flags)


def _convention(values: NDArray[np.int32], counts: NDArray[np.int64]) -> tuple[int, str]:
    """Value of the free reflections among ascending values, and the convention in words."""
    low, high = int(values[0]), int(values[-1])
    if len(values) > 2 and counts.max() <= _LIKE_SIZES * counts.min():
        return low, f"{low} of {low} to {high} is free (CCP4)"
    value = int(values[np.argmin(counts)])  # one set among others, whatever the numbers mean
    if len(values) > 2:
        return value, f"{value} is free, the rarest of {len(values)} values"
    if value == low:
        of = " (SHELXL)" if value < 0 else " (CCP4, SF-mmCIF)" if value == 0 else ""
        return value, f"{value} is free, {high} is not{of}"
    return value, f"{value} is free, {low} is not{' (CNS, Phenix)' if value == 1 else ''}"


def _percent(n: int, total: int) -> str:
    return f"{100 * n / max(total, 1):.1f} %"


def _parts(
    data: CrystalData, k: int, seed: int, twin_laws: Sequence[str] | None
) -> NDArray[np.int64]:
    """Random part 0 to k - 1 of every reflection, shape (n,); parts are alike in resolution.

    Groups of related reflections, of one size each, are sorted by resolution, and of every k in
    succession each goes to another part. Parts drawn in shells would be thinner copies of their
    neighbours; these are spread at random within k reflections.
    """
    group = _related(data, twin_laws)
    n_groups = int(group.max(initial=-1)) + 1
    size = np.bincount(group, data.measured, n_groups).astype(np.int64)
    d_star_sq = np.bincount(group, data.d**-2.0, n_groups) / np.bincount(group, None, n_groups)
    order = np.lexsort((d_star_sq, size))
    rng = np.random.default_rng(seed)
    n_rounds = math.ceil(n_groups / k)
    drawn = rng.permuted(np.tile(np.arange(k), (n_rounds, 1)), axis=1).ravel()
    part = np.empty(n_groups, dtype=np.int64)
    part[order] = drawn[:n_groups]
    return part[group]


def _related(data: CrystalData, twin_laws: Sequence[str] | None) -> NDArray[np.int64]:
    """Group of each reflection, shape (n,): those that twin laws relate share one."""
    rows = np.arange(len(data))
    if twin_laws is None:
        laws = gemmi.find_twin_laws(data.cell, data.space_group, OBLIQUITY, False)
        matrices = [np.array(op.float_seitz())[:3, :3] for op in laws]
    else:
        matrices = [np.array(gemmi.Op(law).float_seitz())[:3, :3] for law in twin_laws]
    lookup = MateLookup(data, rows)
    one, other = [rows], [rows]
    for matrix in matrices:
        exact = data.hkl @ matrix
        mates = np.rint(exact).astype(np.int64)
        whole = np.abs(exact - mates).max(axis=1, initial=0) < 1e-3
        found = np.where(whole, lookup.rows(mates), -1)
        one.append(rows[found >= 0])
        other.append(found[found >= 0])
    i, j = np.concatenate(one), np.concatenate(other)
    graph = coo_array((np.ones(len(i)), (i, j)), shape=(len(rows), len(rows)))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)
