"""Residues and atoms of a gemmi structure, as the rooms of building look at them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.peptide.residues import D_NAME_OF, NAME_OF

_LETTER_OF: Final = {
    name: letter for names in (NAME_OF, D_NAME_OF) for letter, name in names.items()
}
WATER: Final = "HOH"


def residue_letter(name: str) -> str | None:
    """One-letter code of one of the twenty residues, L or D, by its three-letter name."""
    return _LETTER_OF.get(name)


def polymer_chains(structure: gemmi.Structure) -> Iterator[gemmi.Chain]:
    """Chains that hold at least one of the twenty residues."""
    for chain in structure[0]:
        if any(residue_letter(residue.name) is not None for residue in chain):
            yield chain


def residue_number(residue: gemmi.Residue) -> int:
    """Number of a residue in its chain, insertion codes left out."""
    return int(residue.seqid.num or 0)


def residue_names(structure: gemmi.Structure) -> tuple[str, ...]:
    """Names of all kinds of residues of the model, sorted."""
    return tuple(sorted({residue.name for chain in structure[0] for residue in chain}))


def heavy_atoms(structure: gemmi.Structure) -> list[gemmi.Atom]:
    """All atoms of the first model but hydrogens, in its order; of conformers, each."""
    return [site.atom for site in structure[0].all() if not site.atom.is_hydrogen()]


def positions(structure: gemmi.Structure) -> NDArray[np.float64]:
    """Cartesian positions of the atoms but hydrogens, shape (n, 3), A."""
    found = [atom.pos.tolist() for atom in heavy_atoms(structure)]
    return np.array(found, dtype=np.float64).reshape(-1, 3)


def count_waters(structure: gemmi.Structure) -> int:
    """Number of waters of the first model."""
    return sum(residue.name == WATER for chain in structure[0] for residue in chain)


def count_parameters(structure: gemmi.Structure) -> int:
    """Positions and displacements of all atoms but hydrogens."""
    return sum(9 if atom.aniso.nonzero() else 4 for atom in heavy_atoms(structure))
