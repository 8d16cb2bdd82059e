"""Conversion of a file's columns to one clean amplitude for each unique reflection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.french_wilson import french_wilson
from crysformer.crystal.io.column_evidence import is_signed
from crysformer.crystal.io.column_selection import ColumnChoice
from crysformer.crystal.io.free_flags import find_free_flags, flag_numbers, merge_flags
from crysformer.crystal.io.measurement_warnings import (
    disagreement,
    dropped,
    present_absences,
    saturation,
)
from crysformer.crystal.io.reflection_table import Column, ReflectionTable
from crysformer.crystal.merging import group_equivalents, merge
from crysformer.crystal.reflections import Kind
from crysformer.errors import InputError
from crysformer.wording import counted

#: No crystal diffracts to indices like these: the file is broken.
_LARGEST_INDEX: Final = 5000


@dataclass
class Rows:
    """Reflections on their way to `CrystalData`.

    Attributes
    ----------
    hkl
        Miller indices, shape (n, 3).
    values, sigmas
        Measurements and uncertainties (or None), shape (n,); NaN where not measured.
    free
        Free flags, shape (n,), `NO_FLAG` where the file has none; or None.
    free_label
        The column of the free flags, empty without.
    notes, warnings
        What was done, and what looks wrong, one sentence each.
    """

    hkl: NDArray[np.int32]
    values: NDArray[np.float64]
    sigmas: NDArray[np.float64] | None
    free: NDArray[np.int32] | None
    free_label: str
    notes: list[str]
    warnings: list[str]


def measured_rows(
    table: ReflectionTable,
    choice: ColumnChoice,
    cell: gemmi.UnitCell,
    space_group: gemmi.SpaceGroup,
) -> Rows:
    """Amplitudes of the unique reflections, with all that cannot be a measurement blanked.

    Rows without a measurement stay, so that the output covers the input's list.

    Parameters
    ----------
    table, choice
        The file, and its columns to use.
    cell, space_group
        Of the crystal.

    Raises
    ------
    InputError
        If nothing measured is left, or if many amplitudes are negative.
    """
    rows = _selected_rows(table, choice)
    rows.warnings += saturation(table, choice, space_group)
    _merge_equivalents(rows, choice.kind, space_group)
    _drop_absences(table.source, rows, choice.kind, cell, space_group)
    if choice.kind == "intensities":
        _to_amplitudes(rows, cell, space_group)
    if rows.sigmas is not None:
        rows.sigmas = np.where(np.isfinite(rows.values), rows.sigmas, np.nan)
    if not (rows.values > 0).any():
        raise InputError(
            f"{table.source}: {choice.labels[0]} holds no positive measurement that can be "
            "used ("
            + ("; ".join(rows.notes) or counted(len(rows.values), "row"))
            + "); choose other columns with `labin`, or check the space group"
        )
    return rows


def _selected_rows(table: ReflectionTable, choice: ColumnChoice) -> Rows:
    """Rows with a usable value and uncertainty, Friedel mates averaged, F(000) left out."""
    largest = int(np.abs(table.hkl.astype(np.int64)).max(initial=0))  # -2^31 has no int32
    if largest > _LARGEST_INDEX:
        raise InputError(
            f"{table.source}: a Miller index of {largest}; the file is broken, get it again"
        )
    notes: list[str] = []
    warnings: list[str] = []
    labels = ", ".join(choice.labels)
    values, sigmas = [], []
    for i, column in enumerate(choice.values):
        sigma = choice.sigmas[i].values if choice.sigmas else None
        _refuse_negative(table.source, column, choice.kind)
        cleaned, sigma, note, warning = _clean(column, sigma, choice.kind)
        values.append(cleaned)
        sigmas.append(sigma)
        notes += note
        warnings += warning
    keep = table.hkl.any(axis=1)
    if not keep.all():
        notes.append("F(000) in the file is not used")
    value, sigma = values[0], sigmas[0]
    if len(values) == 2:
        both = sigmas[0] is not None and sigmas[1] is not None
        if both:
            # Centric reflections are often listed under both signs: that is one measurement.
            repeated = (values[0] == values[1]) & (sigmas[0] == sigmas[1])
            values[1] = np.where(repeated, np.nan, values[1])
        value, sigma = merge(
            np.tile(np.arange(len(value)), 2),
            np.concatenate(values),
            np.concatenate([s for s in sigmas if s is not None]) if both else None,
        )
        notes.append(f"Friedel mates averaged: {labels}")
    free, flag_notes = find_free_flags(table)
    notes += flag_notes
    return Rows(
        hkl=table.hkl[keep],
        values=value[keep],
        sigmas=None if sigma is None else sigma[keep],
        free=None if free is None else flag_numbers(free)[keep],
        free_label="" if free is None else free.label,
        notes=notes,
        warnings=warnings,
    )


def _refuse_negative(source: str, column: Column, kind: Kind) -> None:
    """Refuse a column whose negative values are too many to be a few bad reflections."""
    values = column.values[np.isfinite(column.values)]
    negative = int((values < 0).sum())
    if kind == "amplitudes" and is_signed(column):
        raise InputError(
            f"{source}: {negative} of {counted(len(values), 'amplitude')} {column.label} are "
            "negative, which "
            "no amplitude can be; choose other columns with `labin`"
        )
    # one measurement of huge uncertainty can make the mean negative, noise the median
    if kind == "intensities" and len(values) and max(values.mean(), np.median(values)) <= 0:
        raise InputError(
            f"{source}: the mean of the intensities {column.label} is {values.mean():.4g}, "
            "expected it positive; choose other columns with `labin`"
        )


def _clean(
    column: Column, sigma: NDArray[np.float64] | None, kind: Kind
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, list[str], list[str]]:
    """One column without infinities, negative amplitudes, and values of unknown uncertainty."""
    notes: list[str] = []
    there = np.isfinite(column.values)
    if kind == "amplitudes":
        negative = there & (column.values < 0)
        if negative.any():
            notes.append(
                counted(
                    int(negative.sum()),
                    f"negative {column.label} counts as not measured",
                    f"negative {column.label} count as not measured",
                )
            )
        there &= ~negative
    values = np.where(there, column.values, np.nan)
    if sigma is None:
        return values, None, notes, []
    usable = np.isfinite(sigma) & (sigma > 0)
    if there.any() and not usable[there].any():
        notes.append(f"no {column.label} has a positive uncertainty, so uncertainties are not used")
        return values, None, notes, []
    without = int((there & ~usable).sum())
    text, serious = dropped(column.label, without, int(there.sum()))
    cleaned = np.where(usable, values, np.nan), np.where(usable, sigma, np.nan)
    if serious:
        return *cleaned, notes, [text]
    return *cleaned, notes + ([text] if without else []), []


def _merge_equivalents(rows: Rows, kind: Kind, space_group: gemmi.SpaceGroup) -> None:
    first, group = group_equivalents(rows.hkl, space_group)
    n_rows = len(rows.hkl)
    if len(first) == n_rows:
        return
    rows.warnings += disagreement(group, rows.values, rows.sigmas, kind, space_group)
    rows.values, rows.sigmas = merge(group, rows.values, rows.sigmas)
    rows.hkl = rows.hkl[first]
    if rows.free is not None:
        rows.free = merge_flags(rows.free, group)
    how = "plain means" if rows.sigmas is None else "inverse-variance weights"
    rows.notes.append(
        f"{n_rows} reflections merged to {counted(len(first), 'unique one')} of "
        f"{space_group.xhm()} with {how}"
    )


def _drop_absences(
    source: str, rows: Rows, kind: Kind, cell: gemmi.UnitCell, space_group: gemmi.SpaceGroup
) -> None:
    absent = np.asarray(space_group.operations().systematic_absences(rows.hkl), dtype=bool)
    absent &= np.isfinite(rows.values)
    if not absent.any():
        return
    warnings = present_absences(
        source, absent, rows.hkl, rows.values, rows.sigmas, kind, cell, space_group
    )
    rows.warnings += warnings
    if not warnings:
        rows.notes.append(
            counted(
                int(absent.sum()),
                f"systematically absent reflection of {space_group.xhm()} is not used",
                f"systematically absent reflections of {space_group.xhm()} are not used",
            )
        )
    rows.values[absent] = np.nan


def _to_amplitudes(rows: Rows, cell: gemmi.UnitCell, space_group: gemmi.SpaceGroup) -> None:
    if rows.sigmas is None:
        negative = int((rows.values < 0).sum())
        rows.values = np.sqrt(np.maximum(rows.values, 0.0))
        text = "intensities without uncertainties became amplitudes by their square root"
        if negative:
            text += f"; {counted(negative, 'negative one counts', 'negative ones count')} as 0"
        rows.notes.append(text)
        return
    before = np.isfinite(rows.values)
    rows.values, rows.sigmas = french_wilson(rows.values, rows.sigmas, rows.hkl, cell, space_group)
    rows.notes.append("intensities became amplitudes by French & Wilson's method")
    rejected = int((before & ~np.isfinite(rows.values)).sum())
    if rejected:
        rows.notes.append(
            counted(
                rejected,
                "intensity too negative to be a measurement is not used",
                "intensities too negative to be measurements are not used",
            )
        )
