"""Reading SHELX .hkl files, with cell and symmetry from the .ins or .res file beside them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import gemmi
import numpy as np

from crysformer.crystal.io.reflection_table import Column, ReflectionTable
from crysformer.errors import InputError

_Record = tuple[int, int, int, float, float]

#: Lattice of each |LATT| number, as the Hall symbol of the group that has nothing else.
_LATTICES: Final = ("", "P 1", "I 1", "R 1", "F 1", "A 1", "B 1", "C 1")


def looks_like_hkl(text: str) -> bool:
    """Test that the first line that is not blank reads as h k l, value, uncertainty."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    try:
        _fixed(first)
    except ValueError:
        try:
            _spaced(first)
        except ValueError:
            return False
    return True


def read_hkl(text: str, path: Path, source: str, labin: str | None = None) -> ReflectionTable:
    """Read a SHELX reflection list: HKLF 4 (F^2) or HKLF 3 (F).

    The file itself does not say which of the two it is. The HKLF instruction of a .ins or .res
    file of the same name decides, else `labin` (``F,SIGF`` or ``I,SIGI``), else HKLF 4 is taken.
    CELL, LATT and SYMM of that file give the unit cell and space group.

    Parameters
    ----------
    text
        The file's content: h k l value sigma in SHELX's fixed columns (3I4, 2F8), or separated by
        spaces; 0 0 0 ends the list.
    path
        Where the file lies.
    source
        What to call it in messages.
    labin
        The user's choice of columns.

    Raises
    ------
    InputError
        If a line cannot be read, or HKLF is neither 3 nor 4.
    """
    records = _records(text, source)
    if not records:
        raise InputError(f"{source}: no reflections before the closing 0 0 0 line")
    instructions = _read_instructions(path)
    notes = []
    if instructions.name:
        notes.append(f"cell and symmetry are looked up in {instructions.name}")
    hklf = instructions.hklf
    if labin is not None:
        hklf = 3 if labin.startswith("F") else 4
    elif hklf is None:
        hklf = 4
        notes.append("taken as HKLF 4 (intensities); for amplitudes (HKLF 3) give `labin` F,SIGF")
    if hklf not in (3, 4):
        raise InputError(
            f"{source}: HKLF {hklf} in {instructions.name} (twinned or unusual data), expected "
            "HKLF 3 or 4"
        )
    value, value_type = ("F", "F") if hklf == 3 else ("I", "J")
    array = np.array(records, dtype=np.float64)
    return ReflectionTable(
        source=source,
        hkl=array[:, :3].astype(np.int32),
        columns=(
            Column(value, value_type, array[:, 3]),
            Column(f"SIG{value}", "Q", array[:, 4]),
        ),
        cell=instructions.cell,
        space_group=instructions.space_group,
        notes=tuple(notes),
    )


def _records(text: str, source: str) -> list[_Record]:
    """All reflections before the 0 0 0 line, in fixed columns or else separated by spaces."""
    lines = text.splitlines()
    problem = ""
    for parse in (_fixed, _spaced):
        records: list[_Record] = []
        for i, line in enumerate(lines):
            if not line.strip():
                continue
            try:
                record = parse(line)
            except ValueError:
                problem = f"line {i + 1} ({line.strip()[:40]!r})"
                break
            if record[:3] == (0, 0, 0):
                return records
            records.append(record)
        else:
            return records
    raise InputError(f"{source}: {problem} is not h k l, value, uncertainty; is the file whole?")


def _fixed(line: str) -> _Record:
    h, k, l = int(line[0:4]), int(line[4:8]), int(line[8:12])  # noqa: E741
    if (h, k, l) == (0, 0, 0):
        return 0, 0, 0, 0.0, 0.0
    return h, k, l, float(line[12:20]), float(line[20:28])


def _spaced(line: str) -> _Record:
    h, k, l, *rest = line.split()  # noqa: E741
    if not int(h) and not int(k) and not int(l):
        return 0, 0, 0, 0.0, 0.0
    if len(rest) < 2:
        raise ValueError("value or uncertainty is missing")
    return int(h), int(k), int(l), float(rest[0]), float(rest[1])


@dataclass(frozen=True)
class _Instructions:
    """Cell, symmetry and data format from a SHELX instruction file."""

    name: str = ""
    cell: gemmi.UnitCell | None = None
    space_group: gemmi.SpaceGroup | None = None
    hklf: int | None = None


def _read_instructions(path: Path) -> _Instructions:
    stem = path.with_suffix("") if path.suffix == ".gz" else path
    for suffix in (".ins", ".res"):
        beside = stem.with_suffix(suffix)
        if beside.is_file():
            try:
                return _parse_instructions(beside)
            except (ValueError, IndexError, RuntimeError) as error:
                raise InputError(
                    f"{beside}: cannot be read as SHELX instructions ({error}); correct it or "
                    "rename it"
                ) from error
    return _Instructions()


def _parse_instructions(path: Path) -> _Instructions:
    cell, hklf, lattice, operators = None, None, 1, ["x,y,z"]
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        words = line.split()
        keyword = words[0].upper() if words else ""
        if keyword == "CELL":
            cell = gemmi.UnitCell(*(float(w) for w in words[2:8]))
        elif keyword == "LATT":
            lattice = int(words[1])
        elif keyword == "SYMM":
            operators.append(line.split(None, 1)[1].lower().replace(" ", ""))
        elif keyword == "HKLF":
            hklf = abs(int(words[1]))
    group = None
    if cell is not None:
        operations = gemmi.GroupOps([gemmi.Op(op) for op in operators])
        operations.cen_ops = gemmi.symops_from_hall(_LATTICES[abs(lattice)]).cen_ops
        if lattice > 0:
            operations.add_inversion()
        operations.add_missing_elements()
        group = gemmi.find_spacegroup_by_ops(operations)
    return _Instructions(path.name, cell, group, hklf)
