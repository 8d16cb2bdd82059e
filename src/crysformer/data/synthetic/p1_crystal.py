"""P1 crystals: molecules in their cell, and their displacement parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray

from crysformer.crystal.fourier.structure_factors import AtomBatch
from crysformer.data.molecule import Molecule
from crysformer.data.recipe import Recipe
from crysformer.data.synthetic.fitted_cells import build_cells
from crysformer.data.synthetic.random_packing import pack


@dataclass(frozen=True, eq=False)
class P1Crystal:
    """P1 crystal of copies of one molecule; all cell angles are 90 degrees.

    Attributes
    ----------
    molecule
        The molecule.
    xyz
        Orthogonal coordinates of M whole copies, shape (M, N, 3), A.
    b_iso
        Displacement parameters, shape (M, N), A^2.
    cell
        The unit cell.
    """

    molecule: Molecule
    xyz: NDArray[np.float64]
    b_iso: NDArray[np.float64]
    cell: gemmi.UnitCell

    @property
    def copies(self) -> int:
        """Number of molecules."""
        return len(self.xyz)

    @property
    def sequence(self) -> str:
        """One-letter codes of all chains, separated by commas."""
        return ",".join([self.molecule.sequence] * self.copies)

    def with_b(self, low: float, high: float, rng: np.random.Generator) -> P1Crystal:
        """Return a copy with the B of each atom drawn uniformly between two values, A^2."""
        return replace(self, b_iso=rng.uniform(low, high, self.b_iso.shape))

    def atoms(self) -> AtomBatch:
        """All atoms, as a batch of one."""
        frac = self.xyz.reshape(1, -1, 3) / np.array(self.cell.parameters[:3])
        number = np.tile(self.molecule.number, self.copies)[None]
        b_iso = torch.from_numpy(self.b_iso.reshape(1, -1))
        return AtomBatch(
            torch.from_numpy(frac), torch.from_numpy(number), b_iso, torch.ones_like(b_iso)
        )

    def structure(self) -> gemmi.Structure:
        """The atoms as a gemmi structure: chains A, B, ..., residues from 1."""
        model = gemmi.Model(1)
        for copy in range(self.copies):
            model.add_chain(self._chain(copy))
        structure = gemmi.Structure()
        structure.name = self.molecule.id
        structure.cell = self.cell
        structure.spacegroup_hm = "P 1"
        structure.add_model(model)
        structure.setup_entities()
        return structure

    def _chain(self, copy: int) -> gemmi.Chain:
        chain = gemmi.Chain("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[copy])
        molecule, names = self.molecule, self.molecule.atom_names
        for i, letter in enumerate(molecule.sequence):
            residue = gemmi.Residue()
            residue.name = gemmi.expand_one_letter(letter, gemmi.ResidueKind.AA)
            residue.seqid = gemmi.SeqId(i + 1, " ")
            residue.entity_type = gemmi.EntityType.Polymer
            for j in np.flatnonzero(molecule.residue == i).tolist():
                atom = gemmi.Atom()
                atom.name = names[j]
                atom.element = gemmi.Element(int(molecule.number[j]))
                atom.pos = gemmi.Position(*self.xyz[copy, j])
                atom.occ = 1.0
                atom.b_iso = self.b_iso[copy, j]
                residue.add_atom(atom)
            chain.add_residue(residue)
        return chain


def single(molecule: Molecule, recipe: Recipe) -> P1Crystal:
    """One molecule in the recipe's cell, its centre of mass at the cell centre."""
    cells = build_cells(
        torch.from_numpy(molecule.xyz)[None], torch.from_numpy(molecule.number)[None], recipe
    )
    return _in_cell(molecule, cells.xyz.numpy(), cells.lengths[0].tolist(), recipe)


def packed(molecule: Molecule, copies: int, recipe: Recipe, rng: np.random.Generator) -> P1Crystal:
    """Several molecules packed at random into one cell, fitted or with the recipe's fixed edges.

    See `random_packing.pack`. One copy is `single`.
    """
    alone = single(molecule, recipe)
    if copies == 1:
        return alone
    lengths = np.array(alone.cell.parameters[:3])
    packing = pack(molecule.xyz, copies, lengths, recipe, rng, tight=recipe.fixed_cell is None)
    return _in_cell(molecule, packing.xyz, packing.lengths.tolist(), recipe)


def _in_cell(
    molecule: Molecule, xyz: NDArray[np.float64], lengths: Sequence[float], recipe: Recipe
) -> P1Crystal:
    a, b, c = lengths
    return P1Crystal(
        molecule=molecule,
        xyz=xyz,
        b_iso=np.full(xyz.shape[:2], recipe.b_iso),
        cell=gemmi.UnitCell(a, b, c, 90, 90, 90),
    )
