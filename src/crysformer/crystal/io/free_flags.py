"""Choice of the free-R flags among the columns of a reflection file."""

from __future__ import annotations

import re
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.io.column_labels import plain
from crysformer.crystal.io.reflection_table import Column, ReflectionTable

#: Free flag of a reflection that has none in the input.
NO_FLAG: Final = int(np.iinfo(np.int32).min)
#: Usual labels, as `plain` writes them, most usual first.
_USUAL: Final = (
    "freerflag", "free", "rfreeflags", "rfreeflag", "freer", "rfree", "freeflag", "pdbxrfreeflag",
    "test", "testflag", "xfreeflag",
)  # fmt: skip
_UNUSUAL: Final = re.compile(r"free|rtest|testset", re.IGNORECASE)
#: More values than this are no numbering of the parts of a data set.
_MOST_VALUES: Final = 100


def find_free_flags(table: ReflectionTable) -> tuple[Column | None, list[str]]:
    """Choose the free-R flags.

    Integers under one of the usual labels are flags; else the first column whose label contains
    "free" and which holds few different whole numbers, whatever its type.

    Parameters
    ----------
    table
        The file.

    Returns
    -------
    (column, notes)
        None if there are no flags. The notes name a column of an unusual label, and the columns
        of flags that are not used.
    """
    integers = {plain(c.label): c for c in reversed(table.columns) if c.type == "I"}
    usual = [integers[label] for label in _USUAL if label in integers]
    others = [
        column
        for column in table.columns
        if all(column is not c for c in usual)
        and (_UNUSUAL.search(column.label) or plain(column.label) in _USUAL)
        and column.type in "IRFJW"
        and _are_flags(column.values)
    ]
    found = [*usual, *others]
    if not found:
        return None, []
    notes = []
    if not usual:
        notes.append(f"free flags are taken from the column {found[0].label}")
    if len(found) > 1:
        names = ", ".join(column.label for column in found[1:])
        notes.append(f"free flags {found[0].label} are used, not {names}")
    return found[0], notes


def flag_numbers(column: Column) -> NDArray[np.int32]:
    """Flags of a column as integers, shape (n,), `NO_FLAG` where it has none."""
    there = np.abs(column.values) <= np.iinfo(np.int32).max
    return np.where(there, column.values, NO_FLAG).astype(np.int32)


def merge_flags(free: NDArray[np.int32], group: NDArray[np.int64]) -> NDArray[np.int32]:
    """Flag of each group of equivalent reflections: that of its first member that has one.

    Parameters
    ----------
    free
        Flags, shape (n,).
    group
        Group of each row from 0, shape (n,), as `group_equivalents` gives it.
    """
    merged = np.full(int(group.max(initial=-1)) + 1, NO_FLAG, dtype=np.int32)
    known = np.flatnonzero(free != NO_FLAG)[::-1]  # the first one is written last
    merged[group[known]] = free[known]
    return merged


def _are_flags(values: NDArray[np.float64]) -> bool:
    known = values[np.isfinite(values)]
    whole = bool((known == np.round(known)).all())
    return whole and 1 < len(np.unique(known)) <= _MOST_VALUES
