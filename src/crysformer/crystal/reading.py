"""Reading a crystal's measured amplitudes from any supported reflection file."""

from __future__ import annotations

import gzip
import os
import tempfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.columns import (
    Column,
    Measurement,
    ReflectionTable,
    find_free_flags,
    find_measurement,
)
from crysformer.crystal.french_wilson import french_wilson
from crysformer.crystal.merging import group_equivalents, merge
from crysformer.crystal.mtz_io import read_mtz
from crysformer.crystal.reflections import CrystalData, Radiation
from crysformer.crystal.sf_cif import read_sf_cif
from crysformer.crystal.shelx_hkl import looks_like_hkl, read_hkl
from crysformer.errors import InputError

#: Free flag of a reflection that has none in the input.
NO_FLAG: Final = int(np.iinfo(np.int32).min)

#: Above this share of negative amplitudes the column is refused instead of cleaned.
_MAX_NEGATIVE: Final = 0.01
#: Relative length and cosine by which a cell may miss its crystal system.
_CELL_TOLERANCE: Final = 0.01


def read_crystal(
    path: str | os.PathLike[str],
    cell: gemmi.UnitCell | None = None,
    space_group: gemmi.SpaceGroup | str | None = None,
    labin: str | None = None,
    radiation: Radiation = "xray",
) -> CrystalData:
    """Read measured amplitudes: MTZ, SF-mmCIF or SHELX .hkl, gzipped or not.

    The format is recognised by content, not by name. Columns are chosen as `find_measurement`
    says; phases and calculated columns are never read. Intensities become amplitudes by French &
    Wilson's method. Symmetry equivalents are merged, F(000) is left out, and what cannot be a
    measurement (systematic absences, amplitudes without a positive uncertainty) is marked as not
    measured; `CrystalData.notes` tells of each.

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

    Raises
    ------
    InputError
        If the file is missing, broken, or holds no usable amplitudes; if cell or space group are
        unknown or contradict each other.
    """
    source = os.fspath(path)
    table = _read_table(Path(path), source, labin)
    measurement = find_measurement(table, labin)
    table = replace(
        table, cell=cell or measurement.values[0].cell or table.cell, source=source
    )
    table, sym = _with_symmetry(table, space_group)
    return _to_crystal(table, sym, measurement, radiation)


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
    """The content, decompressed, and whether it was compressed."""
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


def _with_symmetry(
    table: ReflectionTable, space_group: gemmi.SpaceGroup | str | None
) -> tuple[ReflectionTable, gemmi.SpaceGroup]:
    """The table with its final cell and space group, checked against each other."""
    cell = table.cell
    lacking = []
    if cell is None or not cell.is_crystal():
        lacking.append(("unit cell", "--cell A,B,C,ALPHA,BETA,GAMMA"))
    if space_group is None and table.space_group is None:
        lacking.append(("space group", "--space-group SYMBOL"))
    if lacking or cell is None:
        what = " and no ".join(name for name, _ in lacking)
        options = " ".join(option for _, option in lacking)
        raise InputError(f"{table.source}: the file gives no {what}; supply {options}")
    symbol = space_group if space_group is not None else table.space_group
    if isinstance(symbol, str):
        found = gemmi.find_spacegroup_by_name(symbol.strip(), cell.alpha, cell.gamma)
        if found is None:
            raise InputError(
                f"{table.source}: unknown space group {symbol!r}; expected a symbol such as P1, "
                "'P 21 21 21' or C2"
            )
        symbol = found
    if not _cell_obeys(cell, symbol):
        constants = " ".join(f"{x:g}" for x in cell.parameters)
        raise InputError(
            f"{table.source}: cell {constants} contradicts space group {symbol.xhm()} "
            f"({symbol.crystal_system_str()}); give the right --cell or --space-group"
        )
    notes = list(table.notes)
    if table.space_group is not None and table.space_group.hm != symbol.hm:
        notes.append(
            f"space group {symbol.xhm()} used instead of the file's {table.space_group.xhm()}"
        )
        if len(symbol.operations().sym_ops) < len(table.space_group.operations().sym_ops):
            notes.append(
                "the data were merged in a higher symmetry, so they cover only part of what "
                f"{symbol.xhm()} allows"
            )
    return replace(table, cell=cell, space_group=symbol, notes=tuple(notes)), symbol


def _cell_obeys(cell: gemmi.UnitCell, space_group: gemmi.SpaceGroup) -> bool:
    """Whether every rotation of the space group maps the cell onto itself, nearly."""
    orth = np.array(cell.orth.mat.tolist())
    metric = orth.T @ orth
    lengths = np.sqrt(np.diag(metric))
    for op in space_group.operations().sym_ops:
        rotation = np.array(op.rot) / gemmi.Op.DEN
        image = rotation.T @ metric @ rotation
        if np.abs((image - metric) / np.outer(lengths, lengths)).max() > 2 * _CELL_TOLERANCE:
            return False
    return True


@dataclass
class _Rows:
    """Reflections on their way to `CrystalData`."""

    hkl: NDArray[np.int32]
    values: NDArray[np.float64]
    sigmas: NDArray[np.float64] | None
    free: NDArray[np.int32] | None
    notes: list[str]


def _to_crystal(
    table: ReflectionTable,
    space_group: gemmi.SpaceGroup,
    measurement: Measurement,
    radiation: Radiation,
) -> CrystalData:
    rows = _measured_rows(table, measurement)
    _merge_equivalents(rows, space_group)
    absent = np.asarray(space_group.operations().systematic_absences(rows.hkl), dtype=bool)
    absent &= np.isfinite(rows.values)
    if absent.any():
        rows.values[absent] = np.nan
        rows.notes.append(
            f"{absent.sum()} systematically absent reflections of {space_group.xhm()} are not used"
        )
    if measurement.kind == "intensities":
        assert rows.sigmas is not None  # find_measurement refuses intensities without
        rejected = np.isfinite(rows.values)
        rows.values, rows.sigmas = french_wilson(
            rows.values, rows.sigmas, rows.hkl, table.cell, space_group
        )
        rejected &= ~np.isfinite(rows.values)
        rows.notes.append("intensities became amplitudes by French & Wilson's method")
        if rejected.any():
            rows.notes.append(
                f"{rejected.sum()} intensities too negative to be measurements are not used"
            )
    _drop_negative(rows, table.source, measurement)
    if rows.sigmas is not None:
        rows.sigmas = np.where(np.isfinite(rows.values), rows.sigmas, np.nan)
    return CrystalData(
        cell=table.cell,
        space_group=space_group,
        hkl=rows.hkl,
        f=rows.values,
        sigf=rows.sigmas,
        free=rows.free,
        radiation=radiation,
        source=table.source,
        labels=measurement.labels,
        notes=tuple(rows.notes),
    )


def _measured_rows(table: ReflectionTable, measurement: Measurement) -> _Rows:
    """Rows with a usable value and uncertainty, Friedel mates averaged, F(000) left out."""
    notes = list(table.notes)
    labels = ", ".join(measurement.labels)
    values, sigmas = [], []
    for i, column in enumerate(measurement.values):
        sigma = measurement.sigmas[i].values if measurement.sigmas else None
        cleaned, sigma, note = _clean(column, sigma)
        values.append(cleaned)
        sigmas.append(sigma)
        notes += note
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
    if not np.isfinite(value[keep]).any():
        raise InputError(
            f"{table.source}: {labels} holds no measured value; choose other columns with --labin"
        )
    free = find_free_flags(table)
    return _Rows(
        hkl=table.hkl[keep],
        values=value[keep],
        sigmas=None if sigma is None else sigma[keep],
        free=None if free is None else _flags(free)[keep],
        notes=notes,
    )


def _clean(
    column: Column, sigma: NDArray[np.float64] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, list[str]]:
    """One column without infinities and without values that lack a positive uncertainty."""
    values = np.where(np.isfinite(column.values), column.values, np.nan)
    if sigma is None:
        return values, None, []
    usable = np.isfinite(sigma) & (sigma > 0)
    there = np.isfinite(values)
    if there.any() and not usable[there].any() and column.type in "FGR":
        return values, None, [f"no {column.label} has a positive uncertainty: none are used"]
    without = there & ~usable
    notes = []
    if without.any():
        notes.append(
            f"{without.sum()} {column.label} without a positive uncertainty count as not measured"
        )
    return np.where(usable, values, np.nan), np.where(usable, sigma, np.nan), notes


def _flags(column: Column) -> NDArray[np.int32]:
    there = np.isfinite(column.values)
    return np.where(there, np.where(there, column.values, 0), NO_FLAG).astype(np.int32)


def _merge_equivalents(rows: _Rows, space_group: gemmi.SpaceGroup) -> None:
    first, group = group_equivalents(rows.hkl, space_group)
    n_rows = len(rows.hkl)
    if len(first) == n_rows:
        return
    rows.values, rows.sigmas = merge(group, rows.values, rows.sigmas)
    rows.hkl = rows.hkl[first]
    if rows.free is not None:
        rows.free = rows.free[first]
    how = "plain means" if rows.sigmas is None else "inverse-variance weights"
    rows.notes.append(
        f"{n_rows} reflections merged to {len(first)} unique ones of {space_group.xhm()} with {how}"
    )


def _drop_negative(rows: _Rows, source: str, measurement: Measurement) -> None:
    """Mark single negative amplitudes as not measured; refuse a column with many of them."""
    negative = np.isfinite(rows.values) & (rows.values < 0)
    measured = int(np.isfinite(rows.values).sum())
    label = measurement.labels[0]
    if negative.sum() > _MAX_NEGATIVE * measured:
        raise InputError(
            f"{source}: {negative.sum()} of {measured} amplitudes {label} are negative; if they "
            "are intensities, give them as such"
        )
    if negative.any():
        rows.values[negative] = np.nan
        rows.notes.append(f"{negative.sum()} negative {label} count as not measured")
