"""A density map over one unit cell."""

from __future__ import annotations

from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class DensityMap:
    """Density on a regular grid over the whole unit cell.

    Attributes
    ----------
    values
        Density, shape (nu, nv, nw), float32, e/A^3 where the amplitudes are on absolute scale.
        Voxel (i, j, k) sits at fractional (i/nu, j/nv, k/nw); the grid is periodic.
    cell
        Unit cell (A, degrees).
    space_group
        Space group of the values.
    """

    values: NDArray[np.float32]
    cell: gemmi.UnitCell
    space_group: gemmi.SpaceGroup

    def __post_init__(self) -> None:
        if self.values.ndim != 3:
            raise ValueError(f"values has shape {self.values.shape}, expected (nu, nv, nw)")

    @property
    def shape(self) -> tuple[int, int, int]:
        """The grid, (nu, nv, nw)."""
        nu, nv, nw = self.values.shape
        return nu, nv, nw
