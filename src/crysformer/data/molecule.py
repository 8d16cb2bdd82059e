"""One peptide of a data set, taken out of its crystal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crysformer.peptide import residues


@dataclass(frozen=True, eq=False)
class Molecule:
    """Complete residues, one after the other.

    Attributes
    ----------
    id
        Id of the fragment in its data set.
    sequence
        One-letter codes. They define the atoms, in the order of `residues.ATOMS`.
    xyz
        Coordinates, any origin and orientation, shape (N, 3), float64, A.
    """

    id: str
    sequence: str
    xyz: NDArray[np.float64]

    @property
    def number(self) -> NDArray[np.int64]:
        """Atomic numbers, shape (N,)."""
        flat = residues.NUMBERS[residues.encode(self.sequence)].ravel()
        return flat[flat > 0].astype(np.int64)

    @property
    def atom_names(self) -> list[str]:
        """Names of the atoms."""
        return residues.atom_names(self.sequence)

    @property
    def residue(self) -> NDArray[np.int64]:
        """Index of the residue of each atom, from 0, shape (N,)."""
        counts = residues.N_ATOMS[residues.encode(self.sequence)]
        return np.repeat(np.arange(len(self.sequence)), counts)

    def first(self, n_residues: int) -> Molecule:
        """The first `n_residues` residues, as a fragment of its own.

        Raises
        ------
        ValueError
            If there are fewer.
        """
        if not 1 <= n_residues <= len(self.sequence):
            raise ValueError(f"{self.id}: {len(self.sequence)} residues, {n_residues} asked for")
        if n_residues == len(self.sequence):
            return self
        kept = self.residue < n_residues
        return Molecule(f"{self.id}:{n_residues}", self.sequence[:n_residues], self.xyz[kept])
