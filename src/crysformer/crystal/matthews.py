"""Solvent content and Matthews coefficient of a crystal, from its cell and its sequences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import gemmi

from crysformer.crystal.cell_composition import count_atoms
from crysformer.crystal.molecular_formula import heavy_atoms
from crysformer.peptide.chain import MODIFIED, parse_chain
from crysformer.peptide.modified_residues import modified_composition

_WATER: Final = 18.015
#: Masses that blocking groups add to a free end, Da.
_ACETYL, _AMIDE = 42.037, -0.984
#: Hydrogens for each other atom of a residue that has no model, Da: about one, as in proteins.
_HYDROGENS: Final = 1.008
#: Specific volume of protein, and about that of organic crystals, A^3/Da (Matthews, J. Mol. Biol.
#: 33, 491, 1968).
_PROTEIN_VOLUME: Final = 1.23


@dataclass(frozen=True)
class SolventContent:
    """Solvent content of a crystal.

    Attributes
    ----------
    copies
        Copies of all chains in the asymmetric unit.
    volume_per_atom
        Volume of the asymmetric unit for each atom but hydrogen, A^3.
    matthews
        Matthews coefficient, A^3/Da.
    solvent
        Fraction of the volume that is not protein, not below 0.
    """

    copies: int
    volume_per_atom: float
    matthews: float
    solvent: float


def solvent_content(
    cell: gemmi.UnitCell, space_group: gemmi.SpaceGroup, sequences: Sequence[str], copies: int
) -> SolventContent:
    """Matthews coefficient and solvent fraction of `copies` copies of the chains (at least one)."""
    mass = sum(chain_mass(sequence) for sequence in sequences)
    return _content(cell, space_group, mass, count_atoms(sequences), copies)


def formula_content(
    cell: gemmi.UnitCell, space_group: gemmi.SpaceGroup, formula: Mapping[str, int], copies: int
) -> SolventContent:
    """The same for `copies` molecules of a formula (`crysformer.crystal.molecular_formula`)."""
    mass = sum(gemmi.Element(name).weight * count for name, count in formula.items())
    return _content(cell, space_group, mass, sum(heavy_atoms(formula).values()), copies)


def _content(
    cell: gemmi.UnitCell, space_group: gemmi.SpaceGroup, mass: float, atoms: int, copies: int
) -> SolventContent:
    volume = cell.volume / len(space_group.operations()) / copies
    return SolventContent(
        copies=copies,
        volume_per_atom=volume / atoms,
        matthews=volume / mass,
        solvent=max(0.0, 1 - _PROTEIN_VOLUME * mass / volume),
    )


def chain_mass(sequence: str) -> float:
    """Mass of one chain with all its hydrogens (basic residues protonated), Da.

    Raises
    ------
    InputError
        If the chain is not written as `crysformer.peptide.chain.parse_chain` reads it.
    """
    chain = parse_chain(sequence)
    modelled = chain.letters.replace(MODIFIED, "")
    names = gemmi.expand_one_letter_sequence(modelled, gemmi.ResidueKind.AA)
    residues = sum(gemmi.find_tabulated_residue(name).weight - _WATER for name in names)
    residues += sum(
        count * (gemmi.Element(element).weight + _HYDROGENS)
        for name in chain.modified
        for element, count in modified_composition(name).items()
    )
    ends = _WATER * (not chain.cyclic) + _ACETYL * chain.acetyl + _AMIDE * chain.amide
    return float(residues + ends)
