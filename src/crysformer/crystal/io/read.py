"""Reading a crystal's measured amplitudes from any supported reflection file."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.io.column_selection import ColumnChoice, choose_columns
from crysformer.crystal.io.hkl_records import looks_like_hkl
from crysformer.crystal.io.measurement_warnings import wrong_radiation
from crysformer.crystal.io.mtz import read_mtz
from crysformer.crystal.io.observed_amplitudes import measured_rows
from crysformer.crystal.io.reflection_table import ReflectionTable
from crysformer.crystal.io.scalepack import looks_like_scalepack, read_scalepack
from crysformer.crystal.io.sf_mmcif import read_sf_cif
from crysformer.crystal.io.shelx_hkl import read_hkl
from crysformer.crystal.io.shelx_instructions import instructions_beside
from crysformer.crystal.io.xds_ascii import looks_like_xds, read_xds
from crysformer.crystal.possible_reflections import check_possible
from crysformer.crystal.provenance import Provenance
from crysformer.crystal.reflections import CrystalData, Radiation
from crysformer.crystal.regrouping import laue_group
from crysformer.crystal.space_groups import resolve_symmetry
from crysformer.crystal.unit_cell import constants_text, is_possible
from crysformer.errors import InputError
from crysformer.file_content import file_with, read_content

#: Endings of lists that look like SHELX .hkl, with other columns than intensity and uncertainty.
_WITH_PHASES: Final = (".fcf", ".phs")
#: Difference of cells (A, degrees) that is rounding.
_SAME_CELL: Final = 0.002
#: Beginning of a block of a CIF.
_CIF: Final = re.compile(r"^[ \t]*data_\S", re.IGNORECASE | re.MULTILINE)


def read_crystal(
    path: str | os.PathLike[str],
    cell: gemmi.UnitCell | None = None,
    space_group: gemmi.SpaceGroup | str | None = None,
    labin: str | None = None,
    radiation: Radiation = "xray",
    block: str | None = None,
    *,
    unknown_group: bool = False,
) -> CrystalData:
    """Read measured amplitudes: MTZ, CIF, SHELX .hkl, XDS_ASCII or scalepack, gzipped or not.

    The format is recognised by content, not by name. Columns are chosen as `choose_columns`
    says; phases and calculated columns are never read. Intensities become amplitudes by French &
    Wilson's method. Symmetry equivalents are merged, F(000) is left out, and what cannot be a
    measurement (systematic absences, amplitudes without a positive uncertainty) is marked as not
    measured; `CrystalData.notes` reports each.

    Parameters
    ----------
    path
        The file, which may be a pipe; ``-`` is standard input.
    cell
        Unit cell, for files that lack it or to override theirs.
    space_group
        Space group, or a text that `parse_space_group` reads: a symbol (``"P 21 21 21"``,
        ``"P2(1)2(1)2(1)"``), a number, a Hall symbol or operators; likewise.
    labin
        Labels to use where several would fit, such as ``"FP,SIGFP"``.
    radiation
        Which scattering factors apply.
    block
        Which block of a CIF to read, ``NAME`` or ``NAME/CRYSTAL/WAVELENGTH`` as far as necessary;
        by default the first one with measured reflections.
    unknown_group
        Accept a file without space group: its Laue class is taken from the reflections that it
        lists (`CrystalData.space_group_known`).

    Returns
    -------
    CrystalData
        Merged amplitudes, with what reading assumed in its `notes` and `warnings`.

    Raises
    ------
    InputError
        If the file is missing, broken, or holds no usable amplitudes; if cell or space group are
        unknown or contradict each other.
    """
    source = os.fspath(path)
    table = read_table(Path(path), source, labin, block)
    if block is not None and not table.is_cif:
        raise InputError(
            f"{source}: not a CIF file, so `block` {block} has no meaning; leave it out"
        )
    choice = choose_columns(table, labin)
    given = space_group or None
    own_cell = choice.values[0].cell or table.cell
    override = _cell_notes(own_cell, cell)
    cell = cell or own_cell
    group = table.space_group if given is None else given
    known = group is not None or not unknown_group
    if not known and cell is not None and cell.is_crystal() and is_possible(cell):
        group = _laue_group(source, table, choice, cell)
    cell, group = resolve_symmetry(source, cell, group, "; ".join(table.symmetry_warnings))
    notes: tuple[str, ...] = () if given is None else _override_notes(table.space_group, group)
    if not known:
        notes = (
            "the file gives no space group: merged in Laue class "
            f"{group.laue_str()}, whose reflections it lists",
        )
    rows = measured_rows(table, choice, cell, group)
    check_possible(source, cell, group, rows.hkl[np.isfinite(rows.values)])
    wavelength = choice.values[0].wavelength or table.wavelength
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
        notes=(
            *table.notes,
            *choice.notes,
            *override,
            *notes,
            *rows.notes,
        ),
        warnings=(
            *table.warnings,
            *(table.symmetry_warnings if given is None else ()),
            *choice.warnings,
            *rows.warnings,
            *wrong_radiation(radiation, wavelength, table.probe),
        ),
        kind=choice.kind,
        free_label=rows.free_label,
        wavelength=wavelength,
        data_set=table.block or next(iter(choice.values[0].datasets[1:]), ""),
        space_group_known=known,
        provenance=Provenance(table.title, table.history, *choice.values[0].hierarchy),
    )


def _laue_group(
    source: str, table: ReflectionTable, choice: ColumnChoice, cell: gemmi.UnitCell
) -> gemmi.SpaceGroup | None:
    """Space group that stands for the Laue class of the reflections listed; None without any."""
    intensity = _intensity(choice)
    measured = np.isfinite(intensity) & table.hkl.any(axis=1)
    if not measured.any():
        return None
    # before lists of the possible reflections of every class are made
    check_possible(source, cell, gemmi.SpaceGroup("P 1"), table.hkl[measured])
    return laue_group(table.hkl, intensity, cell)


def _intensity(choice: ColumnChoice) -> NDArray[np.float64]:
    """Intensities for the comparison of mates, whatever the columns are."""
    values = choice.values[0].values
    return values if choice.kind == "intensities" else values**2


def _cell_notes(own: gemmi.UnitCell | None, given: gemmi.UnitCell | None) -> tuple[str, ...]:
    """Note on a cell of the user that replaces another one of the file."""
    if own is None or given is None or not own.is_crystal() or own.approx(given, _SAME_CELL):
        return ()
    used, file = constants_text(given), constants_text(own)
    return (f"cell {used} used instead of the file's {file}",)


def _override_notes(given: gemmi.SpaceGroup | None, used: gemmi.SpaceGroup) -> tuple[str, ...]:
    """Notes on a space group of the user that replaces the file's."""
    if given is None or given.xhm() == used.xhm():
        return ()
    notes = [f"space group {used.xhm()} used instead of the file's {given.xhm()}"]
    if len(used.operations().sym_ops) < len(given.operations().sym_ops):
        notes.append(
            f"the file is merged in {given.xhm()}, so it covers only part of the reflections of "
            f"{used.xhm()}"
        )
    return tuple(notes)


def read_table(
    path: Path, source: str, labin: str | None = None, block: str | None = None
) -> ReflectionTable:
    """Read a reflection file, recognised by content, before any column is chosen.

    Parameters
    ----------
    path
        The file.
    source
        Its name in messages.
    labin, block
        As `read_crystal`; `labin` for SHELX .hkl and CIF alone.

    Raises
    ------
    InputError
        If the file is missing, broken, or in none of the formats.
    """
    content = read_content(path, "a reflection file")
    if content[:4] == b"MTZ ":
        with file_with(path, content) as plain:
            return read_mtz(plain, source)
    text = content.decode("utf-8-sig", errors="replace")
    if "\0" not in text:
        if looks_like_xds(text):
            with file_with(path, content) as plain:
                return read_xds(plain, text, source)
        if looks_like_scalepack(text):
            return read_scalepack(text, source)
        if looks_like_hkl(text) and path.suffix.lower() in _WITH_PHASES:
            raise InputError(
                f"{source}: a list of reflections with phases, not in CIF ({path.suffix}), whose "
                "columns cannot be told apart; give the .hkl file, or a .fcf file of LIST 4 or 6"
            )
        if looks_like_hkl(text):  # first: text after the list may be that of a CIF
            return read_hkl(text, instructions_beside(path), source, labin)
        if _CIF.search(text):
            return read_sf_cif(text, source, block, labin)
        if text.startswith(("HEADER", "CRYST1", "ATOM ", "REMARK", "TITLE")):
            raise InputError(
                f"{source}: a PDB coordinate file, expected reflections (.mtz, SF-mmCIF, "
                "SHELX .hkl, XDS_ASCII or scalepack)"
            )
    raise InputError(
        f"{source}: neither MTZ, SF-mmCIF, SHELX .hkl, XDS_ASCII nor scalepack (recognised by "
        "content); expected a reflection file in one of these formats"
    )


def read_solution_amplitudes(path: str | Path, radiation: Radiation = "xray") -> CrystalData:
    """Read the measured amplitudes of a file that `crysformer.crystal.io.write.write_phases` wrote.

    They may be without uncertainties, which of another file would have to be confirmed.

    Parameters
    ----------
    path
        The MTZ file.
    radiation
        Which scattering factors apply.

    Raises
    ------
    InputError
        If the file is missing or broken.
    """
    labels = [column.label for column in read_table(Path(path), os.fspath(path)).columns]
    return read_crystal(path, labin="F,SIGF" if "SIGF" in labels else "F", radiation=radiation)
