"""Cell, symmetry and data format from SHELX instruction files (.ins, .res)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import gemmi

from crysformer.crystal.io.hklf_transform import HklfTransform, read_hklf
from crysformer.crystal.unit_cell import unit_cell
from crysformer.errors import InputError

#: Lattice of each |LATT| number, as the Hall symbol of the group that has nothing else.
_LATTICES: Final = ("", "P 1", "I 1", "R 1", "F 1", "A 1", "B 1", "C 1")


_ENDINGS: Final = (".ins", ".res")
#: Endings of compressed reflection files, which their instructions lack.
_COMPRESSED: Final = (".gz", ".bz2", ".xz")


@dataclass(frozen=True)
class Instructions:
    """Cell, symmetry and data format from a SHELX instruction file.

    Attributes
    ----------
    name
        The file, for messages; empty where there is none.
    cell, space_group
        Of CELL, and of LATT and SYMM; None where absent or not a tabulated setting.
    hklf
        Number of HKLF, without its sign.
    wavelength
        Of CELL, A.
    transform
        Matrix and scales of HKLF.
    """

    name: str = ""
    cell: gemmi.UnitCell | None = None
    space_group: gemmi.SpaceGroup | None = None
    hklf: int | None = None
    wavelength: float | None = None
    transform: HklfTransform = field(default_factory=HklfTransform)


def instructions_beside(path: Path) -> Instructions:
    """Read the .ins or .res file of the same name as a reflection file, if there is one.

    Capitals do not matter (``data.hkl`` with ``DATA.INS``), except where files differ in nothing
    else.

    Raises
    ------
    InputError
        If there is one that cannot be read.
    """
    stem = path.name
    while Path(stem).suffix.lower() in (*_COMPRESSED, ".hkl"):
        stem = Path(stem).stem
    for beside in _files_beside(path, stem):
        try:
            text = beside.read_bytes().decode("utf-8-sig", errors="replace")
            return parse_instructions(text, beside.name)
        except (OSError, ValueError, IndexError, RuntimeError) as error:
            raise InputError(
                f"{beside}: cannot be read as SHELX instructions ({error!s:.200}); correct it or "
                "rename it"
            ) from error
    return Instructions()


def _files_beside(path: Path, stem: str) -> list[Path]:
    """Instruction files with this stem, .ins before .res, the same capitals before others."""
    if not path.is_file():  # a pipe has no neighbours
        return []
    folder = path.parent
    wanted = [f"{stem}{ending}" for ending in _ENDINGS]
    exact = [folder / name for name in wanted if (folder / name).is_file()]
    if exact:
        return exact
    try:
        names = sorted(os.listdir(folder))
    except OSError:  # a folder that may not be listed
        return []
    return [
        folder / name
        for lower in map(str.lower, wanted)
        for name in names
        if name.lower() == lower and (folder / name).is_file()
    ]


def parse_instructions(text: str, name: str) -> Instructions:
    """Read the instructions that concern the data.

    Raises
    ------
    ValueError, IndexError, RuntimeError
        If an instruction lacks a number, or an operator cannot be read.
    """
    cell, hklf, lattice, operators = None, None, 1, ["x,y,z"]
    wavelength, transform = None, HklfTransform()
    for line in _logical_lines(text):
        words = line.split()
        keyword = words[0].upper()
        try:
            if keyword == "CELL":
                wavelength, a, b, c, alpha, beta, gamma = (float(w) for w in words[1:8])
                cell = unit_cell(a, b, c, alpha, beta, gamma)
            elif keyword == "LATT":
                lattice = int(words[1])
            elif keyword == "SYMM":
                operators.append(line.split(None, 1)[1].lower().replace(" ", ""))
            elif keyword == "HKLF":
                hklf = abs(int(words[1]))
                transform = read_hklf(words)
            elif keyword == "END":
                break
        except (ValueError, IndexError) as error:
            raise ValueError(f"{line.strip()!r:.60}") from error
    group = None
    if cell is not None:
        operations = gemmi.GroupOps([gemmi.Op(op) for op in dict.fromkeys(operators)])
        operations.cen_ops = gemmi.symops_from_hall(_LATTICES[abs(lattice)]).cen_ops
        if lattice > 0:
            operations.add_inversion()
        operations.add_missing_elements()
        group = gemmi.find_spacegroup_by_ops(operations)
    wavelength = wavelength if wavelength is not None and wavelength > 0 else None
    return Instructions(name, cell, group, hklf, wavelength, transform)


def _logical_lines(text: str) -> Iterator[str]:
    """Lines without comments, those that end with "=" joined to the next one."""
    begun = ""
    for line in text.splitlines():
        if not begun and line.startswith((" ", "\t")):  # a comment, by SHELX's rules
            continue
        line = begun + line.partition("!")[0].rstrip()
        if line.endswith("="):
            begun = line[:-1] + " "
            continue
        begun = ""
        if line.strip():
            yield line
    if begun.strip():
        yield begun
