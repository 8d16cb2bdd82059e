"""Writing phased reflections as MTZ, and maps to and from CCP4 format."""

from __future__ import annotations

import errno
import math
import os
import struct
from collections.abc import Sequence
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.io.free_flags import NO_FLAG
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import InputError
from crysformer.file_content import file_with, read_content, unicode_path
from crysformer.files import atomic_path, write_bytes
from crysformer.version import __version__

#: Header of a CCP4 map, and bytes of a value in each mode that is read.
_HEADER_BYTES = 1024
_VALUE_BYTES = {0: 1, 1: 2, 2: 4, 6: 2}
#: Largest cells that are believed: points for each point stored (192 in the highest symmetry, and
#: asymmetric units need not fit the grid), and cell constants in A or degrees.
_LARGEST_EXPANSION, _LARGEST_CELL = 1000, 1e5
#: Title of MTZ files whose data have none.
DEFAULT_TITLE = "Phases from crysformer"
#: Name of the MTZ data set of the Miller indices.
_BASE = "HKL_base"
#: Characters of an MTZ title, history line and name, and lines of history.
_TITLE, _HISTORY, _NAME, _HISTORY_LINES = 70, 80, 64, 30


def write_phases(
    path: str | os.PathLike[str],
    data: CrystalData,
    f_weighted: NDArray[np.float64],
    phi: NDArray[np.float64],
    fom: NDArray[np.float64],
) -> None:
    """Write an MTZ file with measured amplitudes and map coefficients, as Coot opens it.

    Columns: H K L, F SIGF (types F Q), FreeR_flag (I) where the input has flags, FWT PHWT (F P),
    FOM (W). Space group, setting and every row of `data` are kept, in order, as are title, history,
    wavelength, and names of the data set.

    Parameters
    ----------
    path
        The file; missing parent folders are made.
    data
        The measured data, n reflections.
    f_weighted, phi, fom
        Map coefficient amplitude, phase in degrees, and figure of merit of each reflection, shape
        (n,); NaN where there is none. FWT is left out where there is no phase, so that a program
        that takes both columns never meets half a coefficient.

    Raises
    ------
    CrysformerError
        If the file cannot be written.
    """
    write_mtz(path, phased_mtz(data, f_weighted, phi, fom))


def phased_mtz(
    data: CrystalData,
    f_weighted: NDArray[np.float64],
    phi: NDArray[np.float64],
    fom: NDArray[np.float64],
) -> gemmi.Mtz:
    """MTZ that `write_phases` writes, of the same parameters."""
    for label, given in (("FWT", f_weighted), ("PHWT", phi), ("FOM", fom)):
        if np.shape(given) != (len(data),):
            raise ValueError(f"{label} has shape {np.shape(given)}, expected ({len(data)},)")
    columns = [
        ("FWT", "F", np.where(np.isnan(phi), np.nan, f_weighted)),
        ("PHWT", "P", phi),
        ("FOM", "W", fom),
    ]
    return mtz_with(data, data.free, columns)


def mtz_with(
    data: CrystalData,
    free: NDArray[np.int32] | None,
    calculated: Sequence[tuple[str, str, NDArray[np.float64]]],
) -> gemmi.Mtz:
    """MTZ with the measured amplitudes, free flags, and further columns.

    Parameters
    ----------
    data
        The measured data, n reflections; their title, history, wavelength and names are kept.
    free
        Flags for FreeR_flag, shape (n,), `NO_FLAG` where there is none; None leaves it out.
    calculated
        Label, MTZ type and values, shape (n,), of each column; phases (P) in degrees, of any range.
    """
    columns: list[tuple[str, str, NDArray[np.float64]]] = [("F", "F", data.f)]
    if data.sigf is not None:
        columns.append(("SIGF", "Q", data.sigf))
    if free is not None:
        columns.append(("FreeR_flag", "I", np.where(free == NO_FLAG, np.nan, free)))
    columns += [(label, kind, _in_range(values, kind)) for label, kind, values in calculated]
    origin = data.provenance
    mtz = gemmi.Mtz(with_base=True)
    mtz.title = _ascii(origin.title or DEFAULT_TITLE, _TITLE)
    own = f"From crysformer {__version__}"
    history = [own, *(line for line in origin.history if line != own)]
    mtz.history = [_ascii(line, _HISTORY) for line in history[:_HISTORY_LINES]]
    mtz.spacegroup = data.space_group
    # columns of the base data set get one of their own, which can have a wavelength
    name = origin.data_set if origin.data_set != _BASE else ""
    dataset = mtz.add_dataset(_ascii(name or "crysformer", _NAME))
    for level in ("project", "crystal"):
        given = getattr(origin, level)
        named = given if given != _BASE else ""
        setattr(dataset, f"{level}_name", _ascii(named or dataset.dataset_name, _NAME))
    dataset.wavelength = data.wavelength or 0.0
    mtz.set_cell_for_all(data.cell)
    for label, column_type, _ in columns:
        mtz.add_column(label, column_type)
    values = [column for _, _, column in columns]
    mtz.set_data(np.column_stack([data.hkl, *values]).astype(np.float32))
    mtz.update_reso()
    return mtz


def _in_range(values: NDArray[np.float64], kind: str) -> NDArray[np.float64]:
    """Phases in (-180, 180], the range every program expects; other columns as they are."""
    return 180.0 - np.mod(180.0 - np.asarray(values), 360.0) if kind == "P" else values


def _ascii(text: str, width: int) -> str:
    """Text that fits into a record of an MTZ header."""
    return text.encode("ascii", errors="replace").decode()[:width]


def write_mtz(path: str | os.PathLike[str], mtz: gemmi.Mtz) -> None:
    """Write an MTZ file, whole or not at all.

    gemmi's own writing overlooks a disk that is full when the last buffer is written.

    Raises
    ------
    CrysformerError
        If the file cannot be written.
    """
    write_bytes(path, mtz.write_to_bytes())


def write_map(path: str | os.PathLike[str], density: DensityMap) -> None:
    """Write a map in CCP4 format (mode 2, whole cell, axis order X Y Z).

    A grid that the space group's operators do not map onto itself is labelled P 1: it covers the
    whole cell, so nothing is lost.

    Raises
    ------
    CrysformerError
        If the file cannot be written.
    """
    ccp4 = gemmi.Ccp4Map()
    ccp4.grid = density.to_gemmi()
    ccp4.update_ccp4_header(2, True)
    with atomic_path(path) as temporary, unicode_path(temporary) as plain:
        try:
            ccp4.write_ccp4_map(str(plain))
        except RuntimeError as error:  # gemmi does not say why; a full disk is the usual cause
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        symmetry_bytes = ccp4.header_i32(24)
        if plain.stat().st_size != 1024 + symmetry_bytes + 4 * density.values.size:
            # gemmi leaves the last buffer to fclose and does not look whether that succeeded
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def read_map(path: str | os.PathLike[str]) -> DensityMap:
    """Read a CCP4 map in any axis order and of any part of the cell that symmetry completes.

    Raises
    ------
    InputError
        If the file is not a CCP4 map, is truncated, or does not cover the asymmetric unit.
    """
    source = os.fspath(path)
    content = read_content(path, "a CCP4 map")
    if problem := _header_problem(content):
        raise InputError(f"{source}: cannot be read as a CCP4 map ({problem})")
    try:
        with file_with(Path(path), content) as plain:
            ccp4 = gemmi.read_ccp4_map(str(plain))
        ccp4.setup(float("nan"))
    except (RuntimeError, ValueError, OSError) as error:
        reason = " ".join(str(error).replace(str(plain), "").split()).strip(" :")
        raise InputError(f"{source}: cannot be read as a CCP4 map ({reason})") from error
    values = np.array(ccp4.grid.array, dtype=np.float32)
    missing = int(np.isnan(values).sum())
    if missing:
        raise InputError(
            f"{source}: the map covers only part of the cell ({missing} of {values.size} grid "
            "points are missing); expected at least an asymmetric unit"
        )
    return DensityMap(
        values=values,
        cell=ccp4.grid.unit_cell,
        space_group=ccp4.grid.spacegroup or gemmi.SpaceGroup("P 1"),
    )


def _header_problem(content: bytes) -> str | None:
    """Look for what gemmi does not check: a grid of no points, for one, ends the interpreter."""
    header = content[:_HEADER_BYTES]
    if len(header) < _HEADER_BYTES or header[208:212] != b"MAP ":
        return "no CCP4 header"
    for order in "<>":
        words = struct.unpack(f"{order}24i", header[:96])
        if words[3] in _VALUE_BYTES and sorted(words[16:19]) == [1, 2, 3]:
            break
    else:
        return "neither its mode nor its axes are known"
    points, sampling, cell = words[:3], words[7:10], struct.unpack(f"{order}6f", header[40:64])
    if min(*points, *sampling) < 1:
        return f"a grid of {points} points, sampled {sampling}"
    n = math.prod(points)
    if math.prod(sampling) > _LARGEST_EXPANSION * n:
        return f"{n} points for a cell of {math.prod(sampling)}"
    if not all(0 < x < _LARGEST_CELL for x in cell):  # also false for NaN
        return f"the cell {cell}"
    size = _HEADER_BYTES + words[23] + n * _VALUE_BYTES[words[3]]
    if words[23] < 0 or len(content) < size:
        return f"shorter than the {size} bytes of its header"
    return None
