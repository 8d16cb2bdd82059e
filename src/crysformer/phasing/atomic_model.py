"""Atoms of one element with one B."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, eq=False)
class EqualAtoms:
    """A batch of structures of equal atoms.

    Attributes
    ----------
    frac
        Fractional coordinates, shape (B, N, 3).
    occupancy
        Shape (B, N), relative to nitrogen.
    b_iso
        Common B of the atoms of each structure, shape (B,), A^2.
    """

    frac: Tensor
    occupancy: Tensor
    b_iso: Tensor

    def __getitem__(self, rows: Tensor | slice) -> EqualAtoms:
        """Some structures of the batch."""
        return EqualAtoms(self.frac[rows], self.occupancy[rows], self.b_iso[rows])
