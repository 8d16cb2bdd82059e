"""The atomic model of a peptide candidate."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.peptide.geometry import Peptides

#: Atoms that a residue keeps whose side chain is not known.
TO_CB = ("N", "CA", "C", "O", "OXT", "CB")


@dataclass(frozen=True, eq=False)
class PeptideModel:
    """Atoms of one asymmetric unit in the crystal's own setting.

    Attributes
    ----------
    peptides
        Names, elements and residues of the atoms.
    xyz
        Cartesian coordinates, shape (n, 3), A.
    b_iso
        A^2, shape (n,).
    cell, space_group
        Of the crystal.
    F
        Structure factors of the data's reflections, complex, shape (n_data,), on the scale of the
        data; NaN where not measured.
    waters, waters_b
        Cartesian coordinates of waters, shape (w, 3), A, and their B, shape (w,), A^2.
    agreement
        Where the space group is one of an enantiomorphic pair (P41 and P43), which amplitudes do
        not distinguish: the best correlation of amplitudes reached in each of the two.
    truncated
        Residues, numbered along all chains from 0, that are written without the atoms beyond CB.
    """

    peptides: Peptides
    xyz: NDArray[np.float64]
    b_iso: NDArray[np.float64]
    cell: gemmi.UnitCell
    space_group: gemmi.SpaceGroup
    F: NDArray[np.complex128]
    agreement: dict[str, float] = field(default_factory=dict)
    waters: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 3)))
    waters_b: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    truncated: frozenset[int] = frozenset()

    @property
    def frac(self) -> NDArray[np.float64]:
        """Fractional coordinates, shape (n, 3)."""
        fractionalize = self.cell.fractionalize
        return np.array([fractionalize(gemmi.Position(*x)).tolist() for x in self.xyz.tolist()])

    def shifted(self, hkl: NDArray[np.int32], shift: NDArray[np.float64]) -> PeptideModel:
        """The same model with its origin moved by `shift` (fractional, shape (3,)).

        `hkl`, shape (n_data, 3), are the indices of `F`.
        """
        phase = np.exp(2j * np.pi * (hkl @ shift))
        moved = np.array(self.cell.orthogonalize(gemmi.Fractional(*shift)).tolist())
        return replace(self, xyz=self.xyz + moved, waters=self.waters + moved, F=self.F * phase)

    def to_structure(self) -> gemmi.Structure:
        """Convert to a gemmi structure: chains A, B, ..., residues from 1."""
        p = self.peptides
        structure = gemmi.Structure()
        structure.cell = self.cell
        structure.spacegroup_hm = self.space_group.xhm()
        model = gemmi.Model(1)
        first = 0
        for c, described in enumerate(p.chains):
            chain = gemmi.Chain(chr(ord("A") + c % 26))
            last = first + len(described.letters) - 1
            if described.acetyl:
                chain.add_residue(self._residue("ACE", 0, first, "ACE."))
            for i, name in enumerate(described.names):
                chain.add_residue(self._residue(name, i + 1, first + i, ""))
            if described.amide:
                chain.add_residue(self._residue("NH2", len(described.letters) + 1, last, "NH2."))
            first = last + 1
            model.add_chain(chain)
        if len(self.waters):
            model.add_chain(self._waters())
        structure.add_model(model)
        self._add_ring_bonds(structure)
        structure.setup_entities()
        structure.assign_label_seq_id()
        return structure

    def _add_ring_bonds(self, structure: gemmi.Structure) -> None:
        """Record the peptide bonds that close rings, which no order of residues implies."""
        for chain, described in zip(structure[0], self.peptides.chains, strict=False):
            if described.cyclic:
                bond = gemmi.Connection()
                bond.name = f"covale{len(structure.connections) + 1}"
                bond.type = gemmi.ConnectionType.Covale
                bond.asu = gemmi.Asu.Same
                bond.partner1 = gemmi.make_address(chain, chain[-1], chain[-1]["C"][0])
                bond.partner2 = gemmi.make_address(chain, chain[0], chain[0]["N"][0])
                structure.connections.append(bond)

    def _residue(self, name: str, number: int, row: int, prefix: str) -> gemmi.Residue:
        """The atoms of residue `row` whose names begin with `prefix`; if empty, the plain ones."""
        p = self.peptides
        residue = gemmi.Residue()
        residue.name = name
        residue.seqid = gemmi.SeqId(number, " ")
        residue.entity_type = gemmi.EntityType.Polymer
        for j in np.flatnonzero(p.residue == row).tolist():
            of_end, _, atom_name = p.names[j].rpartition(".")
            left_out = not prefix and row in self.truncated and atom_name not in TO_CB
            if of_end + "." * bool(of_end) == prefix and not left_out:
                residue.add_atom(_atom(atom_name, int(p.number[j]), self.xyz[j], self.b_iso[j]))
        return residue

    def _waters(self) -> gemmi.Chain:
        chain = gemmi.Chain("W")
        for i, (xyz, b_iso) in enumerate(zip(self.waters, self.waters_b, strict=True)):
            residue = gemmi.Residue()
            residue.name = "HOH"
            residue.seqid = gemmi.SeqId(i + 1, " ")
            residue.entity_type = gemmi.EntityType.Water
            residue.add_atom(_atom("O", 8, xyz, b_iso))
            chain.add_residue(residue)
        return chain


def _atom(name: str, number: int, xyz: NDArray[np.float64], b_iso: float) -> gemmi.Atom:
    atom = gemmi.Atom()
    atom.name = name
    atom.element = gemmi.Element(number)
    atom.pos = gemmi.Position(*xyz.tolist())
    atom.occ = 1.0
    atom.b_iso = float(b_iso)
    return atom
