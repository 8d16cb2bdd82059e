"""Choice of the columns of a reflection file that are the measured data.

One set of rules serves all formats: types decide, labels only where types do not, and values where
a column cannot be what its type says.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from crysformer.crystal.io.column_evidence import difference_of, disagrees_with, is_signed
from crysformer.crystal.io.column_labels import (
    is_calculated,
    is_difference,
    kind_by_label,
    plain,
    plain_sigma,
)
from crysformer.crystal.io.labin import assignment, column_names, columns_by_name, option
from crysformer.crystal.io.reflection_table import Column, ReflectionTable
from crysformer.crystal.reflections import Kind
from crysformer.errors import InputError

_SIGMA_TYPE: Final = {"F": "Q", "J": "Q", "D": "Q", "G": "L", "K": "M"}
_KIND: Final[dict[str, Kind]] = {
    "F": "amplitudes",
    "G": "amplitudes",
    "J": "intensities",
    "K": "intensities",
}
#: Labels looked for where a file does not type its columns (type R), most usual first.
_KNOWN_AMPLITUDES: Final = ("FP", "F", "FOBS", "FO", "FMEAN", "FMEAS")
_KNOWN_INTENSITIES: Final = ("IMEAN", "I", "IOBS", "IMEAS")


@dataclass(frozen=True, eq=False)
class ColumnChoice:
    """The columns taken as the measured data.

    Attributes
    ----------
    kind
        Amplitudes or intensities.
    values
        One column, or the two Friedel mates.
    sigmas
        As many uncertainties as `values`, or none.
    labels
        Names in the order of ``labin``: F, SIGF (and the other mate's F, SIGF).
    notes, warnings
        What the choice left aside, and what speaks against it, one sentence each.
    """

    kind: Kind
    values: tuple[Column, ...]
    sigmas: tuple[Column, ...] = ()
    labels: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns in the order of ``labin``."""
        if not self.sigmas:
            return self.values
        pairs = zip(self.values, self.sigmas, strict=True)
        return tuple(column for pair in pairs for column in pair)


def choose_columns(table: ReflectionTable, labin: str | None = None) -> ColumnChoice:
    """Choose the measured data among a file's columns.

    Exactly one mean F/SIGF pair is used, even beside intensities; else exactly one mean I/SIGI;
    else one pair of Friedel mates, amplitudes before intensities. Calculated columns, differences
    (anomalous, isomorphous), and amplitudes without uncertainty are never chosen.

    Parameters
    ----------
    table
        The file.
    labin
        The user's choice, comma separated: ``F,SIGF``, ``I,SIGI``, ``F`` alone, or both mates as
        ``F(+),SIGF(+),F(-),SIGF(-)``; names as in `crysformer.crystal.io.labin`.

    Raises
    ------
    InputError
        If nothing fits, if two pairs of one kind fit, or if `labin` names a column that is absent
        or of the wrong type.
    UsageError
        If `labin` does not name one, two or four columns.
    """
    if labin is not None:
        kind, values, sigmas = columns_by_name(table, labin)
        choice = ColumnChoice(kind, values, sigmas)
        return _named(table, choice, _doubts_on_the_users_choice(choice, labin))
    sigma_of = _pair_sigmas(table.columns)
    pairs = [
        ColumnChoice(_KIND[c.type], (c,), (sigma_of[i],))
        for i, c in enumerate(table.columns)
        if c.type in "FJ" and i in sigma_of and not is_calculated(c.label)
    ]
    pairs += _known_untyped(table.columns, _KNOWN_AMPLITUDES, "F")
    pairs += _known_untyped(table.columns, _KNOWN_INTENSITIES, "J")
    reasons = {id(p): _not_a_measurement(p, table.columns) for p in pairs}
    notes = tuple(
        f"{', '.join(c.label for c in p.columns)} not used: {reasons[id(p)]}"
        for p in pairs
        if reasons[id(p)]
    )
    pairs = [p for p in pairs if not reasons[id(p)]]
    typed = [p for p in pairs if "R" not in {c.type for c in p.columns}]
    untyped = [p for p in pairs if p not in typed]
    candidates = (
        [p for p in typed if p.kind == "amplitudes"],
        [p for p in typed if p.kind == "intensities"],
        [p for p in untyped if p.kind == "amplitudes"],
        [p for p in untyped if p.kind == "intensities"],
        _friedel_pairs(table.columns, sigma_of, "G"),
        _friedel_pairs(table.columns, sigma_of, "K"),
    )
    for found in candidates:
        if len(found) == 1:
            choice = replace(found[0], notes=notes)
            return _named(table, choice, _doubts(choice, table))
        if found:
            options = "  or  ".join(option(table, p.columns) for p in found)
            raise InputError(
                f"{table.source}: {len(found)} sets of {found[0].kind} fit; choose one with "
                f"{options}"
            )
    raise InputError(f"{table.source}: {_nothing_found(table, notes)}")


def _named(table: ReflectionTable, choice: ColumnChoice, warnings: list[str]) -> ColumnChoice:
    names = dict(zip(map(id, table.columns), column_names(table.columns), strict=True))
    labels = tuple(names[id(column)] for column in choice.columns)
    return replace(choice, labels=labels, warnings=tuple(warnings))


def _not_a_measurement(pair: ColumnChoice, columns: Sequence[Column]) -> str:
    """The reason why a pair of mean values cannot be the measurement; empty if it can."""
    value = pair.values[0]
    if any(is_difference(column.label) for column in pair.columns):
        return "by the label a difference, which is no amplitude"
    if pair.kind == "amplitudes":
        if len(columns) > 2 and is_signed(value):
            return "many values are negative, so it is a difference and no amplitude"
        others = difference_of(value, columns)
        if others:
            return f"it is the difference of {others[0].label} and {others[1].label}"
        if kind_by_label(value.label) != pair.kind:
            unlike = disagrees_with(value, columns)
            if unlike is not None:
                return f"it does not go with the intensities of this file ({unlike.label})"
    return ""


def _doubts(choice: ColumnChoice, table: ReflectionTable) -> list[str]:
    """Warnings that a column is not what its type says."""
    value = choice.values[0]
    said = kind_by_label(value.label)
    if value.type != "R" and said is not None and said != choice.kind:
        pasted = assignment(said, [column.label for column in choice.columns])
        return [
            f"{value.label} counts as {choice.kind} because its type is {value.type}, but its "
            f"label names {said}; if they are, give `labin` {shlex.quote(pasted)}"
        ]
    if choice.kind == "amplitudes" and len(choice.values) == 1:
        unlike = disagrees_with(value, table.columns)
        if unlike is not None:
            return [
                f"{value.label} is used, but does not go with the intensities of the same file "
                f"({unlike.label}); make sure that it is an amplitude of this crystal"
            ]
    return []


def _doubts_on_the_users_choice(choice: ColumnChoice, labin: str) -> list[str]:
    value = choice.values[0]
    if "=" not in labin and is_difference(value.label):
        return [f"{value.label} (`labin`) is a difference by its label, which is no amplitude"]
    return []


def _pair_sigmas(columns: tuple[Column, ...]) -> dict[int, Column]:
    """The uncertainty of each value column, by name and, failing that, by the next place.

    Within the data set first: several may use the same labels.
    """
    free = {i for i, c in enumerate(columns) if c.type in "QLM"}
    paired: dict[int, Column] = {}
    for by_name, same_set in ((True, True), (False, True), (True, False), (False, False)):
        for i, column in enumerate(columns):
            wanted = _SIGMA_TYPE.get(column.type)
            if wanted is None or i in paired:
                continue
            places = sorted(free) if by_name else [i + 1] if i + 1 in free else []
            for j in places:
                named = not by_name or plain_sigma(columns[j].label) == plain(column.label)
                together = not same_set or columns[j].datasets == column.datasets
                if columns[j].type == wanted and named and together:
                    paired[i] = columns[j]
                    free.remove(j)
                    break
    return paired


def _friedel_pairs(
    columns: tuple[Column, ...], sigma_of: dict[int, Column], type_: str
) -> list[ColumnChoice]:
    """Pairs of Friedel mates of one type, both with uncertainties; by name, else by order."""
    mates = [
        i
        for i, c in enumerate(columns)
        if c.type == type_ and i in sigma_of and not is_calculated(c.label)
    ]
    stems = [
        (columns[i].datasets, re.sub(r"\+|minus|plus", "", plain(columns[i].label))) for i in mates
    ]
    if all(stems.count(stem) == 2 for stem in stems):
        mates = sorted(mates, key=lambda i: stems.index(stems[mates.index(i)]))
    return [
        ColumnChoice(_KIND[type_], (columns[i], columns[j]), (sigma_of[i], sigma_of[j]))
        for i, j in zip(mates[::2], mates[1::2], strict=False)
    ]


def _known_untyped(
    columns: tuple[Column, ...], known: tuple[str, ...], type_: str
) -> list[ColumnChoice]:
    """Pairs under known labels of which at least one column is a bare real number (type R)."""
    return [
        ColumnChoice(_KIND[type_], (value,), (sigma,))
        for label in known
        for value in columns
        for sigma in columns
        if plain(value.label) == plain(label)
        and plain(sigma.label) != plain(label)
        and plain_sigma(sigma.label) == plain(label)
        and value.datasets == sigma.datasets
        and "R" in (value.type, sigma.type)
        and value.type in ("R", type_)
        and sigma.type in ("R", "Q")
    ]


def _nothing_found(table: ReflectionTable, notes: tuple[str, ...]) -> str:
    text = "no amplitudes with standard uncertainties (F, SIGF) and no intensities (I, SIGI) found"
    for kind, type_ in (("amplitudes", "F"), ("intensities", "J")):
        bare = [
            c
            for c in table.columns
            if c.type == type_ and not is_calculated(c.label) and not is_difference(c.label)
        ]
        if bare:
            options = "  or  ".join(option(table, (c,)) for c in bare)
            return f"{text}; if {kind} without uncertainties are meant, give {options}"
    labels = " ".join(f"{c.label}({c.type})" for c in table.columns)
    what = f" ({'; '.join(notes)})" if notes else ""
    return f"{text} among the columns {labels or 'of this file (there are none)'}{what}"
