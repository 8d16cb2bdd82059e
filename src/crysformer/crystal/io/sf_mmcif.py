"""Reading CIF: SF-mmCIF of the wwPDB, and core CIF such as SHELX .fcf and COD .hkl files."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.io.cif_parts import (
    Part,
    choose_part,
    other_parts,
    parts_of,
    refln_values,
)
from crysformer.crystal.io.cif_symmetry import with_symmetry
from crysformer.crystal.io.embedded_hkl import embedded_fcf, read_embedded_hkl
from crysformer.crystal.io.reflection_table import Column, Probe, ReflectionTable
from crysformer.crystal.io.unmerged import refuse_repeated
from crysformer.errors import InputError
from crysformer.wording import counted

#: Measured items of the _refln category with their MTZ types, each value before its uncertainty.
#: Calculated items (F_calc, phase_calc, pdbx_FWT ...) are left out: they are never read.
_ITEMS: Final = (
    ("F_meas_au", "F"),
    ("F_meas_sigma_au", "Q"),
    ("F_meas", "F"),
    ("F_meas_sigma", "Q"),
    ("F_sigma", "Q"),
    ("F_meas_su", "Q"),
    ("intensity_meas", "J"),
    ("intensity_sigma", "Q"),
    ("intensity_meas_su", "Q"),
    ("F_squared_meas", "J"),
    ("F_squared_sigma", "Q"),
    ("F_squared_meas_su", "Q"),
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
#: Items of the status, of mmCIF and of core CIF.
_STATUS: Final = ("status", "observed_status", "include_status")
#: Status codes of reflections that were not measured well enough to use.
_NOT_USED: Final = ("x", "-", "h", "l")
_WAVELENGTH: Final = (
    "_diffrn_radiation_wavelength.wavelength", "_diffrn_radiation_wavelength_wavelength",
    "_diffrn_radiation_wavelength",
)  # fmt: skip
#: Tags of reflection loops, for files that write them in other capitals.
_TAG: Final = re.compile(r"^[ \t]*_refln[._]\S+", re.IGNORECASE | re.MULTILINE)
_TAGS: Final = {
    f"_refln{dot}{name}".lower(): f"_refln{dot}{name}"
    for dot in "._"
    for name in ("index_h", "index_k", "index_l", *(item for item, _ in _ITEMS), *_STATUS)
}


def read_sf_cif(
    text: str, source: str, block: str | None = None, labin: str | None = None
) -> ReflectionTable:
    """Read one crystal and wavelength of an SF-mmCIF or core CIF file.

    By default of the first block with measured reflections, the first crystal and wavelength; the
    others are named in a note. Without ``pdbx_r_free_flag`` the status ``f`` gives the free flags
    (0 free, 1 working). Cell and space group come from the block, else from the first block that
    gives them. Where no block has a loop of reflections, an embedded SHELX file
    (``_shelx_hkl_file``, or ``_shelx_fcf_file``) is read.

    Parameters
    ----------
    text
        The file's content.
    source
        What to call the file in messages.
    block
        The user's choice: ``BLOCK``, or ``BLOCK/CRYSTAL/WAVELENGTH`` as far as necessary.
    labin
        The user's choice of columns, for an embedded SHELX file.

    Raises
    ------
    InputError
        If it is not valid CIF, holds no merged reflections, or not the block wanted.
    """
    try:
        text = _TAG.sub(lambda tag: _TAGS.get(tag[0].strip().lower(), tag[0]), text)
        blocks = _refln_blocks(gemmi.cif.read_string(text))
        parts = [
            part
            for b in blocks
            if b.is_merged()
            for part in parts_of(b, [tag for tag, _ in _ITEMS])
        ]
        if parts:
            part = choose_part(parts, block, source)
            name = part.name if len(parts) > 1 else ""
            table = _read_part(part, name, source, *other_parts(parts, part))
            return with_symmetry(table, [part.block.block, *(b.block for b in blocks)])
    except (ValueError, RuntimeError, IndexError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{source}: a truncated or broken CIF file ({reason:.200})") from error
    contents = [b.block for b in blocks]
    embedded = read_embedded_hkl(contents, source, labin)
    if embedded is not None:
        return embedded
    fcf = embedded_fcf(contents)
    if fcf:
        table = read_sf_cif(fcf, source, block, labin)
        return replace(table, notes=("the embedded SHELX .fcf file is used", *table.notes))
    if any(b.is_unmerged() or _is_unmerged(b.block) for b in blocks):
        raise InputError(f"{source}: holds only unmerged reflections; merge them first")
    if any(b.block.find_loop("_atom_site.id") for b in blocks):
        raise InputError(f"{source}: a coordinate file, expected reflections (_refln items)")
    raise InputError(f"{source}: no measured reflections (_refln.F_meas_au, intensity_meas ...)")


def _refln_blocks(document: gemmi.cif.Document) -> list[gemmi.ReflnBlock]:
    """All blocks; those whose reflections have names of core CIF as gemmi reads them."""
    blocks = []
    for block in gemmi.as_refln_blocks(document):
        core = block.default_loop is None and len(block.block.find_values("_refln_index_h")) > 0
        blocks.append(gemmi.hkl_cif_as_refln_block(block.block) if core else block)
    return blocks


def _is_unmerged(block: gemmi.cif.Block) -> bool:
    return len(block.find_values("_diffrn_refln_index_h")) > 0


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
    for tag in _STATUS:
        if tag in present:
            status = np.array([gemmi.cif.as_string(s) for s in refln_values(block, tag)])
            _apply_status(status[keep], columns, notes)
    hkl = np.array(block.make_miller_array(), dtype=np.int32)[keep]
    loop = block.default_loop
    if loop is not None and loop.tags[0].startswith("_refln."):  # core CIF lists may be unmerged
        refuse_repeated(hkl, source)
    return ReflectionTable(
        source=source,
        hkl=hkl,
        columns=tuple(columns),
        notes=tuple(notes),
        wavelength=_wavelength(block.block, part.wavelength),
        probe=_probe(block.block),
        is_cif=True,
        block=name,
        warnings=tuple(warnings),
    )


def _wavelength(block: gemmi.cif.Block, wanted: str) -> float | None:
    """The wavelength of an id, A: the only one where there is no id; None if unknown."""
    ids = list(block.find_values("_diffrn_radiation_wavelength.id"))
    values: list[str] = []
    for tag in _WAVELENGTH:
        values = values or list(block.find_values(tag))
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
        "_diffrn_radiation_probe", "_diffrn_radiation_type",
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
        notes.append(
            counted(
                int(excluded_values.sum()),
                "reflection of status x or - is not used",
                "reflections of status x or - are not used",
            )
        )
    if not any(column.type == "I" for column in columns) and (status == "f").any():
        columns.append(Column("FREE", "I", np.where(status == "f", 0.0, 1.0)))
