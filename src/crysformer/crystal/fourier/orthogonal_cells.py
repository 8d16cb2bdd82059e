"""Structure factors of orthogonal P1 cells on the half grid, by matrix products.

exp(2 pi i h.x), the displacement factor and the Gaussians of the scattering factors are products of
one factor an axis. Nothing is asked of the device: sizes are known beforehand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from crysformer.crystal.fourier.atom_batch import AtomBatch
from crysformer.crystal.fourier.form_factors import element_gaussians
from crysformer.crystal.fourier.precision import without_autocast
from crysformer.crystal.reflections import Radiation
from crysformer.crystal.resolution import LIMIT_TOLERANCE, within_resolution

# Largest number of (atom, k, l) products held at once: on a CPU they should fit its cache.
_MAX_CACHED, _MAX_PRODUCTS = 2**18, 2**24

#: Largest Miller indices h, k, l.
Limits = tuple[int, int, int]
#: Atomic numbers and largest number of atoms of each in a cell.
Composition = tuple[tuple[int, int], ...]


def index_limits(lengths: Sequence[float], d_min: float) -> Limits:
    """Largest Miller index along each axis to `d_min` in orthogonal cells up to `lengths`, A."""
    h, k, l = (int(length / d_min * (1 + LIMIT_TOLERANCE)) for length in lengths)  # noqa: E741
    return h, k, l


def orthogonal_grid(
    atoms: AtomBatch,
    lengths: Tensor,
    shape: tuple[int, int, int],
    d_min: float,
    limits: Limits,
    composition: Composition,
    radiation: Radiation = "xray",
) -> Tensor:
    """`structure_factor_grid` of orthogonal cells, unchecked, without waiting for the device.

    Parameters
    ----------
    atoms
        All atoms of each cell (P1 contents).
    lengths
        Cell edges, shape (B, 3), A.
    shape, d_min, radiation
        As for `structure_factor_grid`.
    limits
        Largest Miller indices, at least `index_limits` of the largest edges and below half the
        grid.
    composition
        All elements, each with a scattering factor, and the most atoms of it in any cell; further
        atoms are left out.
    """
    dtype, device = atoms.frac.dtype, atoms.frac.device
    axes = [
        torch.arange(start, limit + 1, device=device).to(dtype)
        for start, limit in zip((-limits[0], -limits[1], 0), limits, strict=True)
    ]
    # products in bfloat16 would move reflections across the limit
    with without_autocast(device):
        # quarter[i][b, n] = (contribution of axis i to 1/d^2) / 4
        quarter = [0.25 * (axis / lengths[:, i, None]) ** 2 for i, axis in enumerate(axes)]
        values = _separable(atoms, quarter, axes, composition, radiation)
        x, y, z = quarter
        d_star_sq = 4 * (x[:, :, None, None] + y[:, None, :, None] + z[:, None, None, :])
        values = torch.where(within_resolution(d_star_sq, d_min), values, 0)
    return on_half_grid(values, shape)


def on_half_grid(values: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Box (B, 2 h + 1, 2 k + 1, l + 1) of indices -h to h, -k to k, 0 to l on the half grid."""
    grid = values.new_zeros(len(values), shape[0], shape[1], shape[2] // 2 + 1)
    h, k, n = values.shape[1] // 2, values.shape[2] // 2, values.shape[3]
    rows = ((slice(0, h + 1), slice(h, None)), (slice(shape[0] - h, None), slice(0, h)))
    columns = ((slice(0, k + 1), slice(k, None)), (slice(shape[1] - k, None), slice(0, k)))
    for to_row, row in rows:
        for to_column, column in columns:
            grid[:, to_row, to_column, :n] = values[:, row, column]
    return grid


def _separable(
    atoms: AtomBatch,
    quarter: list[Tensor],
    axes: list[Tensor],
    composition: Composition,
    radiation: Radiation,
) -> Tensor:
    """Structure factors on the box of `axes` (h, k, l) in orthogonal cells, (B, H, K, L)."""
    dtype, device = atoms.frac.dtype, atoms.frac.device
    n_batch, sizes = len(atoms.frac), [len(axis) for axis in axes]
    if not composition or n_batch == 0:
        return torch.zeros(n_batch, *sizes, dtype=dtype.to_complex(), device=device)
    elements = tuple(element for element, _ in composition)
    counts = [min(count, atoms.number.shape[1]) for _, count in composition]
    numbers, a, b = element_gaussians(elements, radiation, dtype, device)
    order, weight = _by_element(atoms, numbers, counts)
    frac = torch.gather(atoms.frac, 1, order[:, :, None].expand(-1, -1, 3))
    b_iso = torch.gather(atoms.b_iso, 1, order)[:, :, None]
    most = _MAX_CACHED if device.type == "cpu" else _MAX_PRODUCTS
    n_rows = max(1, most // (max(sum(counts), len(counts) * sizes[0]) * sizes[1] * sizes[2]))
    parts = []
    for first in range(0, n_batch, n_rows):
        part = slice(first, first + n_rows)
        x, y, z = (
            torch.polar(
                torch.exp(-b_iso[part] * q[part, None, :]), 2 * math.pi * frac[part, :, i, None] * n
            )
            for i, (q, n) in enumerate(zip(quarter, axes, strict=True))
        )
        x, yz = (x * weight[part, :, None]).mT.split(counts, dim=2), outer(y, z).split(counts, 1)
        waves = torch.stack([one @ other for one, other in zip(x, yz, strict=True)], dim=1)
        u, v, w = (torch.exp(-b[:, :, None] * q[part, None, None, :]) for q in quarter)
        factors = (a[:, None, :] * u.mT) @ outer(v, w)
        parts.append((waves * factors).sum(1).unflatten(2, sizes[1:]))
    return torch.cat(parts) if len(parts) > 1 else parts[0]


def _by_element(atoms: AtomBatch, numbers: Tensor, counts: list[int]) -> tuple[Tensor, Tensor]:
    """Columns and occupancies (B, S) of `counts` atoms of each element; 0 where there is none."""
    chosen = (atoms.number[:, None, :] == numbers[:, None]) & (atoms.occupancy != 0)[:, None, :]
    first = chosen.to(torch.uint8).argsort(dim=2, descending=True, stable=True)
    occupancy = torch.where(chosen, atoms.occupancy[:, None, :], 0).gather(2, first)
    columns = [(slice(None), row, slice(0, count)) for row, count in enumerate(counts)]
    order = torch.cat([first[part] for part in columns], dim=1)
    return order, torch.cat([occupancy[part] for part in columns], dim=1)


def outer(y: Tensor, z: Tensor) -> Tensor:
    """Products y[..., j] z[..., k], flattened to (..., j * k)."""
    return (y[..., :, None] * z[..., None, :]).flatten(-2)
