"""Residues and atoms of a gemmi structure, as the rooms of building look at them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.peptide.residues import LETTER_OF

WATER: Final = "HOH"
B_PER_U: Final = 8 * math.pi**2
"""B to the mean square displacement U."""
_FEW_ATOMS: Final = 0.02  # fraction of atoms that may reach a least B


def residue_letter(name: str) -> str | None:
    """One-letter code of one of the twenty residues, L or D, by its three-letter name."""
    return LETTER_OF.get(name)


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


def is_anisotropic(structure: gemmi.Structure) -> bool:
    """Test for anisotropic B of atoms other than hydrogens."""
    return any(atom.aniso.nonzero() for atom in heavy_atoms(structure))


def mean_b(structure: gemmi.Structure) -> float:
    """Mean B of all atoms, hydrogens included, occupancies as weights, A^2."""
    atoms = [site.atom for site in structure[0].all()]
    occupancy = np.array([atom.occ for atom in atoms])
    b = np.array([atom.b_iso for atom in atoms])
    return float((occupancy * b).sum() / max(occupancy.sum(), 1e-9))


def add_b(structure: gemmi.Structure, b: float, least: float) -> float:
    """Add to the B factors (A^2) of all atoms alike, in place; returns what was added.

    As much as leaves all atoms but a few at the least B or above: differences between atoms are
    kept, and so is the agreement with the amplitudes.
    """
    atoms = [cra.atom for cra in structure[0].all()]
    lowest = np.array([_lowest_b(atom) for atom in atoms])
    room = min(0.0, least - float(np.quantile(lowest, _FEW_ATOMS)))
    added = max(b, room)
    for atom, low in zip(atoms, lowest.tolist(), strict=True):
        step = max(added, min(0.0, least - low))
        atom.b_iso += step
        if atom.aniso.nonzero():
            atom.aniso = atom.aniso.added_kI(step / B_PER_U)
    return added


def _lowest_b(atom: gemmi.Atom) -> float:
    """B of an atom in the direction where it is least, A^2."""
    if not atom.aniso.nonzero():
        return float(atom.b_iso)
    return float(B_PER_U * min(atom.aniso.calculate_eigenvalues()))
