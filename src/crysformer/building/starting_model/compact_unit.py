"""Chains and waters moved to symmetry mates that touch each other: one compact asymmetric unit."""

from __future__ import annotations

import itertools
from typing import Final

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.operators import operators
from crysformer.crystal.unit_cell import frac_matrix, orth_matrix

_CONTACT: Final = 5.0  # A, distance of two atoms that touch
_SHIFTS: Final = np.array(list(itertools.product((-1, 0, 1), repeat=3)))


def compact_unit(structure: gemmi.Structure) -> gemmi.Structure:
    """Copy of a model whose parts are the mates nearest to each other.

    The longest chain comes first and stays, but for a lattice translation that puts its centre
    into the unit cell. Each other chain is replaced by the mate with the most contacts to those
    before, then each water by the one nearest to a chain. Chains are named A, B and so on, as they
    were before. Atoms must be isotropic, because displacement tensors are not turned.

    Parameters
    ----------
    structure
        With cell and space group.
    """
    moved = structure.clone()
    group = gemmi.SpaceGroup(structure.spacegroup_hm)
    mover = _Mover(structure.cell, group)
    polymers, others = [], []
    for chain in moved[0]:
        if any(residue.entity_type == gemmi.EntityType.Polymer for residue in chain):
            polymers.append(list(chain))
        else:
            others += [[residue] for residue in chain]
    polymers.sort(key=lambda part: -sum(len(residue) for residue in part))
    placed = np.zeros((0, 3))
    for part in polymers:
        atoms = [atom for residue in part for atom in residue]
        placed = mover.place(atoms, placed, first=not len(placed))
    of_chains = placed
    for part in others:
        mover.place([atom for residue in part for atom in residue], of_chains, first=False)
    return moved


class _Mover:
    """Mates of groups of atoms in one crystal."""

    def __init__(self, cell: gemmi.UnitCell, group: gemmi.SpaceGroup) -> None:
        self.orth, self.to_frac = orth_matrix(cell), frac_matrix(cell)
        self.operators = list(operators(group, centred=True))

    def place(
        self, atoms: list[gemmi.Atom], placed: NDArray[np.float64], *, first: bool
    ) -> NDArray[np.float64]:
        """Move atoms to their best mate; Cartesian positions with those `placed` before, (m, 3)."""
        if not atoms:
            return placed
        frac = np.array([atom.pos.tolist() for atom in atoms]) @ self.to_frac.T
        if first or not len(placed):
            best = (frac - np.floor(frac.mean(axis=0))) @ self.orth.T
        else:
            centre = (placed @ self.to_frac.T).mean(axis=0)
            mates = []
            for rotation, shift in self.operators:
                mate = frac @ rotation.T + shift
                mate -= np.round(mate.mean(axis=0) - centre)
                mates += [(mate + step) @ self.orth.T for step in _SHIFTS]
            best = max(mates, key=lambda mate: _closeness(mate, placed))
        for atom, position in zip(atoms, best.tolist(), strict=True):
            atom.pos = gemmi.Position(*position)
        return np.concatenate((placed, best))


def _closeness(mate: NDArray[np.float64], placed: NDArray[np.float64]) -> tuple[int, float]:
    """Pairs of atoms in contact, and minus the shortest distance, A."""
    distance = np.linalg.norm(mate[:, None] - placed[None], axis=-1)
    return int((distance < _CONTACT).sum()), -float(distance.min())
