"""Reading a crystal's measured amplitudes from any supported reflection file."""

from __future__ import annotations

import gzip
import os
import tempfile
import zlib
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.io.column_selection import ColumnChoice, choose_columns
from crysformer.crystal.io.mtz import read_mtz
from crysformer.crystal.io.observed_amplitudes import measured_rows
from crysformer.crystal.io.reflection_table import ReflectionTable
from crysformer.crystal.io.sf_mmcif import read_sf_cif
from crysformer.crystal.io.shelx_hkl import looks_like_hkl, read_hkl
from crysformer.crystal.reflections import CrystalData, Radiation
from crysformer.crystal.regrouping import laue_group
from crysformer.crystal.unit_cell import resolve_symmetry
from crysformer.errors import InputError


def read_crystal(
    path: str | os.PathLike[str],
    cell: gemmi.UnitCell | None = None,
    space_group: gemmi.SpaceGroup | str | None = None,
    labin: str | None = None,
    radiation: Radiation = "xray",
    *,
    unknown_group: bool = False,
) -> CrystalData:
    """Read measured amplitudes: MTZ, SF-mmCIF or SHELX .hkl, gzipped or not.

    The format is recognised by content, not by name. Columns are chosen as `choose_columns`
    says; phases and calculated columns are never read. Intensities become amplitudes by French &
    Wilson's method. Symmetry equivalents are merged, F(000) is left out, and what cannot be a
    measurement (systematic absences, amplitudes without a positive uncertainty) is marked as not
    measured; `CrystalData.notes` reports each.

    Parameters
    ----------
    path
        The file.
    cell
        Unit cell, for files that lack it or to override theirs.
    space_group
        Space group or its symbol (``"P 21 21 21"``, ``"P212121"``), likewise.
    labin
        Labels to use where several would fit, such as ``"FP,SIGFP"``.
    radiation
        Which scattering factors apply.
    unknown_group
        Accept a file without space group: its Laue class is taken from the reflections that it
        lists (`CrystalData.space_group_known`).

    Raises
    ------
    InputError
        If the file is missing, broken, or holds no usable amplitudes; if cell or space group are
        unknown or contradict each other.
    """
    source = os.fspath(path)
    table = _read_table(Path(path), source, labin)
    choice = choose_columns(table, labin)
    cell = cell or choice.values[0].cell or table.cell
    group = space_group or table.space_group
    known = group is not None or not unknown_group
    if not known and cell is not None and cell.is_crystal():
        group = laue_group(table.hkl, _intensity(choice), cell)
    cell, group = resolve_symmetry(source, cell, group)
    notes = _override_notes(table.space_group, group)
    if not known:
        notes = [
            "the file gives no space group: merged in Laue class "
            f"{group.laue_str()}, whose reflections it lists"
        ]
    rows = measured_rows(table, choice, cell, group)
    return CrystalData(
        cell=cell,
        space_group=group,
        hkl=rows.hkl,
        f=rows.values,
        sigf=rows.sigmas,
        free=rows.free,
        radiation=radiation,
        source=source,
        labels=choice.labels,
        notes=(*table.notes, *notes, *rows.notes),
        space_group_known=known,
    )


def _intensity(choice: ColumnChoice) -> NDArray[np.float64]:
    """Intensities for the comparison of mates, whatever the columns are."""
    values = choice.values[0].values
    return values if choice.kind == "intensities" else values**2


def _override_notes(given: gemmi.SpaceGroup | None, used: gemmi.SpaceGroup) -> list[str]:
    """Notes on a space group of the user that replaces the file's."""
    if given is None or given.xhm() == used.xhm():
        return []
    notes = [f"space group {used.xhm()} used instead of the file's {given.xhm()}"]
    if len(used.operations().sym_ops) < len(given.operations().sym_ops):
        notes.append(
            f"the file is merged in {given.xhm()}, so it covers only part of the reflections of "
            f"{used.xhm()}"
        )
    return notes


def _read_table(path: Path, source: str, labin: str | None) -> ReflectionTable:
    content, compressed = _read_bytes(path, source)
    if content[:4] == b"MTZ ":
        if not compressed:
            return read_mtz(path, source)
        with tempfile.TemporaryDirectory() as folder:
            plain = Path(folder) / "data.mtz"
            plain.write_bytes(content)
            return read_mtz(plain, source)
    text = content.decode("utf-8", errors="replace")
    if "\0" not in text:
        if any(line.startswith("data_") for line in text.splitlines()):
            return read_sf_cif(text, source)
        if looks_like_hkl(text):
            return read_hkl(text, path, source, labin)
        if text.startswith(("HEADER", "CRYST1", "ATOM ", "REMARK", "TITLE")):
            raise InputError(
                f"{source}: a PDB coordinate file, expected reflections (.mtz, SF-mmCIF or "
                "SHELX .hkl)"
            )
    raise InputError(
        f"{source}: neither MTZ, SF-mmCIF nor SHELX .hkl (recognised by content); expected a "
        "reflection file in one of these formats"
    )


def _read_bytes(path: Path, source: str) -> tuple[bytes, bool]:
    """Read a file: its content, decompressed, and a flag of compression."""
    if path.is_dir():
        raise InputError(f"{source}: is a folder, expected a reflection file")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{source}: no such file; check the path") from None
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror or error})") from error
    compressed = content[:2] == b"\x1f\x8b"
    if compressed:
        try:
            content = gzip.decompress(content)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(
                f"{source}: a truncated or broken gzip file ({error}); get it again"
            ) from error
    if not content.strip():
        raise InputError(f"{source}: is empty, expected reflections")
    return content, compressed
