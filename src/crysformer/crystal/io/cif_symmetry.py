"""Cell and space group of a CIF block, under the names of core CIF and of mmCIF."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

import gemmi

from crysformer.crystal.io.reflection_table import ReflectionTable
from crysformer.crystal.space_groups import SymmetryRecords, identify_space_group
from crysformer.crystal.unit_cell import unit_cell

_CELL: Final = (
    "length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma",
)  # fmt: skip
#: Names of each statement in order of preference, with "." for either separator.
_SYMBOL: Final = (
    "_symmetry.space_group_name_H-M", "_space_group.name_H-M_alt", "_space_group.name_H-M_full",
    "_space_group.name_H-M_ref",
)  # fmt: skip
_HALL: Final = ("_space_group.name_Hall", "_symmetry.space_group_name_Hall")
_NUMBER: Final = ("_symmetry.Int_Tables_number", "_space_group.IT_number")
_OPERATORS: Final = ("_space_group_symop.operation_xyz", "_symmetry_equiv.pos_as_xyz")


def cell_of(block: gemmi.cif.Block) -> gemmi.UnitCell | None:
    """Unit cell of a block, or None where it does not give all six constants."""
    texts = [_first(block, (f"_cell.{name}",)) for name in _CELL]
    if not all(texts):
        return None
    cell = unit_cell(*(gemmi.cif.as_number(text) for text in texts))
    return cell if cell.is_crystal() else None


def symmetry_of(block: gemmi.cif.Block) -> SymmetryRecords:
    """Statements of a block on its space group."""
    number = _first(block, _NUMBER)
    operators: list[str] = []
    for name in _spellings(_OPERATORS):
        operators = operators or [gemmi.cif.as_string(x) for x in block.find_values(name)]
    return SymmetryRecords(
        symbol=_first(block, _SYMBOL),
        hall=_first(block, _HALL),
        number=int(number) if number.isdecimal() else None,
        operators=tuple(operators),
    )


def with_symmetry(table: ReflectionTable, blocks: Sequence[gemmi.cif.Block]) -> ReflectionTable:
    """The table with cell and space group of the first block that gives each."""
    cell = next((cell for block in blocks if (cell := cell_of(block)) is not None), None)
    notes: tuple[str, ...] = ()
    for block in blocks:
        group, notes = identify_space_group(symmetry_of(block), cell)
        if group is not None or notes:
            return replace(table, cell=cell, space_group=group, symmetry_warnings=notes)
    return replace(table, cell=cell)


def _first(block: gemmi.cif.Block, names: Iterable[str]) -> str:
    """The first of these items that has a value, whether in a pair or in a loop; else empty."""
    for name in _spellings(names):
        for value in block.find_values(name):
            if not gemmi.cif.is_null(value):
                return str(gemmi.cif.as_string(value)).strip()
    return ""


def _spellings(names: Iterable[str]) -> list[str]:
    return [spelling for name in names for spelling in (name, name.replace(".", "_", 1))]
