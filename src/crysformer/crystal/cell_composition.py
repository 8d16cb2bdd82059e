"""Composition of sequences and of the unit cell, and the number of copies it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import gemmi

from crysformer.crystal.molecular_formula import heavy_atoms
from crysformer.errors import InputError, UsageError
from crysformer.peptide.chain import letters_of, parse_chain
from crysformer.wording import counted

#: Smallest volume for each atom but hydrogen in any crystal, A^3 (solvent-free peptides: 16).
MIN_VOLUME_PER_ATOM: Final = 10.0
#: Usual in crystals of small molecules, A^3 (Kempster & Lipson, Acta Cryst. B28, 3674, 1972).
USUAL_VOLUME_PER_ATOM: Final = 18.0
#: Usual values in peptide crystals (little solvent) and in protein crystals (half solvent), A^3.
_PEPTIDE_VOLUME_PER_ATOM: Final = 19.0
_PROTEIN_VOLUME_PER_ATOM: Final = 35.0
#: Residues in all chains together up to which the first applies, and from which the second.
_PEPTIDE_RESIDUES: Final = 6
_PROTEIN_RESIDUES: Final = 30


def composition(sequence: str) -> dict[str, int]:
    """Atoms of one chain by element, hydrogen left out, the terminal OXT counted.

    Parameters
    ----------
    sequence
        One-letter codes of one chain, as `read_sequences` returns them.
    """
    return parse_chain(sequence).composition()


def cell_composition(
    space_group: gemmi.SpaceGroup, sequences: Sequence[str], copies: int
) -> dict[str, int]:
    """Atoms of the whole unit cell by element, hydrogen left out.

    `copies` are of all chains, in the asymmetric unit.
    """
    total: Counter[str] = Counter()
    for sequence in sequences:
        total.update(composition(sequence))
    images = copies * len(space_group.operations())
    return {element: images * count for element, count in total.items()}


def count_atoms(sequences: Sequence[str]) -> int:
    """Number of atoms without hydrogen in one copy of all chains, terminal OXT included."""
    return sum(sum(composition(sequence).values()) for sequence in sequences)


@dataclass(frozen=True)
class CopyEstimate:
    """Estimate of the number of copies of the given chains in the asymmetric unit.

    Attributes
    ----------
    copies
        The number, at least 1.
    volume_per_atom
        A^3 of the asymmetric unit for each atom but hydrogen, with that many copies.
    statement
        One sentence for the user.
    """

    copies: int
    volume_per_atom: float
    statement: str


def estimate_copies(
    cell: gemmi.UnitCell, space_group: gemmi.SpaceGroup, sequences: Sequence[str]
) -> CopyEstimate:
    """Estimate the copies of all chains in the asymmetric unit from the volume for each atom.

    Small peptides crystallise with little solvent, near 19 A^3 for each atom but hydrogen;
    proteins with about half solvent, near 35 A^3 (Matthews, 1968: 2.5 A^3/Da); in between the
    volume is interpolated linearly. The number of copies whose volume is nearest on a logarithmic
    scale is taken. A P 1 cell with three right angles, which is rare in nature but which data sets
    of single molecules use at any size, counts as one copy.

    Parameters
    ----------
    cell, space_group
        Of the crystal.
    sequences
        The chains of one copy.

    Raises
    ------
    InputError
        If not even one copy fits (see `check_fits`).
    """
    check_fits(cell, space_group, sequences)
    residues = sum(len(letters_of(sequence)) for sequence in sequences)
    fraction = (residues - _PEPTIDE_RESIDUES) / (_PROTEIN_RESIDUES - _PEPTIDE_RESIDUES)
    usual = _PEPTIDE_VOLUME_PER_ATOM + min(max(fraction, 0.0), 1.0) * (
        _PROTEIN_VOLUME_PER_ATOM - _PEPTIDE_VOLUME_PER_ATOM
    )
    return _estimated(cell, space_group, count_atoms(sequences), usual, "this size")


def estimate_formula_copies(
    cell: gemmi.UnitCell, space_group: gemmi.SpaceGroup, formula: Mapping[str, int]
) -> CopyEstimate:
    """Estimate the molecules of a formula in the asymmetric unit, as `estimate_copies`.

    Crystals of small molecules have 18 A^3 for each atom but hydrogen.

    Raises
    ------
    InputError
        If not even one copy fits.
    """
    check_formula_fits(cell, space_group, formula)
    atoms = sum(heavy_atoms(formula).values())
    return _estimated(cell, space_group, atoms, USUAL_VOLUME_PER_ATOM, "small molecules")


def _estimated(
    cell: gemmi.UnitCell, space_group: gemmi.SpaceGroup, atoms: int, usual: float, crystals: str
) -> CopyEstimate:
    """Copies of so many atoms, from their usual volume in crystals of a kind."""
    volume = _asu_volume(cell, space_group)
    if space_group.number == 1 and cell.alpha == cell.beta == cell.gamma == 90.0:
        per_atom = volume / atoms
        return CopyEstimate(
            1,
            per_atom,
            f"1 copy assumed: a P 1 cell with three right angles is taken to hold one molecule "
            f"({per_atom:.0f} A^3 for each atom); `copies` N to change",
        )
    ideal = volume / (atoms * usual)
    low = max(1, int(ideal))
    # Nearest on a logarithmic scale: the border between n and n + 1 is their geometric mean.
    copies = low + 1 if ideal * ideal > low * (low + 1) else low
    per_atom = volume / (atoms * copies)
    copies_are = counted(copies, "copy", "copies")
    return CopyEstimate(
        copies,
        per_atom,
        f"{copies_are} in the asymmetric unit, estimated from {per_atom:.1f} A^3 for each atom "
        f"(usual for {crystals}: {usual:.0f}); `copies` N to change",
    )


def check_fits(
    cell: gemmi.UnitCell,
    space_group: gemmi.SpaceGroup,
    sequences: Sequence[str],
    copies: int = 1,
) -> None:
    """Refuse more atoms than any crystal of this cell could hold.

    Raises
    ------
    InputError
        If the asymmetric unit offers less than `MIN_VOLUME_PER_ATOM` for each atom.
    UsageError
        If `copies` is below 1.
    """
    what = "the sequence has" if copies == 1 else f"{copies} copies of the sequence have"
    _check_room(cell, space_group, copies * count_atoms(sequences), copies, what, "the sequence")


def check_formula_fits(
    cell: gemmi.UnitCell,
    space_group: gemmi.SpaceGroup,
    formula: Mapping[str, int],
    copies: int = 1,
) -> None:
    """Refuse more molecules than any crystal of this cell could hold, as `check_fits`.

    Raises
    ------
    InputError, UsageError
        As `check_fits`.
    """
    atoms = copies * sum(heavy_atoms(formula).values())
    what = "the composition has" if copies == 1 else f"{copies} copies of the composition have"
    advice = "the composition (of half a molecule, if that lies on a symmetry element)"
    _check_room(cell, space_group, atoms, copies, what, advice)


def _check_room(
    cell: gemmi.UnitCell,
    space_group: gemmi.SpaceGroup,
    atoms: int,
    copies: int,
    what: str,
    advice: str,
) -> None:
    if copies < 1:
        raise UsageError(f"`copies` is {copies}: expected at least 1")
    volume = _asu_volume(cell, space_group)
    if volume < MIN_VOLUME_PER_ATOM * atoms:
        raise InputError(
            f"{what} {atoms} atoms, but the asymmetric unit of {volume:.0f} A^3 "
            f"({space_group.xhm()}) holds at most {int(volume / MIN_VOLUME_PER_ATOM)}; check "
            f"{advice}, the copies, and the cell"
        )


def _asu_volume(cell: gemmi.UnitCell, space_group: gemmi.SpaceGroup) -> float:
    return float(cell.volume) / len(space_group.operations())
