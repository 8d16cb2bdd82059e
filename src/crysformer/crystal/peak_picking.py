"""Peak picking: highest points of a map that are apart from each other and from their mates."""

from __future__ import annotations

import math
from functools import cached_property

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.fourier.grids import Shape
from crysformer.crystal.operators import operators
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.site_symmetry import site_symmetry

_SITES_AT_ONCE = 16  # whose distances are computed together


def minimum_image(step: NDArray[np.float64]) -> NDArray[np.float64]:
    """Fractional vectors (..., 3) less the nearest lattice vector, each component within 1/2."""
    return step - step.round()


class PeakPicker:
    """Picks sites in the space group of a crystal.

    Parameters
    ----------
    data
        The crystal.
    shape
        Grid of the maps, point (i, j, k) at fractional (i / nu, j / nv, k / nw).
    separation
        Least distance between sites, and between a site and its symmetry mates, A.
    snap
        Distance from its own mates below which a site is moved onto the special position between
        them, A; by default special positions are as any others.
    """

    def __init__(
        self, data: CrystalData, shape: Shape, separation: float, snap: float = 0.0
    ) -> None:
        self.data, self.snap = data, snap
        self.operators = list(operators(data.space_group, centred=True))
        self.orth = data.orth
        self.shape, self.separation = shape, separation

    @cached_property
    def special(self) -> NDArray[np.bool_]:
        """True where a grid point is too close to its own mates, near a special position."""
        axes = [np.arange(n) / n for n in self.shape]
        points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        near = np.zeros(len(points), dtype=bool)
        for rotation, shift in self.operators[1:]:
            near |= self.distance(points @ rotation.T + shift - points) < self.separation
        return near.reshape(self.shape)

    def distance(self, step: NDArray[np.float64]) -> NDArray[np.float64]:
        """Length of fractional vectors (..., 3) to the nearest lattice point, A.

        Short distances, the only ones used here, are exact in any reduced cell.
        """
        return np.asarray(np.linalg.norm(minimum_image(step) @ self.orth.T, axis=-1))

    def mates(self, frac: NDArray[np.float64]) -> NDArray[np.float64]:
        """Symmetry mates of sites (n, 3), the sites first, shape (operators * n, 3)."""
        return np.concatenate([frac @ rotation.T + shift for rotation, shift in self.operators])

    def pick(
        self,
        values: NDArray[np.float64],
        placed: NDArray[np.float64],
        n: int,
        above: float = -math.inf,
        looked_at: int = 20_000,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Pick up to `n` of the highest points that are apart.

        Parameters
        ----------
        values
            A map, of the picker's shape or with one point along some axes.
        placed
            Sites placed before, fractional, shape (m, 3).
        n
            Largest number of sites. With `snap`, a site on a special position counts as a fraction.
        above
            Least value of a point.
        looked_at
            Number of the highest points that are considered.

        Returns
        -------
        (frac, value)
            Shapes (k, 3) and (k,), highest first.
        """
        flat = values.reshape(-1)
        few = min(len(flat), looked_at)
        order = np.argpartition(-flat, few - 1)[:few]
        order = order[(flat[order] > above) & np.isfinite(flat[order])]
        order = order[np.argsort(-flat[order], kind="stable")]
        frac = np.stack(np.unravel_index(order, values.shape), axis=1) / np.array(self.shape)
        allowed = np.ones(len(frac), dtype=bool)
        others = self.mates(placed)
        for i in range(0, len(others), _SITES_AT_ONCE):
            allowed &= self._apart(frac, others[i : i + _SITES_AT_ONCE])
        taken: list[int] = []
        left = float(n)
        while left > 0 and allowed.any():
            first = int(allowed.argmax())
            taken.append(first)
            allowed[first] = False
            left -= self._settle(frac, first)
            allowed &= self._apart(frac, self.mates(frac[first : first + 1]))
        return frac[taken], flat[order[taken]]

    def _settle(self, frac: NDArray[np.float64], row: int) -> float:
        """Move a site in place onto a special position near it; the fraction that it counts as."""
        if not self.snap:
            return 1.0
        one = site_symmetry(frac[row : row + 1], self.data.cell, self.data.space_group, self.snap)
        frac[row] = one.frac[0]
        return 1.0 / int(one.order[0])

    def _apart(self, frac: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.bool_]:
        near = self.distance(frac[:, None] - others[None]) < self.separation
        return np.asarray(~near.any(axis=1))


def map_on_grid(
    data: CrystalData, coefficients: NDArray[np.complex128], shape: Shape
) -> NDArray[np.float64]:
    """Map of the unit cell in units of its rms, from coefficients of the measured reflections.

    `coefficients` has shape (n_measured,); `shape` must suit the space group (`symmetric_shape`).
    """
    asu = gemmi.ComplexAsuData(
        data.cell,
        data.space_group,
        data.hkl[data.measured],
        np.asarray(coefficients, dtype=np.complex64),
    )
    asu.ensure_asu()
    grid = asu.transform_f_phi_to_map(exact_size=list(shape))
    values = np.array(grid.array, dtype=np.float64)
    return values / max(float(values.std()), 1e-12)


def symmetric_shape(data: CrystalData, sample_rate: float) -> Shape:
    """Grid that the space group maps onto itself, `sample_rate` points per d_min or finer."""
    grid = gemmi.FloatGrid()
    grid.set_unit_cell(data.cell)
    grid.spacegroup = data.space_group
    grid.set_size_from_spacing(data.d_min / sample_rate, gemmi.GridSizeRounding.Up)
    return grid.nu, grid.nv, grid.nw
