"""Choice of the columns of a reflection file that are the measured data.

One set of rules serves all formats: types decide, labels only where types do not.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import Final, Literal

from crysformer.crystal.io.reflection_table import Column, ReflectionTable
from crysformer.errors import InputError, UsageError

Kind = Literal["amplitudes", "intensities"]

_SIGMA_TYPE: Final = {"F": "Q", "J": "Q", "D": "Q", "G": "L", "K": "M"}
_KIND: Final[dict[str, Kind]] = {
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
_CALCULATED: Final = re.compile(
    r"fc($|[^a-z])|f[-_]?(calc|model)|[0-9]?m?fo-?d?fc|fwt|delfwt|fem($|[^a-z])", re.IGNORECASE
)
#: Labels looked for where a file does not type its columns (type R), most usual first.
_KNOWN_AMPLITUDES: Final = ("FP", "F", "FOBS", "F-obs", "FO", "Fmean")
_KNOWN_INTENSITIES: Final = ("IMEAN", "I", "IOBS", "I-obs")
_FREE_LABELS: Final = (
    "freerflag",
    "free",
    "rfreeflags",
    "rfreeflag",
    "freer",
    "rfree",
    "freeflag",
    "pdbxrfreeflag",
    "test",
)


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
    """

    kind: Kind
    values: tuple[Column, ...]
    sigmas: tuple[Column, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels in the order of ``labin``: F, SIGF (and the other mate's F, SIGF)."""
        if not self.sigmas:
            return tuple(column.label for column in self.values)
        pairs = zip(self.values, self.sigmas, strict=True)
        return tuple(column.label for pair in pairs for column in pair)

    @property
    def option(self) -> str:
        """The value of `labin` that picks these columns, after its name, quoted for the shell."""
        return "`labin` " + shlex.quote(",".join(self.labels))


def choose_columns(table: ReflectionTable, labin: str | None = None) -> ColumnChoice:
    """Choose the measured data among a file's columns.

    Exactly one mean F/SIGF pair is used, even beside intensities; else exactly one mean I/SIGI;
    else one pair of Friedel mates, amplitudes before intensities. Calculated columns, anomalous
    differences, and amplitudes without uncertainty are never chosen.

    Parameters
    ----------
    table
        The file.
    labin
        The user's choice, comma separated: ``F,SIGF``, ``I,SIGI``, ``F`` alone, or both mates as
        ``F(+),SIGF(+),F(-),SIGF(-)``.

    Raises
    ------
    InputError
        If nothing fits, if two pairs of one kind fit, or if `labin` names a column that is absent
        or of the wrong type.
    UsageError
        If `labin` does not name one, two or four columns.
    """
    if labin is not None:
        return _by_labels(table, labin)
    sigma_of = _pair_sigmas(table.columns)
    pairs = [
        ColumnChoice(_KIND[c.type], (c,), (sigma_of[i],))
        for i, c in enumerate(table.columns)
        if c.type in "FJ" and i in sigma_of and not is_calculated(c.label)
    ]
    candidates = (
        [p for p in pairs if p.values[0].type == "F"],
        [p for p in pairs if p.values[0].type == "J"],
        _known_untyped(table.columns, _KNOWN_AMPLITUDES, "F"),
        _known_untyped(table.columns, _KNOWN_INTENSITIES, "J"),
        _friedel_pairs(table.columns, sigma_of, "G"),
        _friedel_pairs(table.columns, sigma_of, "K"),
    )
    for found in candidates:
        if len(found) == 1:
            return found[0]
        if found:
            options = "  or  ".join(p.option for p in found)
            raise InputError(
                f"{table.source}: {len(found)} sets of {found[0].kind} fit; choose one with "
                f"{options}"
            )
    raise InputError(f"{table.source}: {_nothing_found(table)}")


def is_calculated(label: str) -> bool:
    """True for labels of calculated amplitudes and map coefficients: FC, F-model, FWT, 2mFo-DFc."""
    return _CALCULATED.match(label) is not None


def find_free_flags(table: ReflectionTable) -> Column | None:
    """Free-R flags: a column of integers under one of the usual labels."""
    integers = {_plain(c.label): c for c in reversed(table.columns) if c.type == "I"}
    return next((integers[label] for label in _FREE_LABELS if label in integers), None)


def _plain(label: str) -> str:
    return re.sub(r"[^a-z0-9+]", "", label.lower().replace("(-)", "minus"))


def _pair_sigmas(columns: tuple[Column, ...]) -> dict[int, Column]:
    """The uncertainty of each value column, by name and, failing that, by the next place."""
    free = {i for i, c in enumerate(columns) if c.type in "QLM"}
    paired: dict[int, Column] = {}
    for by_name in (True, False):
        for i, column in enumerate(columns):
            wanted = _SIGMA_TYPE.get(column.type)
            if wanted is None or i in paired:
                continue
            places = sorted(free) if by_name else [i + 1] if i + 1 in free else []
            for j in places:
                stem = re.sub("sig(ma)?", "", _plain(columns[j].label), count=1)
                if columns[j].type == wanted and (not by_name or stem == _plain(column.label)):
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
    stems = [re.sub(r"\+|minus|plus", "", _plain(columns[i].label)) for i in mates]
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
    by_label = {_plain(c.label): c for c in columns}
    found = []
    for label in known:
        value = by_label.get(_plain(label))
        sigma = by_label.get("sig" + _plain(label))
        if (
            value is not None
            and sigma is not None
            and "R" in (value.type, sigma.type)
            and value.type in ("R", type_)
            and sigma.type in ("R", "Q")
        ):
            found.append(ColumnChoice(_KIND[type_], (value,), (sigma,)))
    return found


def _by_labels(table: ReflectionTable, labin: str) -> ColumnChoice:
    labels = [label.strip() for label in labin.split(",")]
    if len(labels) not in (1, 2, 4) or not all(labels):
        raise UsageError(
            f"`labin` {labin}: expected F,SIGF or I,SIGI, F alone, or four labels for two "
            "Friedel mates"
        )
    by_label = {c.label: c for c in table.columns}
    for label in labels:
        if label not in by_label:
            raise InputError(
                f"{table.source}: no column {label} (`labin`); the file has "
                + " ".join(c.label for c in table.columns)
            )
    chosen = [by_label[label] for label in labels]
    values = tuple(chosen[::2])
    sigmas = tuple(chosen[1::2])
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
    kinds = {_kind_of(column) for column in values}
    if len(kinds) != 1:
        raise InputError(f"{table.source}: `labin` {labin} mixes amplitudes and intensities")
    kind = kinds.pop()
    if kind == "intensities" and not sigmas:
        raise InputError(
            f"{table.source}: intensities need their standard uncertainties to become amplitudes; "
            f"give both, as `labin` {shlex.quote(labels[0] + ',SIG' + labels[0])}"
        )
    return ColumnChoice(kind, values, sigmas)


def _kind_of(column: Column) -> Kind:
    if column.type == "R":
        return "intensities" if _plain(column.label).startswith("i") else "amplitudes"
    return _KIND[column.type]


def _nothing_found(table: ReflectionTable) -> str:
    text = "no amplitudes with standard uncertainties (F, SIGF) and no intensities (I, SIGI) found"
    bare = [c for c in table.columns if c.type == "F" and not is_calculated(c.label)]
    if bare:
        options = "  or  ".join(ColumnChoice("amplitudes", (c,)).option for c in bare)
        return f"{text}; if amplitudes without uncertainties are meant, give {options}"
    labels = " ".join(f"{c.label}({c.type})" for c in table.columns)
    return f"{text} among the columns {labels or 'of this file (there are none)'}"
