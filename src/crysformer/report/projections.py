"""Figures of maps: projections of one unit cell, side by side on one colour scale."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Mapping
from pathlib import Path

import gemmi
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from numpy.typing import NDArray

from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.operators import operators
from crysformer.crystal.unit_cell import frac_matrix
from crysformer.files import atomic_path
from crysformer.report.sticks import bonded_pairs

PANEL_INCHES = 2.6
VIEWS = (2, 1)
"""Axes of projection, one row of panels each: c and b."""
_DPI = 110
_RIGHT_ANGLE = 0.05  # degrees from 90
_CHARACTERS_PER_INCH = 11  # of the title
_BAR_FRACTION = 0.3
"""Longest scale bar, as a fraction of the width of a panel."""


def projection_figure(
    maps: Mapping[str, DensityMap],
    path: str | os.PathLike[str],
    title: str = "",
    model: gemmi.Structure | None = None,
) -> None:
    """Draw maps of one crystal side by side.

    Each panel shows the highest density along the line of sight, in units of the map's standard
    deviation, over one unit cell drawn to scale with its angle. The axes are labelled by the cell
    edges that they show: the horizontal one is an edge, the vertical one the part of the other edge
    that is perpendicular to it, such as b sin gamma. All panels share the colours; the first of a
    row has a scale bar.

    Parameters
    ----------
    maps
        Maps of one cell, at a common origin and hand, by the title of their column.
    path
        File of the figure; its suffix, such as .png or .svg, sets the format.
    title
        Title of the figure.
    model
        Model whose bonds are drawn over every map as sticks.
    """
    path = Path(path)
    projections = {
        name: [_highest(density, axis) for axis in VIEWS] for name, density in maps.items()
    }
    brightest = max(float(p.max()) for views in projections.values() for p in views)
    cell = next(iter(maps.values())).cell
    heights = [_extent(cell, axis)[1] for axis in VIEWS]
    width = max(_extent(cell, axis)[0] for axis in VIEWS)
    size = (
        PANEL_INCHES * len(maps) + 1.2,
        PANEL_INCHES * sum(heights) / width + 0.3 * len(VIEWS) + 0.4,
    )
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(len(VIEWS), len(maps), squeeze=False, height_ratios=heights)
    sticks = None if model is None else _sticks(model, cell)
    for column, (name, views) in enumerate(projections.items()):
        for row, axis in enumerate(VIEWS):
            panel = grid[row, column]
            mesh = _draw_projection(panel, views[row], cell, axis, brightest)
            if sticks is not None:
                _draw_sticks(panel, sticks, cell, axis)
            panel.set_xlabel(_axis_labels(cell, axis)[0], fontsize=9)
            if column == 0:
                panel.set_ylabel(_axis_labels(cell, axis)[1], fontsize=9)
                _draw_scale_bar(panel)
            if row == 0:
                panel.set_title(name, fontsize=10)
    figure.colorbar(mesh, ax=grid, label="density (standard deviations)", shrink=0.8)
    if sticks is not None:
        same = ", the same in every panel" if len(maps) > 1 else ""
        figure.supxlabel(f"lines: bonds of the model{same}", fontsize=8)
    if title:
        characters = int(_CHARACTERS_PER_INCH * size[0])
        figure.suptitle(textwrap.fill(title, characters), fontsize=11)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=_DPI, format=path.suffix.removeprefix("."))


def _highest(density: DensityMap, axis: int) -> NDArray[np.float64]:
    values = density.values.astype(np.float64)
    spread = values.std()
    return np.asarray((values / spread if spread > 0 else values).max(axis=axis))


def _plane(cell: gemmi.UnitCell, axis: int) -> NDArray[np.float64]:
    """Matrix from fractional to plane coordinates (A) for a view along `axis`, shape (3, 2)."""
    lengths, angles = cell.parameters[:3], np.radians(cell.parameters[3:])
    first, second = (i for i in range(3) if i != axis)
    matrix = np.zeros((3, 2))
    matrix[first] = lengths[first], 0.0
    matrix[second] = (
        lengths[second] * np.cos(angles[axis]),
        lengths[second] * np.sin(angles[axis]),
    )
    return matrix


def _axis_labels(cell: gemmi.UnitCell, axis: int) -> tuple[str, str]:
    """Labels of the horizontal and the vertical axis of a view along `axis`."""
    first, second = ("abc"[i] for i in range(3) if i != axis)
    right = abs(cell.parameters[3 + axis] - 90) < _RIGHT_ANGLE
    vertical = second if right else f"{second} sin {'αβγ'[axis]}"
    return f"{first} (Å)", f"{vertical} (Å)"


def _draw_scale_bar(panel: Axes) -> None:
    """Draw a bar of a round length, which takes up to `_BAR_FRACTION` of the panel."""
    left, right = panel.get_xlim()
    longest = _BAR_FRACTION * (right - left)
    power = 10.0 ** np.floor(np.log10(longest))
    length = max(step * power for step in (1, 2, 5) if step * power <= longest)
    bottom, top = panel.get_ylim()
    x, y = left + 0.05 * (right - left), bottom + 0.06 * (top - bottom)
    panel.plot([x, x + length], [y, y], color="black", linewidth=2.5, solid_capstyle="butt")
    panel.annotate(
        f"{length:g} Å", (x + length / 2, y), (0, 3), textcoords="offset points",
        ha="center", va="bottom", fontsize=8,
    )  # fmt: skip
    panel.set(xlim=(left, right), ylim=(bottom, top))


def _extent(cell: gemmi.UnitCell, axis: int) -> tuple[float, float]:
    """Width and height of one cell seen along `axis`, A."""
    corners = np.array(np.meshgrid([0, 1], [0, 1], [0, 1])).reshape(3, -1).T @ _plane(cell, axis)
    width, height = np.ptp(corners, axis=0)
    return float(width), float(height)


def _draw_projection(
    panel: Axes,
    projection: NDArray[np.float64],
    cell: gemmi.UnitCell,
    axis: int,
    brightest: float,
) -> ScalarMappable:
    closed = np.pad(projection, ((0, 1), (0, 1)), mode="wrap")
    n_first, n_second = projection.shape
    plane = np.delete(_plane(cell, axis), axis, axis=0)
    fractions = np.stack(
        np.meshgrid(
            np.arange(n_first + 1) / n_first, np.arange(n_second + 1) / n_second, indexing="ij"
        ),
        axis=-1,
    )
    x, y = np.moveaxis(fractions @ plane, -1, 0)
    mesh = panel.pcolormesh(
        x, y, closed, cmap="Blues", vmin=0, vmax=brightest, shading="gouraud", rasterized=True
    )
    panel.set_aspect("equal")
    panel.tick_params(labelsize=8)
    return mesh


def _draw_sticks(panel: Axes, sticks: NDArray[np.float64], cell: gemmi.UnitCell, axis: int) -> None:
    """Draw the sticks and their lattice copies, clipped to the cell."""
    plane = _plane(cell, axis)
    first, second = np.delete(plane, axis, axis=0)
    segments = [
        pair
        for u in (-1, 0, 1)
        for v in (-1, 0, 1)
        for pair in sticks @ plane + u * first + v * second
    ]
    limits = panel.get_xlim(), panel.get_ylim()
    lines = LineCollection(segments, colors="#d1495b", linewidths=0.8)
    panel.add_collection(lines)
    outline = Polygon(np.array([0 * first, first, first + second, second]))
    lines.set_clip_path(outline.get_path(), panel.transData)
    panel.set(xlim=limits[0], ylim=limits[1])


def _sticks(model: gemmi.Structure, cell: gemmi.UnitCell) -> NDArray[np.float64]:
    """Bonds of all symmetry mates as pairs of fractional positions, shape (bonds, 2, 3).

    The midpoints lie in 0 <= x < 1; a bond across the border of the cell may lead out of it.
    """
    atoms = [site.atom for site in model[0].all() if not site.atom.is_hydrogen()]
    xyz = np.array([atom.pos.tolist() for atom in atoms])
    fractional = xyz @ frac_matrix(cell).T
    bonds = fractional[bonded_pairs(xyz)]
    space_group = model.find_spacegroup() or gemmi.SpaceGroup("P1")
    every = operators(space_group, centred=True)
    mates = [bonds @ rotation.T + shift for rotation, shift in every]
    everything = np.concatenate(mates)
    return np.asarray(everything - np.floor(everything.mean(axis=1, keepdims=True)))
