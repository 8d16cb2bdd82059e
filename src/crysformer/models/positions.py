"""Positions of map tokens in the cell."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from crysformer.errors import UsageError
from crysformer.models.layers import Grid


class TablePositions(nn.Module):
    """The paper's learned embedding, one table for each axis, for cells of any size.

    Parameters
    ----------
    width
        Token width D.
    max_patches
        Maximum number of patches along an axis.
    """

    def __init__(self, width: int, max_patches: int) -> None:
        super().__init__()
        self.tables = nn.Parameter(0.02 * torch.randn(3, max_patches, width))

    def forward(self, grid: Grid, lengths: Tensor) -> Tensor:
        """Embeddings (1, N, D) of a grid of patches."""
        nu, nv, nw = grid
        if max(grid) > self.tables.shape[1]:
            raise UsageError(
                f"{max(grid)} patches along an axis, the network's tables have "
                f"{self.tables.shape[1]} (model.max_patches): the cell is too large for it"
            )
        u, v, w = self.tables
        total = u[:nu, None, None] + v[None, :nv, None] + w[None, None, :nw]
        return total.reshape(1, nu * nv * nw, -1)

    def rotation(self, grid: Grid, lengths: Tensor) -> None:
        """No rotary positions."""
        return


class MetricPositions(nn.Module):
    """Positions in A from the cell centre: as features of each token, and as rotary angles.

    Distances have the same meaning in every cell, so that learning transfers between cells.

    Parameters
    ----------
    width
        Token width D.
    head_width
        Width of an attention head; its pairs are divided among the three axes.
    """

    #: Wavelengths of the features, A.
    _WAVELENGTHS = (24.0, 16.0, 12.0, 8.0, 6.0, 4.5, 3.5, 2.5)
    #: Typical cell edge and its spread, A: brings the edges near zero mean and unit variance.
    _EDGE, _EDGE_SPREAD = 9.0, 3.0

    def __init__(self, width: int, head_width: int) -> None:
        super().__init__()
        n_pairs = head_width // 2
        self.embed = nn.Sequential(
            nn.Linear(6 * len(self._WAVELENGTHS) + 3, 128), nn.GELU(), nn.Linear(128, width)
        )
        rotary = torch.logspace(math.log10(3.0), math.log10(24.0), n_pairs // 3)
        self.register_buffer("_rotary", 2 * math.pi / rotary, persistent=False)
        features = 2 * math.pi / torch.tensor(self._WAVELENGTHS)
        self.register_buffer("_features", features, persistent=False)
        self._unused_pairs = n_pairs - 3 * (n_pairs // 3)

    _rotary: Tensor
    _features: Tensor

    def forward(self, grid: Grid, lengths: Tensor) -> Tensor:
        """Embeddings (B, N, D) of a grid of patches in cells of edges `lengths` (B, 3), A."""
        angle = patch_centres(grid, lengths)[..., None] * self._features
        edges = ((lengths - self._EDGE) / self._EDGE_SPREAD)[:, None].expand(-1, angle.shape[1], -1)
        embedded: Tensor = self.embed(
            torch.cat((angle.sin().flatten(2), angle.cos().flatten(2), edges), dim=-1)
        )
        return embedded

    def rotation(self, grid: Grid, lengths: Tensor) -> Tensor:
        """Rotary angles (B, 1, N, head_width / 2), radians."""
        angle = (patch_centres(grid, lengths)[..., None] * self._rotary).flatten(2)
        return functional.pad(angle, (0, self._unused_pairs))[:, None]


def patch_centres(grid: Grid, lengths: Tensor) -> Tensor:
    """Positions of patch centres from the cell centre, (B, N, 3), A, last axis fastest."""
    axes = [
        ((torch.arange(n, device=lengths.device) + 0.5) / n - 0.5) * lengths[:, i : i + 1]
        for i, n in enumerate(grid)
    ]
    nu, nv, nw = grid
    shape = (len(lengths), nu, nv, nw)
    u = axes[0][:, :, None, None].expand(shape)
    v = axes[1][:, None, :, None].expand(shape)
    w = axes[2][:, None, None, :].expand(shape)
    return torch.stack((u, v, w), dim=-1).flatten(1, 3)
