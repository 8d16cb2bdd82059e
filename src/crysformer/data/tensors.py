"""Fragments as padded tensors, and uniformly random rotations of them."""

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


def random_rotations(n: int, generator: torch.Generator) -> Tensor:
    """Uniformly distributed rotations as unit quaternions, shape (n, 4), float64, on the CPU."""
    q = torch.randn(n, 4, generator=generator, dtype=torch.float64)
    return q / q.norm(dim=1, keepdim=True)


def rotation_matrices(quaternion: Tensor) -> Tensor:
    """Rotation matrices, shape (n, 3, 3), of unit quaternions (w, x, y, z), shape (n, 4)."""
    w, x, y, z = quaternion.unbind(dim=1)
    rows = (
        torch.stack((1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)), dim=1),
        torch.stack((2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)), dim=1),
        torch.stack((2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)), dim=1),
    )
    return torch.stack(rows, dim=1)
