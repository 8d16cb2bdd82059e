"""Reading SF-mmCIF, the format in which the wwPDB keeps reflection data."""

from __future__ import annotations

from typing import Final

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.io.cif_parts import Part, choose_part, other_parts, parts_of
from crysformer.crystal.io.reflection_table import Column, Probe, ReflectionTable
from crysformer.crystal.io.unmerged import refuse_repeated
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


def read_sf_cif(text: str, source: str, block: str | None = None) -> ReflectionTable:
    """Read one crystal and wavelength of an SF-mmCIF file.

    By default of the first block with measured reflections, the first crystal and wavelength; the
    others are named in a note. Without ``pdbx_r_free_flag`` the status ``f`` gives the free flags
    (0 free, 1 working).

    Parameters
    ----------
    text
        The file's content.
    source
        What to call the file in messages.
    block
        The user's choice: ``BLOCK``, or ``BLOCK/CRYSTAL/WAVELENGTH`` as far as necessary.

    Raises
    ------
    InputError
        If it is not valid CIF, holds no merged reflections, or not the block wanted.
    """
    try:
        blocks = gemmi.as_refln_blocks(gemmi.cif.read_string(text))
        parts = [
            part
            for b in blocks
            if b.is_merged()
            for part in parts_of(b, [tag for tag, _ in _ITEMS])
        ]
        if parts:
            part = choose_part(parts, block, source)
            name = part.name if len(parts) > 1 else ""
            return _read_part(part, name, source, *other_parts(parts, part))
    except (ValueError, RuntimeError, IndexError) as error:
        raise InputError(f"{source}: a truncated or broken CIF file ({error})") from error
    if any(b.is_unmerged() for b in blocks):
        raise InputError(f"{source}: holds only unmerged reflections; merge them first")
    if any(b.block.find_loop("_atom_site.id") for b in blocks):
        raise InputError(f"{source}: a coordinate file, expected reflections (_refln items)")
    raise InputError(f"{source}: no measured reflections (_refln.F_meas_au, intensity_meas ...)")


def _read_part(
    part: Part, name: str, source: str, notes: list[str], warnings: list[str]
) -> ReflectionTable:
    block, keep = part.block, part.rows
    present = set(block.column_labels())
    columns = []
    for tag, column_type in _ITEMS:
        if tag in present:
            values = np.array(block.make_float_array(tag), dtype=np.float64)[keep]
            # wwPDB loops carry whole columns of '?': they say nothing.
            if np.isfinite(values).any():
                columns.append(Column(tag, column_type, values))
    if "status" in present:
        status = np.array(
            [gemmi.cif.as_string(s) for s in block.block.find_values("_refln.status")]
        )
        _apply_status(status[keep], columns, notes)
    hkl = np.array(block.make_miller_array(), dtype=np.int32)[keep]
    loop = block.default_loop
    if loop is not None and loop.tags[0].startswith("_refln."):  # core CIF lists may be unmerged
        refuse_repeated(hkl, source)
    return ReflectionTable(
        source=source,
        hkl=hkl,
        columns=tuple(columns),
        cell=block.cell if block.cell.is_crystal() else None,
        space_group=block.spacegroup,
        notes=tuple(notes),
        wavelength=_wavelength(block.block, part.wavelength),
        probe=_probe(block.block),
        is_cif=True,
        block=name,
        warnings=tuple(warnings),
    )


def _wavelength(block: gemmi.cif.Block, wanted: str) -> float | None:
    """The wavelength of an id, A: the only one where there is no id; None if unknown."""
    values = list(block.find_values("_diffrn_radiation_wavelength.wavelength"))
    ids = list(block.find_values("_diffrn_radiation_wavelength.id"))
    single = block.find_value("_diffrn_radiation_wavelength.wavelength")
    if single is not None and not values:
        values, ids = [single], []
    text = dict(zip(ids, values, strict=False)).get(wanted)
    if text is None and len(set(values)) == 1:
        text = values[0]
    number = gemmi.cif.as_number(text) if text is not None else 0.0
    return float(number) if number > 0 else None


def _probe(block: gemmi.cif.Block) -> Probe | None:
    """The radiation that the experiment's method or the source's type names."""
    tags = (
        "_exptl.method", "_diffrn_radiation.probe", "_diffrn_radiation.type",
        "_diffrn_source.source",
    )  # fmt: skip
    said = " ".join(block.find_value(tag) or " ".join(block.find_values(tag)) for tag in tags)
    words: tuple[tuple[str, Probe], ...] = (
        ("ELECTRON", "electron"), ("NEUTRON", "neutron"), ("X-RAY", "xray"),
    )  # fmt: skip
    found = [probe for word, probe in words if word in said.upper()]
    return found[0] if len(found) == 1 else None


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
