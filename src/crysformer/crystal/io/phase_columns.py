"""Choice of the phases of a reflection file, with their amplitude and figure of merit.

MTZ types decide: a phase is a column of type P. Its amplitude is the column of type F before it or
of the same name (PHWT and FWT), else the file's one measured amplitude.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from crysformer.crystal.io.column_labels import is_calculated
from crysformer.crystal.io.column_selection import choose_columns
from crysformer.crystal.io.reflection_table import Column, ReflectionTable
from crysformer.errors import InputError, UsageError

_PREFIX = re.compile(r"^(phi|ph|p)", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class PhaseColumns:
    """Columns that make up a map.

    Attributes
    ----------
    phase
        Degrees.
    amplitude
        Amplitude of the map coefficients, or None if the file has none that belongs to the phase.
    fom
        Figure of merit that multiplies `amplitude`, or None; map coefficients such as FWT and
        calculated amplitudes have theirs included.
    """

    phase: Column
    amplitude: Column | None = None
    fom: Column | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels in the order of ``labin``: F, PHI, FOM, or PHI alone."""
        columns = (self.amplitude, self.phase, self.fom)
        return tuple(column.label for column in columns if column is not None)

    @property
    def option(self) -> str:
        """The value of `labin` that picks these columns, after its name, quoted for the shell."""
        return "`labin` " + shlex.quote(",".join(self.labels))


def choose_phase_columns(
    table: ReflectionTable, labin: str | None = None, option: str = "labin"
) -> PhaseColumns:
    """Choose the phases of a file.

    Parameters
    ----------
    table
        The file.
    labin
        The user's choice, comma separated: ``F,PHI``, ``F,PHI,FOM``, or ``PHI`` alone.
    option
        Name of the parameter that chooses, for messages.

    Raises
    ------
    InputError
        If the file has no phase, or several; if `labin` names a column that is absent or of the
        wrong type.
    UsageError
        If `labin` names none or more than three columns.
    """
    if labin is not None:
        return _by_labels(table, labin, option)
    found = [_with_partners(table, i) for i, c in enumerate(table.columns) if c.type == "P"]
    if len(found) == 1:
        return found[0]
    if found:
        options = "  or  ".join(f"`{option}` {shlex.quote(','.join(p.labels))}" for p in found)
        raise InputError(f"{table.source}: {len(found)} phases; choose one with {options}")
    labels = " ".join(f"{c.label}({c.type})" for c in table.columns)
    raise InputError(
        f"{table.source}: no phase (MTZ type P) among the columns "
        f"{labels or 'of this file (there are none)'}; expected an MTZ file with phases"
    )


def _with_partners(table: ReflectionTable, i: int) -> PhaseColumns:
    """The phase of column `i` with its amplitude and figure of merit."""
    phase = table.columns[i]
    amplitudes = [c for c in table.columns if c.type == "F"]
    stem = _PREFIX.sub("", phase.label).lower()
    named = [c for c in amplitudes if stem and c.label.lower() in (stem, f"f{stem}")]
    before = table.columns[i - 1] if i else phase
    amplitude = named[0] if named else before if before.type == "F" else _measured(table)
    if amplitude is None and len(amplitudes) == 1:
        amplitude = amplitudes[0]
    weights = [c for c in table.columns if c.type == "W"]
    if amplitude is None or is_calculated(amplitude.label) or len(weights) != 1:
        return PhaseColumns(phase, amplitude)
    return PhaseColumns(phase, amplitude, weights[0])


def _measured(table: ReflectionTable) -> Column | None:
    """The one mean measured amplitude of a file, if there is one."""
    try:
        choice = choose_columns(table)
    except InputError:
        return None
    return choice.values[0] if choice.kind == "amplitudes" and len(choice.values) == 1 else None


def _by_labels(table: ReflectionTable, labin: str, option: str) -> PhaseColumns:
    labels = [label.strip() for label in labin.split(",")]
    if not all(labels) or len(labels) > 3:
        raise UsageError(f"`{option}` {labin}: expected F,PHI or F,PHI,FOM, or PHI alone")
    by_label = {column.label: column for column in table.columns}
    for label in labels:
        if label not in by_label:
            raise InputError(
                f"{table.source}: no column {label} (`{option}`); the file has "
                + " ".join(c.label for c in table.columns)
            )
    names = ("phase",) if len(labels) == 1 else ("amplitude", "phase", "fom")[: len(labels)]
    expected = {"amplitude": ("FGR", "an amplitude (type F)"), "phase": ("PR", "a phase (type P)"),
                "fom": ("WR", "a figure of merit (type W)")}  # fmt: skip
    chosen = {name: by_label[label] for name, label in zip(names, labels, strict=True)}
    for name, column in chosen.items():
        types, wanted = expected[name]
        if column.type not in types:
            raise InputError(
                f"{table.source}: column {column.label} (`{option}`) has type {column.type}, "
                f"expected {wanted}"
            )
    return PhaseColumns(**chosen)
