"""A list of crystals to solve: a table of reflection files, sequences and copies."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from crysformer.errors import InputError
from crysformer.file_content import read_content
from crysformer.wording import counted

COLUMNS: Final = ("data", "sequence", "copies")
#: A further column that may be there.
NAME: Final = "name"
_ENDINGS: Final = (
    ".gz", ".bz2", ".xz", ".mtz", ".cif", ".ent", ".hkl", ".fcf", ".sca",
)  # fmt: skip
#: Bytes of a name of a folder.
_LONGEST_NAME: Final = 200


@dataclass(frozen=True)
class ListedCrystal:
    """One row of a list.

    Attributes
    ----------
    name
        Of its results: the column `name`, or the reflection file's name without its endings.
    data
        The reflection file.
    sequence
        One-letter codes or the path of a FASTA file; None where not given.
    copies
        Copies in the asymmetric unit; None where not given.
    """

    name: str
    data: Path
    sequence: str | None
    copies: int | None


def read_list(path: str | Path) -> tuple[ListedCrystal, ...]:
    """Read a tab-separated list with the columns data, sequence and copies, in any order.

    Paths are relative to the list's folder. Sequence and copies may be empty; empty lines are
    skipped. The files themselves are not opened.

    Raises
    ------
    InputError
        If the list cannot be read, has other columns or no rows, or if two rows would have results
        of the same name.
    """
    path = Path(path)
    # names of files need not be UTF-8
    text = read_content(path, "a list of crystals").decode("utf-8", errors="surrogateescape")
    text = text.removeprefix("\ufeff")
    if "\0" in text:
        raise InputError(f"{path}: cannot be read as a tab-separated list (binary content)")
    table = csv.reader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    try:
        rows = [(table.line_num, [cell.strip() for cell in row]) for row in table]
    except csv.Error as error:  # a cell of more than 131,072 characters
        raise InputError(f"{path}: cannot be read as a tab-separated list ({error})") from error
    rows = [(number, row) for number, row in rows if any(row)]
    if not rows:
        raise InputError(f"{path}: is empty; expected a header line {' '.join(COLUMNS)} and rows")
    header = rows[0][1]
    if sorted(header) not in (sorted(COLUMNS), sorted((*COLUMNS, NAME))):
        raise InputError(
            f"{path}: columns {', '.join(header)!r:.80}, expected a header line with the "
            f"tab-separated columns {', '.join(COLUMNS)} (and {NAME}, if you like)"
        )
    if len(rows) == 1:
        raise InputError(f"{path}: no rows below the header; expected one for each crystal")
    crystals: dict[str, tuple[int, ListedCrystal]] = {}
    for number, row in rows[1:]:
        crystal = _crystal(path, number, header, row)
        if crystal.name in crystals:
            raise InputError(
                f"{path}: lines {crystals[crystal.name][0]} and {number} both have the name "
                f"{crystal.name!r}; tell them apart by a column {NAME}"
            )
        crystals[crystal.name] = (number, crystal)
    return tuple(crystal for _, crystal in crystals.values())


def _crystal(path: Path, number: int, header: list[str], row: list[str]) -> ListedCrystal:
    where = f"{path}, line {number}"
    if len(row) > len(header):
        raise InputError(f"{where}: {counted(len(row), 'column')}, expected {len(header)}")
    cells = dict(zip(header, [*row, *[""] * (len(header) - len(row))], strict=True))
    if not cells["data"]:
        raise InputError(f"{where}: no reflection file in the column data")
    copies = cells["copies"]
    if copies and (not copies.isdecimal() or int(copies) < 1):
        raise InputError(
            f"{where}: copies {copies!r:.60}, expected a whole number from 1, or nothing"
        )
    data = path.parent / cells["data"]
    name = cells.get(NAME) or crystal_name(data)
    if name != Path(name).name or name.startswith(".") or len(os.fsencode(name)) > _LONGEST_NAME:
        raise InputError(f"{where}: {name!r:.80} cannot be the name of a folder; choose another")
    sequence: str | None = cells["sequence"] or None
    if sequence and ("/" in sequence or _is_file(path.parent / sequence)):
        sequence = str(path.parent / sequence)
    return ListedCrystal(name, data, sequence, int(copies) if copies else None)


def _is_file(path: Path) -> bool:
    """Test for a file; a sequence may be longer than any file name."""
    try:
        return path.is_file()
    except OSError:
        return False


def crystal_name(data: Path) -> str:
    """The file's name without the endings of reflection files."""
    name = data.name
    while Path(name).suffix.lower() in _ENDINGS:
        name = Path(name).stem
    return name
