"""Reading MTZ files into a table of typed columns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.io.column_labels import plain
from crysformer.crystal.io.reflection_table import Column, ReflectionTable
from crysformer.crystal.io.unmerged import ADVICE, refuse_repeated
from crysformer.crystal.space_groups import SymmetryRecords, identify_space_group
from crysformer.errors import InputError
from crysformer.wording import counted

_INDICES: Final = ("H", "K", "L")
#: Labels of the columns that only unmerged files have, as `plain` writes them.
_UNMERGED_LABELS: Final = ("batch", "misym", "moverisym")
#: Numbers of columns and reflections in the header.
_SIZE: Final = re.compile(rb"NCOL\s+(\d+)\s+(\d+)")
#: Length of a header record, bytes.
_RECORD: Final = 80


def read_mtz(path: Path, source: str) -> ReflectionTable:
    """Read a merged MTZ file (not compressed).

    Parameters
    ----------
    path
        The file.
    source
        What to call it in messages.

    Raises
    ------
    InputError
        If the file is truncated or broken, has no Miller indices, or holds unmerged data.
    """
    content = path.read_bytes()
    _refuse_short(content, source)
    try:
        mtz = gemmi.read_mtz_file(str(path))
        columns = tuple(_column(mtz, column) for column in mtz.columns)
    except (RuntimeError, ValueError, MemoryError) as error:
        reason = " ".join(str(error).replace(str(path), "").split()).strip(" :")
        raise InputError(
            f"{source}: a truncated or broken MTZ file ({reason}); get it again from where it "
            "was made"
        ) from error
    _refuse_unmerged(mtz, columns, source)
    if len(columns) < 3 or mtz.nreflections == 0:
        raise InputError(f"{source}: an MTZ file without reflections (broken, or cut short?)")
    indices = _index_columns(columns, source)
    hkl = _whole_numbers(indices, source)
    if not any(c.type == "Y" for c in columns):  # which tells the Friedel mates apart
        refuse_repeated(hkl, source)
    cell = mtz.cell if mtz.cell.is_crystal() else None
    space_group, notes = identify_space_group(_symmetry(mtz, content), cell)
    title, history = _description(mtz)
    return ReflectionTable(
        source=source,
        hkl=hkl,
        columns=tuple(column for column in columns if column not in indices),
        cell=cell,
        space_group=space_group,
        symmetry_warnings=notes,
        title=title,
        history=history,
    )


def _refuse_short(content: bytes, source: str) -> None:
    """Refuse a file too short for its header or columns, before gemmi makes room for them."""
    # byte 9 of the machine stamp: integers with the most significant byte first
    order: Literal["big", "little"] = "big" if b"\x10" <= content[9:10] < b"\x20" else "little"
    header = int.from_bytes(content[4:8], order, signed=True)
    if header == -1:  # a large file
        header = int.from_bytes(content[12:20], order, signed=True)
    found = _SIZE.search(content, max(0, content.rfind(b"VERS MTZ")))
    what = ""
    if not 0 < 4 * header <= len(content):
        what = f"a header at word {header}"
    elif found and 4 * int(found[1]) * int(found[2]) > len(content):
        what = f"{counted(int(found[1]), 'column')} of {counted(int(found[2]), 'reflection')}"
    elif not any(record.startswith(b"END") for record in _records(content, 4 * (header - 1))):
        raise InputError(
            f"{source}: a truncated or broken MTZ file (the header has no record END, so it is cut "
            "short); get it again from where it was made"
        )
    if what:
        raise InputError(
            f"{source}: a truncated or broken MTZ file ({what} in {len(content)} bytes); get it "
            "again from where it was made"
        )


def _records(content: bytes, at: int) -> Iterator[bytes]:
    """Records of the header that begins at byte `at`."""
    for start in range(at, len(content), _RECORD):
        yield content[start : start + _RECORD]


def _symmetry(mtz: gemmi.Mtz, content: bytes) -> SymmetryRecords:
    """SYMINF as gemmi reads it, and the SYMM records, which gemmi skips."""
    try:
        symbol = mtz.spacegroup_name
    except UnicodeDecodeError:
        symbol = ""
    at = content.rfind(b"VERS MTZ")
    operators: list[str] = []
    for record in _records(content, at) if at >= 0 else ():
        if record.startswith(b"SYMM"):
            operators += record[4:].decode("ascii", errors="replace").split("*")
        elif record.startswith(b"END"):
            break
    given = tuple(text.strip() for text in operators if text.strip())
    return SymmetryRecords(symbol, number=mtz.spacegroup_number or None, operators=given)


def _description(mtz: gemmi.Mtz) -> tuple[str, tuple[str, ...]]:
    """Title and history; empty where they are not text."""
    try:
        title, history = mtz.title, mtz.history
    except UnicodeDecodeError:
        return "", ()
    return " ".join(title.split()), tuple(filter(None, (line.rstrip() for line in history)))


def _column(mtz: gemmi.Mtz, column: gemmi.Mtz.Column) -> Column:
    with np.errstate(invalid="ignore"):  # signalling NaN among the missing values
        values = np.array(column.array, dtype=np.float64)
    # VALM names the number that stands for a missing value; NaN where it is NaN itself.
    values[values == np.float32(mtz.valm)] = np.nan
    cell = mtz.get_cell(column.dataset_id)
    wavelength: float | None = None
    names: tuple[str, ...] = ()
    hierarchy = ("", "", "")
    for dataset in mtz.datasets:
        if dataset.id == column.dataset_id:
            wavelength = dataset.wavelength if dataset.wavelength > 0 else None
            own = dataset.dataset_name
            names = (own, f"{dataset.crystal_name}/{own}", str(dataset.id))
            hierarchy = (dataset.project_name, dataset.crystal_name, own)
    return Column(
        column.label,
        column.type,
        values,
        cell if cell.is_crystal() else None,
        wavelength,
        names,
        hierarchy,
    )


def _index_columns(columns: tuple[Column, ...], source: str) -> tuple[Column, ...]:
    """The columns of the Miller indices: those of type H, else those labelled H, K and L."""
    typed = [c for c in columns if c.type == "H"]
    for among in (typed, columns):
        named = [[c for c in among if c.label.upper() == label] for label in _INDICES]
        if all(len(found) == 1 for found in named):
            return tuple(found[0] for found in named)
    if len(typed) == 3:
        return tuple(typed)
    labels = " ".join(f"{c.label}({c.type})" for c in columns)
    raise InputError(
        f"{source}: {counted(len(typed), 'column')} of Miller indices (type H) among {labels}, "
        "expected "
        "three, or columns H, K and L"
    )


def _whole_numbers(indices: tuple[Column, ...], source: str) -> NDArray[np.int32]:
    values = np.stack([c.values for c in indices], axis=1)
    limit = np.iinfo(np.int32).max
    if not (np.abs(values) < limit).all() or (values != np.round(values)).any():
        labels = " ".join(c.label for c in indices)
        raise InputError(
            f"{source}: the Miller indices {labels} are not all whole numbers; the file is "
            "broken, get it again from where it was made"
        )
    return np.ascontiguousarray(values, dtype=np.int32)


def _mates_only(columns: tuple[Column, ...], telling: list[Column], source: str) -> bool:
    """Test for merged reflections whose M/ISYM only tells the Friedel mates apart (1 and 2)."""
    if len(telling) > 1 or plain(telling[0].label) in _UNMERGED_LABELS[:1]:
        return False
    if telling[0].type == "B" or not set(telling[0].values) <= {1.0, 2.0}:
        return False
    each = [c.values for c in (*_index_columns(columns, source), telling[0])]
    return len(np.unique(np.stack(each), axis=1).T) == len(telling[0].values)


def _refuse_unmerged(mtz: gemmi.Mtz, columns: tuple[Column, ...], source: str) -> None:
    """Refuse measurements that are not on one scale yet: averaging them is not merging."""
    found = ""
    if len(mtz.batches) > 0:
        found = f"unmerged data in {counted(len(mtz.batches), 'batch', 'batches')}"
    else:
        telling = [c for c in columns if c.type == "B" or plain(c.label) in _UNMERGED_LABELS[:1]]
        telling += [c for c in columns if c.type == "Y" or plain(c.label) in _UNMERGED_LABELS[1:]]
        if telling and not _mates_only(columns, telling, source):
            labels = ", ".join(c.label for c in telling)
            found = f"unmerged data (columns {labels}) without batch headers"
    if found:
        raise InputError(f"{source}: {found}; {ADVICE}")
