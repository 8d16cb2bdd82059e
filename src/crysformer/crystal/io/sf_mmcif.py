"""Reading SF-mmCIF, the format in which the wwPDB keeps reflection data."""

from __future__ import annotations

from typing import Final

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.io.reflection_table import Column, ReflectionTable
from crysformer.errors import InputError

#: Measured items of the _refln category with their MTZ types, each value before its uncertainty.
#: Calculated items (F_calc, phase_calc, pdbx_FWT ...) are left out: they are never read.
_ITEMS: Final = (
    ("F_meas_au", "F"),
    ("F_meas_sigma_au", "Q"),
    ("F_meas", "F"),
    ("F_meas_sigma", "Q"),
    ("intensity_meas", "J"),
    ("intensity_sigma", "Q"),
    ("F_squared_meas", "J"),
    ("F_squared_sigma", "Q"),
    ("pdbx_F_plus", "G"),
    ("pdbx_F_plus_sigma", "L"),
    ("pdbx_F_minus", "G"),
    ("pdbx_F_minus_sigma", "L"),
    ("pdbx_I_plus", "K"),
    ("pdbx_I_plus_sigma", "M"),
    ("pdbx_I_minus", "K"),
    ("pdbx_I_minus_sigma", "M"),
    ("pdbx_r_free_flag", "I"),
)
#: Status codes of reflections that were not measured well enough to use.
_NOT_USED: Final = ("x", "-")


def read_sf_cif(text: str, source: str) -> ReflectionTable:
    """Read the first block with measured reflections of an SF-mmCIF file.

    Where a block holds several crystals or wavelengths, only the first is taken. Without
    ``pdbx_r_free_flag`` the status ``f`` gives the free flags (0 free, 1 working).

    Parameters
    ----------
    text
        The file's content.
    source
        What to call the file in messages.

    Raises
    ------
    InputError
        If it is not valid CIF, or holds no merged reflections.
    """
    try:
        blocks = gemmi.as_refln_blocks(gemmi.cif.read_string(text))
        for block in blocks:
            table = _read_block(block, source, alone=len(blocks) == 1)
            if table is not None:
                return table
    except (ValueError, RuntimeError, IndexError) as error:
        raise InputError(f"{source}: a truncated or broken CIF file ({error})") from error
    if any(block.is_unmerged() for block in blocks):
        raise InputError(f"{source}: holds only unmerged reflections; merge them first")
    if any(block.block.find_loop("_atom_site.id") for block in blocks):
        raise InputError(f"{source}: a coordinate file, expected reflections (_refln items)")
    raise InputError(f"{source}: no measured reflections (_refln.F_meas_au, intensity_meas ...)")


def _read_block(block: gemmi.ReflnBlock, source: str, alone: bool) -> ReflectionTable | None:
    if not block.is_merged():
        return None
    present = set(block.column_labels())
    keep = _one_crystal(block, present)
    columns = []
    for tag, column_type in _ITEMS:
        if tag in present:
            values = np.array(block.make_float_array(tag), dtype=np.float64)[keep]
            # wwPDB loops carry whole columns of '?': they say nothing.
            if np.isfinite(values).any():
                columns.append(Column(tag, column_type, values))
    if not any(column.type in "FJGK" for column in columns):
        return None
    notes = [] if alone else [f"block {block.block.name} is used"]
    if not keep.all():
        notes.append(f"{(~keep).sum()} reflections of further crystals or wavelengths are not used")
    if "status" in present:
        status = np.array(
            [gemmi.cif.as_string(s) for s in block.block.find_values("_refln.status")]
        )
        _apply_status(status[keep], columns, notes)
    return ReflectionTable(
        source=source,
        hkl=np.array(block.make_miller_array(), dtype=np.int32)[keep],
        columns=tuple(columns),
        cell=block.cell if block.cell.is_crystal() else None,
        space_group=block.spacegroup,
        notes=tuple(notes),
    )


def _one_crystal(block: gemmi.ReflnBlock, present: set[str]) -> NDArray[np.bool_]:
    """Rows of the first crystal and wavelength."""
    keep = np.ones(len(block.make_miller_array()), dtype=bool)
    for tag in ("crystal_id", "wavelength_id"):
        if tag in present:
            ids = np.array(list(block.block.find_values(f"_refln.{tag}")))
            keep &= ids == ids[0]
    return keep


def _apply_status(status: NDArray[np.str_], columns: list[Column], notes: list[str]) -> None:
    """Blank what the status excludes, and add free flags from it where there are none."""
    excluded = np.isin(status, _NOT_USED)
    measured = [c for c in columns if c.type != "I"]
    excluded_values = excluded & np.any([np.isfinite(c.values) for c in measured], axis=0)
    if excluded_values.any():
        for column in measured:
            column.values[excluded] = np.nan
        notes.append(f"{excluded_values.sum()} reflections of status x or - are not used")
    if not any(column.type == "I" for column in columns) and (status == "f").any():
        columns.append(Column("FREE", "I", np.where(status == "f", 0.0, 1.0)))
