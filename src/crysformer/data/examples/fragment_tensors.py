"""Fragments as padded tensors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from crysformer.data.store import FragmentTable


class FragmentTensors:
    """A fragment table as flat tensors on the device that makes examples.

    Attributes
    ----------
    n_atoms
        Largest number of atoms of any fragment: padded tensors always have this many columns.
    composition
        Atomic numbers in the table and the largest number of atoms of each in any fragment.
    longest
        Upper bound of the distance of two atoms of one fragment, A.
    """

    def __init__(
        self, table: FragmentTable, device: torch.device | str, dtype: torch.dtype = torch.float32
    ) -> None:
        self.xyz = torch.from_numpy(table.xyz).to(device, dtype)
        self.number = torch.from_numpy(table.number).to(device, torch.int64)
        self.offset = torch.from_numpy(table.offset).to(device)
        self.codes = torch.from_numpy(table.codes).to(device, torch.int64)
        # Known beforehand, so that nothing waits for the device to count.
        begin = table.offset[:-1]
        self.n_atoms = int(np.diff(table.offset).max(initial=0))
        self.composition: tuple[tuple[int, int], ...] = ()
        self.longest = 0.0
        if len(begin):
            self.composition = tuple(
                (int(z), int(np.add.reduceat((table.number == z).astype(np.int64), begin).max()))
                for z in np.unique(table.number)
            )
            extent = np.maximum.reduceat(table.xyz, begin) - np.minimum.reduceat(table.xyz, begin)
            self.longest = float(np.linalg.norm(extent, axis=1).max())
        self._column = torch.arange(self.n_atoms, device=device)

    def __len__(self) -> int:
        return len(self.codes)

    def gather(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Padded coordinates (B, N, 3), A, and atomic numbers (B, N), 0 for padding."""
        begin = self.offset[index]
        count = self.offset[index + 1] - begin
        present = self._column < count[:, None]
        row = torch.where(present, begin[:, None] + self._column, begin[:, None])
        return self.xyz[row], torch.where(present, self.number[row], 0)
