"""Atoms of a batch of cells as tensors."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass
class AtomBatch:
    """The atoms of a batch of P1 cells, padded to one length.

    Attributes
    ----------
    frac
        Fractional coordinates, shape (B, N, 3), float32 or float64: the dtype of all results.
    number
        Atomic numbers, shape (B, N), int64.
    b_iso
        Isotropic displacement parameters, shape (B, N), A^2.
    occupancy
        Shape (B, N); 0 marks padding.
    """

    frac: Tensor
    number: Tensor
    b_iso: Tensor
    occupancy: Tensor

    def to(
        self, device: torch.device | str | None = None, dtype: torch.dtype | None = None
    ) -> AtomBatch:
        """The same atoms on another device or in another floating-point type."""
        return AtomBatch(
            frac=self.frac.to(device=device, dtype=dtype),
            number=self.number.to(device=device),
            b_iso=self.b_iso.to(device=device, dtype=dtype),
            occupancy=self.occupancy.to(device=device, dtype=dtype),
        )
