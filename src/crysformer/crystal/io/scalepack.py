"""Reading scalepack (.sca) files of HKL-2000 and others, merged or not."""

from __future__ import annotations

import math
import re
from typing import Final

import gemmi
import numpy as np

from crysformer.crystal.io.reflection_table import Column, ReflectionTable
from crysformer.crystal.space_groups import SymmetryRecords, identify_space_group
from crysformer.crystal.unit_cell import unit_cell
from crysformer.errors import InputError

#: First line of a file that is not merged: number of operators, space group.
_UNMERGED: Final = re.compile(r"^\s*(\d{1,3})\s+([A-Za-z]\S.*?)\s*$")
#: Places of h k l, and of value and uncertainty (of both Friedel mates), in each line.
_MERGED_FIELDS: Final = ((12, 20), (20, 28), (28, 36), (36, 44))
_UNMERGED_FIELDS: Final = ((37, 45), (45, 53))


def looks_like_scalepack(text: str) -> bool:
    """Test for the header of a scalepack file: a cell in line 3, or symmetry matrices."""
    lines = text.lstrip("\ufeff").splitlines()[:3]
    return len(lines) == 3 and (_cell_line(lines) is not None or _operators(lines) is not None)


def read_scalepack(text: str, source: str) -> ReflectionTable:
    """Read the intensities of a scalepack file.

    A merged file has one intensity for each reflection or those of both Friedel mates, and gives
    the cell; one that is not merged (``no merge original index``) does not.

    Parameters
    ----------
    text
        The content, for which `looks_like_scalepack` holds.
    source
        What to call the file in messages.

    Raises
    ------
    InputError
        If a line cannot be read.
    """
    lines = text.lstrip("\ufeff").splitlines()
    merged = _cell_line(lines)
    notes: list[str] = []
    fields: tuple[tuple[int, int], ...]
    if merged is not None:
        cell, symbol = merged
        first, fields = 3, _MERGED_FIELDS
    else:
        number, symbol = _operators(lines) or (0, "")
        cell, first, fields = None, 1 + 2 * number, _UNMERGED_FIELDS
        notes.append(
            "a scalepack file that is not merged: equivalents are merged here, without rejection "
            "of outliers"
        )
    hkl, values = [], []
    for i, line in enumerate(lines[first:], first + 1):
        if not line.strip():
            continue
        try:
            hkl.append([int(line[start : start + 4]) for start in (0, 4, 8)])
            values.append([_number(line[start:end]) for start, end in fields])
        except ValueError:
            raise InputError(
                f"{source}: line {i} ({line.strip()[:40]!r}) is not h k l, intensity, uncertainty "
                "of a scalepack file; is the file whole?"
            ) from None
    if not hkl:
        raise InputError(f"{source}: a scalepack file without reflections (cut short?)")
    columns = np.array(values).T
    mates = len(columns) == 4 and bool(np.isfinite(columns[2]).any())
    labels = (("I(+)", "K"), ("SIGI(+)", "M"), ("I(-)", "K"), ("SIGI(-)", "M"))
    group, warnings = identify_space_group(SymmetryRecords(symbol=symbol), cell)
    return ReflectionTable(
        source=source,
        hkl=np.array(hkl, dtype=np.int32),
        columns=tuple(
            Column(label, kind, column)
            for (label, kind), column in zip(
                labels if mates else (("I", "J"), ("SIGI", "Q")), columns, strict=False
            )
        ),
        cell=cell,
        space_group=group,
        notes=tuple(notes),
        symmetry_warnings=warnings,
    )


def _cell_line(lines: list[str]) -> tuple[gemmi.UnitCell, str] | None:
    """Cell and symbol of a merged file's third line."""
    try:
        int(lines[0]), int(lines[1])
        words = lines[2].split(None, 6)
        constants = [float(word) for word in words[:6]]
        symbol = words[6].strip()
    except (ValueError, IndexError):
        return None
    cell = unit_cell(*constants)
    return (cell, symbol) if cell.is_crystal() else None


def _operators(lines: list[str]) -> tuple[int, str] | None:
    """Number of operators and symbol of a file that is not merged."""
    match = _UNMERGED.match(lines[0])
    try:
        matrix, shift = ([int(word) for word in line.split()] for line in lines[1:3])
    except ValueError:
        return None
    return (int(match[1]), match[2]) if match and len(matrix) == 9 and len(shift) == 3 else None


def _number(text: str) -> float:
    """A number; NaN for an empty field and for one that was too narrow (asterisks)."""
    return math.nan if not text.strip(" *\r") else float(text)
