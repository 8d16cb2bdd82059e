"""Reflections that SHELXL embeds as text in the CIF of a structure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import gemmi

from crysformer.crystal.io.cif_symmetry import with_symmetry
from crysformer.crystal.io.reflection_table import ReflectionTable
from crysformer.crystal.io.shelx_hkl import read_hkl
from crysformer.crystal.io.shelx_instructions import Instructions, parse_instructions
from crysformer.errors import InputError

#: Items that hold a .hkl file, a .fcf file, and the instructions of the refinement.
_HKL: Final = ("_shelx_hkl_file", "_iucr_refine_reflections_details", "_refln_shelx_hkl_file")
_FCF: Final = ("_shelx_fcf_file", "_iucr_refine_fcf_details")
_RES: Final = ("_shelx_res_file", "_shelxl_res_file", "_iucr_refine_instructions_details")


def read_embedded_hkl(
    blocks: Sequence[gemmi.cif.Block], source: str, labin: str | None = None
) -> ReflectionTable | None:
    """Read the first ``_shelx_hkl_file`` among the blocks of a CIF.

    HKLF comes from the embedded instructions (``_shelx_res_file``), cell and space group from the
    items of the block, else from the instructions.

    Parameters
    ----------
    blocks
        All blocks of the file.
    source
        What to call the file in messages.
    labin
        The user's choice of columns.

    Returns
    -------
    The reflections, or None if no block embeds any.

    Raises
    ------
    InputError
        If the embedded text cannot be read.
    """
    for block in blocks:
        hkl = _text(block, _HKL)
        if not hkl:
            continue
        where = f"{source} (embedded SHELX file of block {block.name})"
        instructions = _instructions(_text(block, _RES), where)
        table = read_hkl(hkl, instructions, where, labin)
        note = f"the SHELX file embedded in block {block.name} is used"
        table = replace(table, source=source, notes=(note, *table.notes), is_cif=True)
        named = with_symmetry(table, [block, *blocks])
        return replace(
            named,
            cell=named.cell or table.cell,
            space_group=named.space_group or table.space_group,
        )
    return None


def embedded_fcf(blocks: Sequence[gemmi.cif.Block]) -> str:
    """Text of the first .fcf file, itself a CIF, that a block embeds; empty if none does."""
    texts = (_text(block, _FCF) for block in blocks)
    # SHELXL writes ")" where a line of the embedded file begins with ";"
    return next((re.sub(r"(?m)^\)", ";", text) for text in texts if text), "")


def _instructions(text: str, where: str) -> Instructions:
    try:
        return parse_instructions(text, "the embedded instructions") if text else Instructions()
    except (ValueError, IndexError, RuntimeError) as error:
        raise InputError(f"{where}: its instructions cannot be read ({error})") from error


def _text(block: gemmi.cif.Block, names: Sequence[str]) -> str:
    """Text of the first of these items that is there, without the lines around it; else empty."""
    values = (block.find_value(name) for name in names)
    found = next((value for value in values if value and not gemmi.cif.is_null(value)), None)
    return "" if found is None else str(gemmi.cif.as_string(found)).strip("\r\n")
