"""Fragments as padded tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from crysformer.data.store import FragmentTable


class FragmentTensors:
    """A fragment table as flat tensors on the device that makes examples."""

    def __init__(
        self, table: FragmentTable, device: torch.device | str, dtype: torch.dtype = torch.float32
    ) -> None:
        self.xyz = torch.from_numpy(table.xyz).to(device, dtype)
        self.number = torch.from_numpy(table.number).to(device, torch.int64)
        self.offset = torch.from_numpy(table.offset).to(device)
        self.codes = torch.from_numpy(table.codes).to(device, torch.int64)

    def __len__(self) -> int:
        return len(self.codes)

    def gather(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Padded coordinates (B, N, 3), A, and atomic numbers (B, N), 0 for padding."""
        begin = self.offset[index]
        count = self.offset[index + 1] - begin
        position = torch.arange(int(count.max()), device=index.device)
        present = position < count[:, None]
        row = torch.where(present, begin[:, None] + position, begin[:, None])
        return self.xyz[row], torch.where(present, self.number[row], 0)
