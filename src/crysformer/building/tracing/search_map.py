"""A map in units of its standard deviation, interpolated at any position of the crystal."""

from __future__ import annotations

import copy
import math
from functools import cached_property

import gemmi
import numpy as np
import torch
from torch import Tensor

from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.fourier.grids import (
    d_star_sq_grid,
    grid_shape,
    grid_to_hkl,
    half_grid_indices,
    half_grid_of,
    hkl_to_grid,
    real_space,
)
from crysformer.crystal.operators import operators
from crysformer.crystal.resolution import within_resolution
from crysformer.crystal.unit_cell import frac_matrix, orth_matrix


class MapCoefficients:
    """Structure factors of a map within its resolution.

    Parameters
    ----------
    density
        The map, over the whole cell.
    d_min
        Resolution limit, A; what the map holds beyond it is left out, as is F(000).

    Attributes
    ----------
    hkl
        Miller indices of one of each Friedel pair, shape (n, 3).
    F
        Shape (n,), complex, on an arbitrary scale.
    d_star_sq
        1/d^2, shape (n,), A^-2.
    """

    def __init__(self, density: DensityMap, d_min: float) -> None:
        self.cell, self.space_group, self.d_min = density.cell, density.space_group, d_min
        values = torch.from_numpy(np.ascontiguousarray(density.values, dtype=np.float32))
        shape = density.shape
        orth = torch.as_tensor(orth_matrix(density.cell), dtype=torch.float32)
        d_star_sq = d_star_sq_grid(orth, shape)[0]
        h, k, l = half_grid_indices(shape)  # noqa: E741
        below_nyquist = (
            (2 * h.abs() < shape[0])[:, None, None]
            & (2 * k.abs() < shape[1])[:, None]
            & (2 * l < shape[2])
        )
        used = within_resolution(d_star_sq, d_min) & below_nyquist & (d_star_sq > 0)
        # of the plane l = 0, which holds both mates of each pair, one half
        used[..., 0] &= (h > 0)[:, None] | ((h == 0)[:, None] & (k > 0))
        rows = used.nonzero()
        self.hkl = torch.stack((h[rows[:, 0]], k[rows[:, 1]], l[rows[:, 2]]), dim=1)
        self.F = half_grid_of(values)[used]
        self.d_star_sq = d_star_sq[used]

    def with_values(self, F: Tensor) -> MapCoefficients:
        """Other structure factors (n,) of the same reflections."""
        other = copy.copy(self)
        other.F = F
        return other

    def of_map(self, other: SearchMap) -> MapCoefficients:
        """Structure factors of another map of the crystal, at the same reflections."""
        return self.with_values(grid_to_hkl(half_grid_of(other.values), self.hkl))

    def map_on(self, spacing: float, blur: float = 0.0) -> Tensor:
        """The map on a finer grid.

        Parameters
        ----------
        spacing
            Largest distance of grid points along an axis, A.
        blur
            B added to all atoms, A^2.
        """
        shape = grid_shape(self.cell, self.d_min, max(2.0, self.d_min / spacing))
        F = self.F * torch.exp(-0.25 * blur * self.d_star_sq)
        return real_space(hkl_to_grid(self.hkl, F, shape), shape)


class SearchMap:
    """A map with mean zero and standard deviation one, interpolated at Cartesian positions.

    Parameters
    ----------
    values
        Map over the whole cell, shape (nu, nv, nw).
    cell, space_group
        Of the crystal.
    """

    def __init__(self, values: Tensor, cell: gemmi.UnitCell, space_group: gemmi.SpaceGroup) -> None:
        self.values = (values - values.mean()) / values.std().clamp(min=1e-12)
        self.cell, self.space_group = cell, space_group
        self.shape = tuple(values.shape)
        self.orth = torch.as_tensor(orth_matrix(cell), dtype=torch.float32)
        self.to_frac = torch.as_tensor(frac_matrix(cell), dtype=torch.float32)
        self._size = torch.tensor(self.shape)
        self._flat = self.values.reshape(-1)

    @cached_property
    def mates(self) -> tuple[Tensor, Tensor]:
        """Rotations (m, 3, 3) and translations (m, 3) of fractional coordinates, centring too."""
        ops = operators(self.space_group, centred=True)
        return (
            torch.as_tensor(ops.rotations, dtype=torch.float32),
            torch.as_tensor(ops.translations, dtype=torch.float32),
        )

    def square_distances(self, xyz: Tensor, other: Tensor) -> Tensor:
        """Mean square distances, A^2, of sets of atoms to the nearest mate or image of another one.

        Parameters
        ----------
        xyz, other
            Cartesian positions of n sets, shape (n, a, 3), and of one, shape (a, 3), A.

        Returns
        -------
        Shape (n,).
        """
        rotations, translations = self.mates
        mates = torch.einsum("mij,aj->mai", rotations, other @ self.to_frac.mT)
        apart = (xyz @ self.to_frac.mT)[:, None] - (mates + translations[:, None])
        apart = apart - apart.mean(-2, keepdim=True).round()
        return ((apart @ self.orth.mT) ** 2).sum(-1).mean(-1).amin(1)

    @cached_property
    def _bordered(self) -> Tensor:
        """The map with its first planes again behind the last, (1, 1, nu + 1, nv + 1, nw + 1)."""
        return torch.nn.functional.pad(self.values[None, None], (0, 1) * 3, mode="circular")

    def at(self, xyz: Tensor) -> Tensor:
        """Density (...) at Cartesian positions (..., 3), trilinear."""
        frac = xyz @ self.to_frac.mT
        scaled = (2 * (frac - frac.floor()) - 1).flip(-1)  # w, v, u from -1 to 1
        return torch.nn.functional.grid_sample(
            self._bordered, scaled.reshape(1, 1, 1, -1, 3), align_corners=True
        ).view(xyz.shape[:-1])

    def with_gradient(self, xyz: Tensor) -> tuple[Tensor, Tensor]:
        """Density (...) and its gradient (..., 3), 1/A."""
        at = (xyz @ self.to_frac.mT) * self._size
        low = at.floor()
        t = at - low
        low = torch.remainder(low.long(), self._size)
        high = low + 1
        high = torch.where(high == self._size, 0, high)
        _, nv, nw = self.shape
        x = (low[..., 0] * (nv * nw), high[..., 0] * (nv * nw))
        y = (low[..., 1] * nw, high[..., 1] * nw)
        z = (low[..., 2], high[..., 2])
        u, v, w = t.unbind(-1)
        c = [[[self._flat[x[i] + y[j] + z[k]] for k in (0, 1)] for j in (0, 1)] for i in (0, 1)]
        # along z, then y, then x
        cz = [[c[i][j][0] + w * (c[i][j][1] - c[i][j][0]) for j in (0, 1)] for i in (0, 1)]
        cy = [cz[i][0] + v * (cz[i][1] - cz[i][0]) for i in (0, 1)]
        value = cy[0] + u * (cy[1] - cy[0])
        du = cy[1] - cy[0]
        dv = torch.lerp(cz[0][1] - cz[0][0], cz[1][1] - cz[1][0], u)
        dz = [[c[i][j][1] - c[i][j][0] for j in (0, 1)] for i in (0, 1)]
        dw = torch.lerp(torch.lerp(dz[0][0], dz[0][1], v), torch.lerp(dz[1][0], dz[1][1], v), u)
        slope = torch.stack((du, dv, dw), dim=-1) * self._size
        return value, slope @ self.to_frac

    def without(self, xyz: Tensor, radius: float) -> SearchMap:
        """The same map with no density above zero within `radius` (A) of atoms (n, 3) and mates."""
        rotations, translations = self.mates
        frac = xyz @ self.to_frac.mT
        every = (torch.einsum("mij,aj->mai", rotations, frac) + translations[:, None]).reshape(
            -1, 3
        )
        values = self.values.clone()
        reach = [
            math.ceil(radius * n * float(torch.linalg.vector_norm(row)))
            for n, row in zip(self.shape, self.to_frac, strict=True)
        ]
        box = torch.cartesian_prod(*(torch.arange(-r, r + 1) for r in reach))
        centre = (every * self._size).round()
        points = centre[:, None] + box
        offset = (points / self._size - every[:, None]) @ self.orth.mT
        near = points[(offset**2).sum(-1) < radius**2].long()
        u, v, w = torch.remainder(near, self._size).unbind(1)
        values[u, v, w] = values[u, v, w].clamp(max=0.0)
        masked = copy.copy(self)
        masked.__dict__.pop("_bordered", None)  # that of the map before
        masked.values, masked._flat = values, values.reshape(-1)
        return masked
