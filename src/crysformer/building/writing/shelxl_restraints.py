"""Restraints and hydrogens of peptides as SHELXL instructions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from crysformer.building.validation.bonds_and_angles import standard_values
from crysformer.building.validation.residue_topology import parent
from crysformer.peptide.ideal_geometry import distance_across

_WIDTH: Final = 78  # characters of a line

#: Flat groups of side chains.
_FLAT: Final = {
    "ARG": "CD NE CZ NH1 NH2",
    "ASN": "CB CG OD1 ND2",
    "ASP": "CB CG OD1 OD2",
    "GLN": "CG CD OE1 NE2",
    "GLU": "CG CD OE1 OE2",
    "HIS": "CB CG ND1 CD2 CE1 NE2",
    "PHE": "CB CG CD1 CD2 CE1 CE2 CZ",
    "TRP": "CB CG CD1 CD2 NE1 CE2 CE3 CZ2 CZ3 CH2",
    "TYR": "CB CG CD1 CD2 CE1 CE2 CZ OH",
}
#: Hydrogens of side chains: the code of HFIX and its atoms. 13 CH, 23 CH2, 33 CH3 or NH3, 43
#: aromatic CH or NH, 93 NH2, 83 OH. Those of acids and of histidine's ND1 depend on pH.
_HYDROGENS: Final = {
    "ALA": ("33 CB",),
    "ARG": ("23 CB CG CD", "43 NE", "93 NH1 NH2"),
    "ASN": ("23 CB", "93 ND2"),
    "ASP": ("23 CB",),
    "CYS": ("23 CB",),
    "GLN": ("23 CB CG", "93 NE2"),
    "GLU": ("23 CB CG",),
    "GLY": (),
    "HIS": ("23 CB", "43 CD2 CE1 NE2"),
    "ILE": ("13 CB", "23 CG1", "33 CG2 CD1"),
    "LEU": ("23 CB", "13 CG", "33 CD1 CD2"),
    "LYS": ("23 CB CG CD CE", "33 NZ"),
    "MET": ("23 CB CG", "33 CE"),
    "PHE": ("23 CB", "43 CD1 CD2 CE1 CE2 CZ"),
    "PRO": ("23 CB CG CD",),
    "SER": ("23 CB", "83 OG"),
    "THR": ("13 CB", "83 OG1", "33 CG2"),
    "TRP": ("23 CB", "43 CD1 NE1 CE3 CZ2 CZ3 CH2"),
    "TYR": ("23 CB", "43 CD1 CD2 CE1 CE2", "83 OH"),
    "VAL": ("13 CB", "33 CG1 CG2"),
}
_CAP_HYDROGENS: Final = {"ACE": ("33 CH3",), "NH2": ("93 N",)}


def residue_restraints(names: Iterable[str]) -> list[str]:
    """DFIX, DANG and FLAT of the kinds of residues, by three-letter name, D forms included."""
    lines = []
    for name in sorted(set(names)):
        standard = parent(name)
        if standard is None:
            continue
        values = standard_values(standard)
        lengths = {frozenset(atoms): v for atoms, (v, _) in values.items() if len(atoms) == 2}
        for atoms, (value, _) in values.items():
            if len(atoms) == 2:
                lines.append(f"DFIX_{name} {value:.3f} {atoms[0]} {atoms[1]}")
                continue
            sides = [lengths.get(frozenset(pair)) for pair in (atoms[:2], atoms[1:])]
            if sides[0] is not None and sides[1] is not None:
                across = distance_across(sides[0], sides[1], value)
                lines.append(f"DANG_{name} {across:.3f} {atoms[0]} {atoms[2]}")
        if standard in _FLAT:
            lines.append(f"FLAT_{name} {_FLAT[standard]}")
    return lines


def link_restraints(links: Sequence[tuple[int, int, bool]]) -> list[str]:
    """Restraints of peptide bonds: numbers of both residues, and whether the second is proline."""
    lines = []
    for first, second, proline in links:
        values = standard_values("link PRO" if proline else "link any")
        c_n = values["C", "N+"][0]
        c, n = f"C_{first}", f"N_{second}"
        ca, o, next_ca = f"CA_{first}", f"O_{first}", f"CA_{second}"
        own = standard_values("ALA")
        spans = (
            (ca, n, own["CA", "C"][0], c_n, values["CA", "C", "N+"][0]),
            (o, n, own["C", "O"][0], c_n, values["O", "C", "N+"][0]),
            (c, next_ca, c_n, own["N", "CA"][0], values["C", "N+", "CA+"][0]),
        )
        lines.append(f"DFIX {c_n:.3f} {c} {n}")
        lines += [
            f"DANG {distance_across(one, two, angle):.3f} {a} {b}"
            for a, b, one, two, angle in spans
        ]
        lines.append(f"FLAT {ca} {c} {o} {n} {next_ca}")
    return lines


def hydrogen_instructions(names: Iterable[str], first: Sequence[tuple[int, bool]]) -> list[str]:
    """HFIX of the kinds of residues, and of the first residues of chains.

    Parameters
    ----------
    names
        Three-letter names.
    first
        Number of each residue with a free amino group, and whether it is proline.
    """
    lines = []
    for name in sorted(set(names)):
        standard = parent(name)
        if standard is None:
            lines += [f"HFIX_{name} {group}" for group in _CAP_HYDROGENS.get(name, ())]
            continue
        if standard != "PRO":
            lines.append(f"HFIX_{name} 43 N")
        lines.append(f"HFIX_{name} {23 if standard == 'GLY' else 13} CA")
        lines += [f"HFIX_{name} {group}" for group in _HYDROGENS[standard]]
    # a later instruction replaces an earlier one
    return lines + [f"HFIX {23 if proline else 33} N_{number}" for number, proline in first]


def wrapped(line: str) -> list[str]:
    """An instruction on as many lines as it needs, all but the last ending in ``=``."""
    out, words = [], line.split(" ")
    current = words[0]
    for word in words[1:]:
        if len(current) + len(word) + 3 > _WIDTH:
            out.append(current + " =")
            current = "  " + word
        else:
            current += " " + word
    return [*out, current]
