"""The user's choice of columns, `labin`: names of columns that tell them apart.

A label that occurs in several data sets of a file is preceded by the data set's name, as in
``peak/F,peak/SIGF``, as far as necessary by the crystal's (``native/peak/F``), or by the data set's
number. ``F=LABEL,SIGF=LABEL`` and ``I=LABEL,SIGI=LABEL`` say in the manner of CCP4 what the columns
hold, whatever their type.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from typing import Final

from crysformer.crystal.io.column_labels import kind_by_label, plain
from crysformer.crystal.io.reflection_table import Column, ReflectionTable
from crysformer.crystal.reflections import Kind
from crysformer.errors import InputError, UsageError

_VALUE_TYPES: Final[dict[str, Kind]] = {
    "F": "amplitudes",
    "G": "amplitudes",
    "J": "intensities",
    "K": "intensities",
}
_WORD: Final = {
    "A": "Hendrickson-Lattman coefficients",
    "D": "an anomalous difference",
    "I": "integer flags",
    "P": "a phase",
    "W": "a weight",
}
#: Names before = by which the user says what a column holds.
_ASSIGNED: Final[dict[str, Kind | None]] = {
    **dict.fromkeys(("f", "fp", "f+", "fminus"), "amplitudes"),
    **dict.fromkeys(("i", "imean", "i+", "iminus"), "intensities"),
    **dict.fromkeys(("sigf", "sigfp", "sigf+", "sigfminus"), None),
    **dict.fromkeys(("sigi", "sigimean", "sigi+", "sigiminus"), None),
}


def column_names(columns: Sequence[Column]) -> list[str]:
    """Names by which `labin` tells the columns apart: labels, with the data set where needed."""
    spellings = [_spellings(i, column) for i, column in enumerate(columns)]
    count = Counter(name for names in spellings for name in set(names))
    return [next(name for name in names if count[name] == 1) for names in spellings]


def _spellings(position: int, column: Column) -> list[str]:
    """Names of a column, shortest first; the last one is never another column's."""
    parts = [f"{name}/{column.label}" for name in column.datasets]
    return [column.label, *dict.fromkeys(parts), f"{column.label}#{position + 1}"]


def columns_by_name(
    table: ReflectionTable, labin: str
) -> tuple[Kind, tuple[Column, ...], tuple[Column, ...]]:
    """Find the columns that the user chose.

    Parameters
    ----------
    table
        The file.
    labin
        One name, two, or four for two Friedel mates, separated by commas.

    Returns
    -------
    kind, values, sigmas
        Amplitudes or intensities, the columns, and as many uncertainties or none.

    Raises
    ------
    InputError
        If a name is absent, fits several columns, or names a column of a wrong type.
    UsageError
        If `labin` has another number of names.
    """
    words = [word.strip() for word in labin.split(",")]
    if len(words) not in (1, 2, 4) or not all(words):
        raise UsageError(
            f"`labin` {labin}: expected F,SIGF or I,SIGI, F alone, or four labels for two "
            "Friedel mates"
        )
    found = [_find(table, word) for word in words]
    chosen = [column for column, _ in found]
    values, sigmas = tuple(chosen[::2]), tuple(chosen[1::2])
    for column in values:
        if column.type not in "FGJKR":
            what = _WORD.get(column.type, f"of type {column.type}")
            raise InputError(
                f"{table.source}: column {column.label} (`labin`) is {what}, expected an amplitude "
                "or intensity"
            )
    for column in sigmas:
        if column.type not in "QLMR":
            raise InputError(
                f"{table.source}: column {column.label} (`labin`) has type {column.type}, expected "
                "a standard uncertainty (type Q)"
            )
    kinds = {said or _kind_of(column) for column, said in found[::2]}
    if len(kinds) != 1:
        raise InputError(f"{table.source}: `labin` {labin} mixes amplitudes and intensities")
    return kinds.pop(), values, sigmas


def _find(table: ReflectionTable, word: str) -> tuple[Column, Kind | None]:
    """The column of one name, and what the user says that it holds."""
    names = [_spellings(i, column) for i, column in enumerate(table.columns)]
    said: Kind | None = None
    before, equals, after = word.partition("=")
    if equals and plain(before) in _ASSIGNED and not any(word in n for n in names):
        said, word = _ASSIGNED[plain(before)], after.strip()
    wanted = word.removeprefix("/") if word.count("/") > 1 else word
    fitting = [i for i, spellings in enumerate(names) if wanted in spellings]
    if not fitting:
        raise InputError(
            f"{table.source}: no column {word} (`labin`); the file has "
            + " ".join(column_names(table.columns))
        )
    if len(fitting) > 1:
        every = column_names(table.columns)
        raise InputError(
            f"{table.source}: {len(fitting)} columns are named {word} (`labin`); give one of "
            + " ".join(every[i] for i in fitting)
        )
    return table.columns[fitting[0]], said


def _kind_of(column: Column) -> Kind:
    if column.type == "R":
        return kind_by_label(column.label) or "amplitudes"
    return _VALUE_TYPES[column.type]


def assignment(kind: Kind, labels: Sequence[str]) -> str:
    """The value of `labin` that says that columns hold amplitudes or intensities.

    Parameters
    ----------
    kind
        What they hold.
    labels
        One, two, or four names, in the order of ``labin``.
    """
    letter = "F" if kind == "amplitudes" else "I"
    mates = ("(+)", "(-)") if len(labels) == 4 else ("",)
    names = [f"{sigma}{letter}{mate}" for mate in mates for sigma in ("", "SIG")]
    return ",".join(f"{name}={label}" for name, label in zip(names, labels, strict=False))


def option(table: ReflectionTable, columns: Sequence[Column]) -> str:
    """The option that picks these columns, ready to paste."""
    names = dict(zip(map(id, table.columns), column_names(table.columns), strict=True))
    return "`labin` " + shlex.quote(",".join(names[id(column)] for column in columns))
