"""Examples sorted by the grid of their maps, on the device that makes them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from crysformer.crystal.fourier.grids import Shape, grid_shape, smooth_size
from crysformer.crystal.fourier.orthogonal_cells import Limits, index_limits


@dataclass(frozen=True, eq=False)
class GridGroup:
    """Examples of one grid.

    Attributes
    ----------
    rows
        Rows of the pool, shape (n,), int64, in order.
    shape
        The grid.
    limits
        Largest Miller indices of any example of the pool on this grid.
    """

    rows: Tensor
    shape: Shape
    limits: Limits


class Grids:
    """The grids of orthogonal cells as numbers, computed for many cells at once.

    Parameters
    ----------
    longest
        Upper bound of the cell edges, A.
    d_min, sample_rate, multiple_of
        As for `grid_shape`, which gives the same grids.
    static
        Grids to use instead: every cell gets the smallest of them that is as fine as needed; cells
        too large for all of them keep their own.
    device
        Device of the cells.

    Raises
    ------
    ValueError
        If a static grid is not a multiple of `multiple_of`.
    """

    def __init__(
        self,
        longest: float,
        d_min: float,
        sample_rate: float,
        multiple_of: int,
        static: Sequence[Shape] = (),
        device: torch.device | str = "cpu",
    ) -> None:
        self._longest, self._d_min = longest, d_min
        self._sample_rate, self._multiple_of = sample_rate, multiple_of
        if any(n % multiple_of for shape in static for n in shape):
            raise ValueError(f"static grids {list(static)}: expected multiples of {multiple_of}")
        self._static = sorted(static, key=math.prod)
        # the i-th size of an axis, and the rank in this list for a number of patches needed
        largest = grid_shape((longest,) * 3, d_min, sample_rate, multiple_of)[0] // multiple_of
        smooth = [smooth_size(n) for n in range(largest + 1)]
        patches = sorted(set(smooth))
        self._sizes = [multiple_of * n for n in patches]
        self._size_of_rank = torch.tensor(self._sizes, device=device)
        self._rank = torch.tensor([patches.index(n) for n in smooth], device=device)
        self._static_sizes = torch.tensor(self._static, device=device).reshape(-1, 3)

    def numbers(self, lengths: Tensor) -> Tensor:
        """Number of the grid of each cell with these edges (B, 3), A; shape (B,), int64."""
        exact = lengths if lengths.device.type == "mps" else lengths.double()
        spacing = exact * self._sample_rate / self._d_min - 1e-6
        nyquist = 2 * (exact / self._d_min + 1e-4).floor() + 1
        patches = (torch.maximum(spacing, nyquist) / self._multiple_of).ceil().long()
        rank = self._rank[patches.clamp_max(len(self._rank) - 1)]
        n = len(self._sizes)
        own = (rank[:, 0] * n + rank[:, 1]) * n + rank[:, 2]
        if not self._static:
            return own
        size = self._size_of_rank[rank]
        fits = (size[:, None, :] <= self._static_sizes).all(dim=2)
        return torch.where(fits.any(dim=1), n**3 + fits.to(torch.uint8).argmax(dim=1), own)

    def shape(self, number: int) -> Shape:
        """Grid of a number."""
        n = len(self._sizes)
        if number >= n**3:
            return self._static[number - n**3]
        return self._sizes[number // n**2], self._sizes[number // n % n], self._sizes[number % n]

    def groups(self, lengths: Tensor, kept: Tensor | None = None) -> list[GridGroup]:
        """Sort cells by grid, in order of first appearance; this waits for the device once.

        Parameters
        ----------
        lengths
            Cell edges, shape (B, 3), A.
        kept
            Cells to use, shape (B,), bool; None: all.

        Raises
        ------
        ValueError
            If a cell is longer than it could be.
        """
        n = len(self._sizes) ** 3 + len(self._static)
        number = self.numbers(lengths)
        if kept is not None:
            number = torch.where(kept, number, n)
        row = torch.arange(len(number), device=number.device)
        count = torch.zeros(n + 1, dtype=torch.int64, device=number.device)
        count.scatter_add_(0, number, torch.ones_like(row))
        first = torch.full_like(count, len(number)).scatter_reduce_(0, number, row, "amin")
        longest = lengths.new_zeros(n + 1, 3)
        longest.scatter_reduce_(0, number[:, None].expand(-1, 3), lengths, "amax")
        order = number.argsort(stable=True)
        # single precision holds the counts of any pool that fits a device
        table = torch.cat((count[:, None].to(lengths), first[:, None].to(lengths), longest), dim=1)
        host = table.cpu().numpy().astype(np.float64)
        if host[:, 2:].max() > self._longest * (1 + 1e-6):
            raise ValueError(f"a cell of {host[:, 2:].max()} A, expected {self._longest} at most")
        begin = np.concatenate(([0], np.cumsum(host[:, 0]))).astype(np.int64)
        used = np.flatnonzero(host[:n, 0])
        return [
            GridGroup(
                order[begin[i] : begin[i + 1]],
                self.shape(int(i)),
                index_limits(host[i, 2:].tolist(), self._d_min),
            )
            for i in used[np.argsort(host[used, 1], kind="stable")]
        ]
