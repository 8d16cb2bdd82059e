"""Bonds of a model as a graph of its atoms."""

from __future__ import annotations

from itertools import combinations, pairwise

import gemmi

from crysformer.building.validation.conformers import linked
from crysformer.building.validation.residue_topology import bonds, parent

#: Added to the sum of covalent radii, A: longest bond in a residue that no table describes.
_TOLERANCE = 0.4
_LONGEST_DISULPHIDE = 2.5  # A


class BondGraph:
    """Bonds of the first model of a structure; atoms are named by their serial numbers.

    Bonds of standard residues are those of their kind, whatever the distance, so that atoms on top
    of each other are not taken as bonded; hydrogens and other residues are bonded by distance
    within the residue. Beside these: peptide bonds, disulphides, and the links the structure lists.

    Parameters
    ----------
    structure
        With serial numbers that are all different.

    Attributes
    ----------
    links_to_mates
        Pairs of serial numbers, in both orders, that are linked across symmetry.
    """

    def __init__(self, structure: gemmi.Structure) -> None:
        self._beside: dict[int, set[int]] = {}
        self._element: dict[int, str] = {}
        self.links_to_mates: set[tuple[int, int]] = set()
        sulphurs = []
        for chain in structure[0]:
            for residue in chain:
                self._add_residue(residue)
                sulphurs += [a for a in residue if a.element.name == "S"]
            for before, after in pairwise(chain):
                if linked(before, after):
                    self._add_pairs(
                        [a for a in before if a.name == "C"], [a for a in after if a.name == "N"]
                    )
        for one, other in combinations(sulphurs, 2):
            if one.pos.dist(other.pos) < _LONGEST_DISULPHIDE:
                self._bond(one, other)
        self._add_links(structure)

    def within(self, serial: int, bonds_apart: int) -> set[int]:
        """Atoms that at most `bonds_apart` bonds separate from one, this included."""
        reached, edge = {serial}, {serial}
        for _ in range(bonds_apart):
            edge = {near for atom in edge for near in self._beside.get(atom, ())} - reached
            reached |= edge
        return reached

    def elements_beside(self, serial: int) -> list[str]:
        """Elements of the atoms bonded to one."""
        return [self._element[near] for near in self._beside.get(serial, ())]

    def _bond(self, first: gemmi.Atom, second: gemmi.Atom) -> None:
        if first.altloc == second.altloc or "\0" in (first.altloc, second.altloc):
            self._beside.setdefault(first.serial, set()).add(second.serial)
            self._beside.setdefault(second.serial, set()).add(first.serial)

    def _add_pairs(self, first: list[gemmi.Atom], second: list[gemmi.Atom]) -> None:
        for a in first:
            for b in second:
                self._bond(a, b)

    def _add_residue(self, residue: gemmi.Residue) -> None:
        self._element |= {atom.serial: atom.element.name for atom in residue}
        name = parent(residue.name)
        known = set(bonds(name)) if name else set()
        named = {atom for pair in known for atom in pair}
        for first, second in combinations(residue, 2):
            pair = (first.name, second.name)
            if named.issuperset(pair):
                bonded = pair in known or pair[::-1] in known
            else:
                reach = first.element.covalent_r + second.element.covalent_r + _TOLERANCE
                hydrogens = first.is_hydrogen() and second.is_hydrogen()
                bonded = not hydrogens and first.pos.dist(second.pos) < reach
            if bonded:
                self._bond(first, second)

    def _add_links(self, structure: gemmi.Structure) -> None:
        for link in structure.connections:
            ends = [structure[0].find_cra(end) for end in (link.partner1, link.partner2)]
            first, second = (end.atom for end in ends)
            if first is None or second is None:
                continue
            if link.asu == gemmi.Asu.Different:
                pair = (first.serial, second.serial)
                self.links_to_mates |= {pair, pair[::-1]}
            else:
                self._bond(first, second)
