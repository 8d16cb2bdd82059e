"""Names of the methyl groups of Leu and Val, from the hand of the carbon that bears them."""

from __future__ import annotations

from typing import Final

import gemmi
import numpy as np

#: Carbon with the two methyls, the neighbour before it, and what tells the methyls' atoms apart.
_METHYLS: Final = {"LEU": ("CG", "CB", "D"), "VAL": ("CB", "CA", "G")}
_D_FORMS: Final = {"DLE": "LEU", "DVA": "VAL"}


def name_methyls(structure: gemmi.Structure) -> int:
    """Exchange the names of two methyls, with their hydrogens, where the hand is wrong, in place.

    The groups are alike, so that neither the map nor a refinement without chiral volumes for
    them tells a side chain whose names are exchanged.

    Returns
    -------
    int
        The number of residues, conformers by themselves, with exchanged names.
    """
    exchanged = 0
    for chain in structure[0]:
        for residue in chain:
            name = _D_FORMS.get(residue.name, residue.name)
            if name not in _METHYLS:
                continue
            place = _METHYLS[name][2]
            for altloc in sorted({a.altloc for a in residue if a.name[1:2] == place}):
                if _is_wrong(residue, name, altloc):
                    exchanged += 1
                    _exchange(residue, place, altloc)
    return exchanged


def _is_wrong(residue: gemmi.Residue, name: str, altloc: str) -> bool:
    centre, before, place = _METHYLS[name]
    found = [
        residue.find_atom(atom, altloc) or residue.find_atom(atom, "*")
        for atom in (centre, before, f"C{place}1", f"C{place}2")
    ]
    if any(atom is None for atom in found):
        return False
    origin, *arms = (np.array(atom.pos.tolist()) for atom in found if atom is not None)
    volume = float(np.linalg.det(np.array(arms) - origin))
    return volume > 0 if residue.name == name else volume < 0  # negative in L residues


def _exchange(residue: gemmi.Residue, place: str, altloc: str) -> None:
    other = {f"{place}1": f"{place}2", f"{place}2": f"{place}1"}
    for atom in residue:
        if atom.altloc == altloc and atom.name[1:3] in other:
            atom.name = atom.name[0] + other[atom.name[1:3]] + atom.name[3:]
