"""Which ideal fragments a crystal is searched with."""

from __future__ import annotations

from crysformer.crystal.reflections import CrystalData
from crysformer.errors import NotApplicable
from crysformer.peptide.chain import letters_of
from crysformer.peptide.secondary_structure import Fragment, ideal_fragment
from crysformer.phasing.cell_content import CellContent

D_MIN = 1.3
"""Resolution (A) from which on a small part of a structure is enough to find the rest."""
VOLUME_PER_ATOM = 20.0
"""A^3, solvent included, where the content is not known."""
_HELICES, _STRAND = (18, 12, 8), 6


def fragments_for(content: CellContent, volume: float, n_operators: int) -> list[Fragment]:
    """What to look for: pieces no longer than a chain, and no larger than the asymmetric unit.

    Parameters
    ----------
    content
        Sequences, and the number of atoms in the cell, where they are known.
    volume
        Of the cell, A^3.
    n_operators
        Of the space group.
    """
    longest = max((len(letters_of(s)) for s in content.sequences), default=_HELICES[1])
    n_atoms = (content.n_atoms or volume / VOLUME_PER_ATOM) / n_operators
    long, middle, short = (("helix", n) for n in _HELICES)
    order = (long, middle, ("strand", _STRAND), short)
    pieces = [ideal_fragment(kind, n) for kind, n in order if n <= longest]
    return [piece for piece in pieces if len(piece.xyz) <= n_atoms]


def check_atomic_resolution(data: CrystalData) -> None:
    """Refuse data from which a small part of a structure does not lead to the rest.

    Raises
    ------
    NotApplicable
        If the resolution is too low, or the crystal holds both hands.
    """
    if data.d_min > D_MIN:
        raise NotApplicable(f"it needs data to {D_MIN:g} A, these end at {data.d_min:.2f}")
    if data.space_group.is_centrosymmetric():
        raise NotApplicable("the crystal holds both hands")


def check_fragments(data: CrystalData, content: CellContent) -> list[Fragment]:
    """The fragments to look for.

    Raises
    ------
    NotApplicable
        If the resolution is too low or the molecules too short.
    """
    check_atomic_resolution(data)
    found = fragments_for(content, data.cell.volume, len(data.space_group.operations()))
    if not found:
        raise NotApplicable(f"it needs chains of {_STRAND} residues or more")
    return found
