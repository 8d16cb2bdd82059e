"""A density map over one unit cell."""

from __future__ import annotations

from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.fourier.projections_svg import projections_svg
from crysformer.crystal.unit_cell import cell_text
from crysformer.inline_html import card


@dataclass(frozen=True, eq=False, repr=False)
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

    def to_gemmi(self) -> gemmi.FloatGrid:
        """Copy to a grid of gemmi.

        Returns
        -------
        gemmi.FloatGrid
            The whole cell. Where the space group's operators do not map the grid onto itself, its
            space group is P 1.
        """
        factors = self.space_group.operations().find_grid_factors()
        fits = all(n % factor == 0 for n, factor in zip(self.shape, factors, strict=True))
        grid = gemmi.FloatGrid(np.ascontiguousarray(self.values, dtype=np.float32))
        grid.set_unit_cell(self.cell)
        grid.spacegroup = self.space_group if fits else gemmi.SpaceGroup("P 1")
        return grid

    def __repr__(self) -> str:
        grid = " x ".join(map(str, self.shape))
        return f"<DensityMap: {grid}, {self.space_group.xhm()}, cell {cell_text(self.cell)}>"

    def _repr_html_(self) -> str:
        rows = {
            "grid": " x ".join(map(str, self.shape)),
            "space group": self.space_group.xhm(),
            "cell": cell_text(self.cell),
        }
        return card("Density map", rows, projections_svg(self))
