"""Tables of the twenty standard residues: names, heavy atoms in order, elements and masses."""

from __future__ import annotations

from typing import Final

import gemmi
import numpy as np

#: One-letter codes in the order of every residue index in this package.
CODES: Final = "ARNDCQEGHILKMFPSTWYV"

#: Backbone atoms, the first of every residue.
BACKBONE: Final = ("N", "CA", "C", "O")

_SIDE_CHAINS: Final = {
    "ALA": "CB",
    "ARG": "CB CG CD NE CZ NH1 NH2",
    "ASN": "CB CG OD1 ND2",
    "ASP": "CB CG OD1 OD2",
    "CYS": "CB SG",
    "GLN": "CB CG CD OE1 NE2",
    "GLU": "CB CG CD OE1 OE2",
    "GLY": "",
    "HIS": "CB CG ND1 CD2 CE1 NE2",
    "ILE": "CB CG1 CG2 CD1",
    "LEU": "CB CG CD1 CD2",
    "LYS": "CB CG CD CE NZ",
    "MET": "CB CG SD CE",
    "PHE": "CB CG CD1 CD2 CE1 CE2 CZ",
    "PRO": "CB CG CD",
    "SER": "CB OG",
    "THR": "CB OG1 CG2",
    "TRP": "CB CG CD1 CD2 NE1 CE2 CE3 CZ2 CZ3 CH2",
    "TYR": "CB CG CD1 CD2 CE1 CE2 CZ OH",
    "VAL": "CB CG1 CG2",
}

#: Three-letter names, row i belonging to ``CODES[i]``.
NAMES: Final = tuple(_SIDE_CHAINS)

#: Three-letter name of each one-letter code.
NAME_OF: Final = dict(zip(CODES, NAMES, strict=True))

#: The same of D residues, in the chemical component dictionary of the PDB.
D_NAME_OF: Final = {
    "A": "DAL",
    "R": "DAR",
    "N": "DSG",
    "D": "DAS",
    "C": "DCY",
    "Q": "DGN",
    "E": "DGL",
    "H": "DHI",
    "I": "DIL",
    "L": "DLE",
    "K": "DLY",
    "M": "MED",
    "F": "DPN",
    "P": "DPR",
    "S": "DSN",
    "T": "DTH",
    "W": "DTR",
    "Y": "DTY",
    "V": "DVA",
}

#: One-letter code of each three-letter name, L and D residues alike.
LETTER_OF: Final = {
    name: letter for table in (NAME_OF, D_NAME_OF) for letter, name in table.items()
}

#: Heavy atoms of each residue inside a chain (no OXT), in PDB order.
ATOMS: Final = tuple(BACKBONE + tuple(side.split()) for side in _SIDE_CHAINS.values())

#: Most heavy atoms in a residue (tryptophan).
MAX_ATOMS: Final = max(len(atoms) for atoms in ATOMS)

#: Residue index of each three-letter name.
INDEX: Final = {name: i for i, name in enumerate(NAMES)}

#: Heavy atoms in each residue, shape (20,).
N_ATOMS: Final = np.array([len(atoms) for atoms in ATOMS], dtype=np.int64)

_NUMBER_OF: Final = {"C": 6, "N": 7, "O": 8, "S": 16}

#: Atomic numbers, shape (20, MAX_ATOMS), zero beyond the residue's last atom.
NUMBERS: Final = np.array(
    [[_NUMBER_OF[a[0]] for a in atoms] + [0] * (MAX_ATOMS - len(atoms)) for atoms in ATOMS],
    dtype=np.uint8,
)

#: Element mass in u by atomic number, shape (17,); zero for elements outside C N O S.
MASSES: Final = np.array(
    [gemmi.Element(z).weight if z in _NUMBER_OF.values() else 0.0 for z in range(17)]
)


def atoms_of(letter: str) -> tuple[str, ...]:
    """Names of the heavy atoms of a residue inside a chain, in PDB order."""
    return ATOMS[CODES.index(letter)]


def encode(sequence: str) -> np.ndarray:
    """Residue indices of a one-letter sequence, shape (n,), uint8.

    Raises
    ------
    ValueError
        If a letter is not one of the twenty.
    """
    return np.array([CODES.index(letter) for letter in sequence], dtype=np.uint8)


def atom_names(sequence: str) -> list[str]:
    """Names of all heavy atoms of a peptide of this sequence, in stored order."""
    return [name for letter in sequence for name in atoms_of(letter)]
