"""Definitions of chemical components, as the wwPDB's Chemical Component Dictionary writes them.

Monomer dictionaries (AceDRG, grade, CCP4) define them too, with other names of the columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import gemmi
import numpy as np
from numpy.typing import NDArray

_IDEAL: Final = [f"pdbx_model_Cartn_{x}_ideal" for x in "xyz"]
_MEASURED: Final = [f"model_Cartn_{x}" for x in "xyz"]
_OF_DICTIONARY: Final = ["x", "y", "z"]
_AROMATIC: Final = "AROM"


@dataclass(frozen=True, eq=False)
class Component:
    """Atoms, bonds and coordinates of one component, hydrogens included.

    Attributes
    ----------
    name
        Its identifier, such as AIB.
    kind
        ``_chem_comp.type``, in capitals, such as L-PEPTIDE LINKING; empty if not stated.
    atoms, element, charge
        Of each atom.
    chiral
        Whether the definition states a hand (R or S) for each atom.
    xyz
        Ideal coordinates, or those of a measured model, shape (n, 3), A.
    bonds
        Pairs of atoms with their order: 1, 2, 3, or 1.5 for aromatic bonds.
    ideal
        Whether the coordinates are ideal ones.
    """

    name: str
    kind: str
    atoms: tuple[str, ...]
    element: tuple[str, ...]
    charge: tuple[int, ...]
    chiral: tuple[bool, ...]
    xyz: NDArray[np.float64]
    bonds: tuple[tuple[int, int, float], ...]
    ideal: bool


def component_of(block: gemmi.cif.Block) -> Component | None:
    """The component that a block of CIF defines.

    Returns
    -------
    Component or None
        None if the block defines no single component, or has no coordinates for all of its atoms
        but hydrogens, or no bonds between several atoms.
    """
    table = block.find_mmcif_category("_chem_comp_atom.")
    names = _column(table, "atom_id")
    if not names or len(set(names)) < len(names):
        return None
    coordinates = _coordinates(table)
    if coordinates is None:
        return None
    xyz, ideal = coordinates
    element = [gemmi.Element(symbol).name for symbol in _column(table, "type_symbol")]
    if len(element) != len(names):
        return None
    kept = np.flatnonzero(np.isfinite(xyz).all(axis=1)).tolist()  # hydrogens may lack theirs
    place = {names[i]: k for k, i in enumerate(kept)}
    bonds = _bonds(block, place)
    if len(kept) > 1 and not bonds:
        return None
    charges = _column(table, "charge") or ["0"] * len(names)
    centres = set(block.find_values("_chem_comp_chir.atom_id_centre"))
    unstated = ["S" if name in centres else "N" for name in names]
    stereo = _column(table, "pdbx_stereo_config") or unstated
    name = block.find_value("_chem_comp.id") or next(iter(_column(table, "comp_id")), "")
    kind = block.find_value("_chem_comp.type") or ""
    return Component(
        name=gemmi.cif.as_string(name) or block.name.removeprefix("comp_"),
        kind=gemmi.cif.as_string(kind).upper(),
        atoms=tuple(names[i] for i in kept),
        element=tuple(element[i] for i in kept),
        charge=tuple(gemmi.cif.as_int(charges[i], 0) for i in kept),
        chiral=tuple(stereo[i] in ("R", "S") for i in kept),
        xyz=xyz[kept],
        bonds=tuple(bonds),
        ideal=ideal,
    )


def _coordinates(table: gemmi.cif.Table) -> tuple[NDArray[np.float64], bool] | None:
    """Ideal coordinates where the definition has them, else those of its model."""
    element = _column(table, "type_symbol")
    for labels, ideal in ((_IDEAL, True), (_OF_DICTIONARY, True), (_MEASURED, False)):
        columns = [_column(table, label) for label in labels]
        if not all(columns):
            continue
        xyz = np.array([[gemmi.cif.as_number(x) for x in column] for column in columns]).T
        heavy = [symbol not in ("H", "D") for symbol in element]
        if np.isfinite(xyz[heavy]).all():
            return xyz, ideal
    return None


def _bonds(block: gemmi.cif.Block, place: dict[str, int]) -> list[tuple[int, int, float]]:
    table = block.find_mmcif_category("_chem_comp_bond.")
    first, second = _column(table, "atom_id_1"), _column(table, "atom_id_2")
    order = _column(table, "value_order") or _column(table, "type")
    aromatic = _column(table, "pdbx_aromatic_flag") or ["N"] * len(first)
    if len(order) != len(first):
        return []
    found = []
    for a, b, text, flag in zip(first, second, order, aromatic, strict=True):
        if a in place and b in place:
            value = {"SING": 1.0, "DOUB": 2.0, "TRIP": 3.0}.get(text.upper()[:4], 1.5)
            ring = flag.upper() == "Y" or text.upper().startswith(_AROMATIC)
            found.append((place[a], place[b], 1.5 if ring else value))
    return found


def _column(table: gemmi.cif.Table, label: str) -> list[str]:
    """Values of a column without quotes; empty if the table lacks it."""
    prefix = table.get_prefix() if table.width() else ""
    if not prefix or prefix + label not in table.tags:
        return []
    return [gemmi.cif.as_string(value) for value in table.find_column(label)]
