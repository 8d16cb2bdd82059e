"""Maps of the crystal during building: values at positions, in units of the map's rms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import gemmi
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from crysformer.crystal.peak_picking import map_on_grid, symmetric_shape
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.unit_cell import frac_matrix

SAMPLE_RATE: Final = 4.0
"""Grid points per d_min of maps that are interpolated."""


@dataclass(frozen=True, eq=False)
class MapValues:
    """A map in units of its rms, with mean zero.

    Attributes
    ----------
    values
        Shape (nu, nv, nw), point (i, j, k) at fractional (i / nu, j / nv, k / nw).
    cell
        Unit cell.
    """

    values: NDArray[np.float64]
    cell: gemmi.UnitCell

    @staticmethod
    def of_coefficients(data: CrystalData, F: NDArray[np.complex128]) -> MapValues:
        """Map of coefficients at the data's reflections, shape (n_data,); NaN counts as zero."""
        shape = symmetric_shape(data, SAMPLE_RATE)
        return MapValues(map_on_grid(data, np.nan_to_num(F[data.measured]), shape), data.cell)

    def at(self, xyz: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values at Cartesian positions (..., 3), A, interpolated linearly, shape (...)."""
        points = (xyz @ frac_matrix(self.cell).T) * np.array(self.values.shape)
        flat = map_coordinates(
            self.values, points.reshape(-1, 3).T, order=1, mode="grid-wrap", prefilter=False
        )
        return np.asarray(flat.reshape(xyz.shape[:-1]))
