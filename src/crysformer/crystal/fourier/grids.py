"""Grids, density and Patterson maps, and reflection lists on the reciprocal grid.

The half grid used throughout is the layout of `torch.fft.rfftn`: index h mod nu, k mod nv, and
0 <= l <= nw // 2. Its values are F(h) = sum f exp(+2 pi i h.x).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from crysformer.crystal.fourier.grid_shapes import Shape as Shape
from crysformer.crystal.fourier.grid_shapes import grid_shape as grid_shape
from crysformer.crystal.fourier.grid_shapes import smooth_size as smooth_size
from crysformer.crystal.fourier.structure_factors import reciprocal_metric

#: Axes of the grid in a batch of maps.
DIMS = (-3, -2, -1)


def _per_cell(volume: Tensor | float, grid: Tensor) -> Tensor:
    """Volumes, scalar or (B,), shaped to multiply a batch of grids."""
    return torch.as_tensor(volume, dtype=grid.real.dtype, device=grid.device).reshape(-1, 1, 1, 1)


def real_space(F: Tensor, shape: Shape) -> Tensor:
    """Map sum F(h) exp(-2 pi i h.x) / n of a half grid, without the scale of a density.

    Parameters
    ----------
    F
        Half grid, complex, shape (..., nu, nv, nw // 2 + 1).
    shape
        (nu, nv, nw), n points in all.

    Returns
    -------
    Tensor
        Real, shape (..., nu, nv, nw).
    """
    return torch.fft.irfftn(F.conj(), s=shape, dim=DIMS)


def half_grid_of(rho: Tensor) -> Tensor:
    """Half grid of a real map, shape (..., nu, nv, nw): inverse of `real_space`."""
    return torch.fft.rfftn(rho, dim=DIMS).conj()


def density_from_grid(F: Tensor, shape: Shape, volume: Tensor | float) -> Tensor:
    """Density rho(x) = (1/V) sum F(h) exp(-2 pi i h.x) on the grid `shape`.

    Parameters
    ----------
    F
        Half grid, complex, shape (B, nu, nv, nw // 2 + 1), electrons.
    shape
        (nu, nv, nw).
    volume
        Cell volumes, A^3, scalar or (B,).

    Returns
    -------
    Tensor
        Shape (B, nu, nv, nw), e/A^3.
    """
    rho = real_space(F, shape)
    return rho * (math.prod(shape) / _per_cell(volume, F))


def grid_from_density(rho: Tensor, volume: Tensor | float) -> Tensor:
    """Half grid of F from a density, shape (B, nu, nv, nw): inverse of `density_from_grid`."""
    F = half_grid_of(rho)
    return F * (_per_cell(volume, rho) / math.prod(rho.shape[-3:]))


def patterson_from_grid(F: Tensor, shape: Shape, volume: Tensor | float) -> Tensor:
    """Patterson map (1/V) sum |F(h)|^2 exp(-2 pi i h.u) (paper, equation 3).

    Parameters and result as `density_from_grid`; units e^2/A^3. `F` may also be real amplitudes.
    """
    intensity = F.real**2 + F.imag**2 if F.is_complex() else F**2
    return density_from_grid(intensity.to(F.dtype.to_complex()), shape, volume)


def _grid_index(hkl: Tensor, shape: Shape) -> tuple[Tensor, ...]:
    if bool((2 * hkl.abs() > torch.tensor(shape, device=hkl.device)).any()):
        raise ValueError(f"grid {shape} is too coarse for indices up to {hkl.abs().amax(0)}")
    return tuple(torch.remainder(hkl[:, i].long(), shape[i]) for i in range(3))


def hkl_to_grid(hkl: Tensor, values: Tensor, shape: Shape) -> Tensor:
    """Put listed reflections and their Friedel mates on the half grid; the rest is zero.

    Parameters
    ----------
    hkl
        Miller indices, shape (H, 3), integer, any hemisphere.
    values
        Shape (H,) or (B, H); complex values get the conjugate at the Friedel mate, real ones
        (amplitudes, weights, masks) the same value.
    shape
        The map's grid (nu, nv, nw).

    Returns
    -------
    Tensor
        Shape (nu, nv, nw // 2 + 1) or (B, nu, nv, nw // 2 + 1).

    Raises
    ------
    ValueError
        If an index lies beyond the grid's Nyquist limit.
    """
    grid = values.new_zeros(*values.shape[:-1], shape[0], shape[1], shape[2] // 2 + 1)
    hkl = hkl.to(values.device)
    for sign in (-1, 1):  # mates first, so that a listed value is never overwritten by a mate
        u, v, w = _grid_index(sign * hkl, shape)
        half = w <= shape[2] // 2
        placed = values if sign == 1 else values.conj()
        grid[..., u[half], v[half], w[half]] = placed[..., half]
    return grid


def grid_to_hkl(grid: Tensor, hkl: Tensor) -> Tensor:
    """Read reflections, of any hemisphere, from a half grid.

    Parameters
    ----------
    grid
        Shape (..., nu, nv, nw // 2 + 1), complex or real.
    hkl
        Miller indices, shape (H, 3), integer.

    Returns
    -------
    Tensor
        Shape (..., H).

    Raises
    ------
    ValueError
        If an index lies beyond the grid's Nyquist limit.
    """
    nu, nv, n_half = grid.shape[-3:]
    hkl = hkl.to(grid.device)
    mate = hkl[:, 2] < 0
    u, v, w = _grid_index(torch.where(mate[:, None], -hkl, hkl), (nu, nv, 2 * n_half - 1))
    values = grid[..., u, v, w]
    return torch.where(mate, values.conj(), values)


def half_grid_indices(shape: Shape, device: torch.device | str = "cpu") -> tuple[Tensor, ...]:
    """Miller indices along each axis of the half grid: (nu,), (nv,), (nw // 2 + 1,), int64."""
    full = [torch.fft.fftfreq(n, d=1 / n, device=device).round().to(torch.int64) for n in shape[:2]]
    return full[0], full[1], torch.arange(shape[2] // 2 + 1, device=device)


def d_star_sq_grid(orth: Tensor, shape: Shape) -> Tensor:
    """1/d^2 at every point of the half grid.

    Parameters
    ----------
    orth
        Orthogonalisation matrices, shape (B, 3, 3) or (3, 3), A.
    shape
        The map's grid (nu, nv, nw).

    Returns
    -------
    Tensor
        Shape (B, nu, nv, nw // 2 + 1), A^-2.
    """
    metric = reciprocal_metric(orth).reshape(-1, 3, 3)[:, :, :, None, None, None]
    h, k, l = (  # noqa: E741
        axis.to(orth.dtype).reshape([-1 if j == i else 1 for j in range(3)])
        for i, axis in enumerate(half_grid_indices(shape, orth.device))
    )
    return (
        metric[:, 0, 0] * h**2
        + metric[:, 1, 1] * k**2
        + metric[:, 2, 2] * l**2
        + 2 * (metric[:, 0, 1] * h * k + metric[:, 0, 2] * h * l + metric[:, 1, 2] * k * l)
    )
