"""Bonds, bond angles and side-chain torsions of the standard residues and their D forms."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from crysformer.peptide import residues
from crysformer.peptide.geometry import build_peptides

Names = tuple[str, ...]

_PARENT: Final = {residues.D_NAME_OF[code]: residues.NAME_OF[code] for code in residues.D_NAME_OF}
_LETTER: Final = {name: code for code, name in residues.NAME_OF.items()}
#: Last torsions of these residues repeat after 180 degrees: their two ends are the same.
_TWOFOLD: Final = {("ASP", 2), ("GLU", 3), ("PHE", 2), ("TYR", 2)}
#: Torsion that the ring of proline leaves two values.
_PROLINE_CHI: Final = (("N", "CA", "CB", "CG"),)


def parent(name: str) -> str | None:
    """Three-letter name of the standard residue that a residue is, or is the D form of."""
    name = _PARENT.get(name, name)
    return name if name in _LETTER else None


def is_d(name: str) -> bool:
    """Test for the name of a D residue."""
    return name in _PARENT


@lru_cache(maxsize=32)
def bonds(name: str) -> tuple[Names, ...]:
    """Bonded pairs of the heavy atoms of a standard residue, with OXT."""
    peptide = build_peptides((_LETTER[name],))
    return tuple((peptide.names[a], peptide.names[b]) for a, b in peptide.bonds)


@lru_cache(maxsize=32)
def angles(name: str) -> tuple[Names, ...]:
    """Bond angles of the heavy atoms of a standard residue, with OXT: the vertex is second."""
    linked: dict[str, list[str]] = {}
    for a, b in bonds(name):
        linked.setdefault(a, []).append(b)
        linked.setdefault(b, []).append(a)
    return tuple(
        (near[i], vertex, near[j])
        for vertex, near in linked.items()
        for i in range(len(near))
        for j in range(i + 1, len(near))
    )


@lru_cache(maxsize=32)
def chi_atoms(name: str) -> tuple[Names, ...]:
    """Atoms of the torsions chi 1, chi 2, ... of a standard residue (IUPAC)."""
    if name == "PRO":
        return _PROLINE_CHI
    peptide = build_peptides((_LETTER[name],))
    return tuple(
        tuple(peptide.names[i] for i in torsion.atoms)
        for torsion in peptide.torsions
        if torsion.kind.startswith("chi")
    )


def chi_period(name: str, number: int) -> float:
    """Degrees after which torsion chi `number`, from 1, repeats."""
    return 180.0 if (name, number) in _TWOFOLD else 360.0
