"""Iso-surfaces of maps around a molecule, over its sticks: figures 3 to 9 of the paper."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray
from scipy.signal import resample
from scipy.spatial import cKDTree

from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.unit_cell import frac_matrix
from crysformer.errors import CrysformerError
from crysformer.files import atomic_path
from crysformer.report.rasteriser import Window, render
from crysformer.report.sticks import bonded_pairs
from crysformer.report.triangles import Triangles, ball, stick

#: Volume that surfaces enclose by default, A^3 for each atom.
VOLUME = 4.0
#: Colours of the true map and of a prediction, as in the paper.
TRUE, PREDICTED = "#2f6fd6", "#d62f3c"
#: Colours of elements; any other is shown as carbon.
_ELEMENTS = {"C": "#5b5b5b", "N": "#3b49c4", "O": "#e0352b", "S": "#d9a400"}
_STICK, _OPACITY = 0.16, 0.28
#: The box that is drawn reaches so far beyond the atoms; the maps' grid there, both A.
_MARGIN, _SPACING = 3.0, 0.28
_DPI, _PANEL_INCHES = 300, 2.9
#: Pixels that are averaged for each of the picture, along either axis.
_OVERSAMPLING = 2
#: Room above the pictures for titles, and below for the legend, inches.
_ABOVE, _BELOW = 0.5, 0.32
#: The picture reaches so far beyond the atoms, A.
_BEYOND = 2.2
_SCALE_BAR = 3.0


@dataclass(frozen=True, eq=False)
class Panel:
    """One picture of a figure.

    Attributes
    ----------
    title
        Text above it.
    maps
        Maps with their colours, drawn over the molecule.
    """

    title: str
    maps: Sequence[tuple[DensityMap, str]]


def isosurface_figure(
    panels: Sequence[Panel],
    model: gemmi.Structure,
    path: str | os.PathLike[str],
    title: str = "",
    labels: Sequence[tuple[str, str]] = (),
    volume: float = VOLUME,
) -> None:
    """Draw maps as transparent iso-surfaces over one molecule, in the same view in every panel.

    The maps are periodic. Everything within 3 A of the box around the molecule is drawn that is
    nearer to the molecule than to its copies in the neighbouring cells, so that no part of a map
    is shown twice. The molecule lies flat on the page as far as it can, and is never mirrored.
    All surfaces enclose the same volume in the cell, so that maps of any scale can be compared.

    Parameters
    ----------
    panels
        What is drawn, from left to right.
    model
        A whole molecule with its cell, P1.
    path
        PNG file.
    title
        Title of the figure.
    labels
        Entries of the legend: text and colour.
    volume
        Volume that a surface encloses, A^3 for each atom.

    Raises
    ------
    CrysformerError
        If scikit-image is not installed, or the file cannot be written.
    """
    atoms = [site.atom for site in model[0].all() if not site.atom.is_hydrogen()]
    xyz = np.array([atom.pos.tolist() for atom in atoms])
    elements = [atom.element.name for atom in atoms]
    view = flat_view(xyz)
    on_page = xyz @ view.T
    centre = (on_page.max(axis=0) + on_page.min(axis=0)) / 2 @ view
    width, height, depth = (float(x) + 2 * _BEYOND for x in np.ptp(on_page, axis=0))
    sticks = _sticks(xyz, elements)
    window = Window(width, height, depth / 2, _OVERSAMPLING * _DPI * _PANEL_INCHES / width)
    tall = _PANEL_INCHES * height / width
    size = (_PANEL_INCHES * len(panels), _ABOVE + tall + _BELOW)
    figure = Figure(figsize=size)
    for column, panel in enumerate(panels):
        surfaces = [
            surface_of(density, xyz, level_of(density, volume * len(xyz)), colour)
            for density, colour in panel.maps
        ]
        picture = render([part.seen(view, centre) for part in (*sticks, *surfaces)], window)
        axes = figure.add_axes(
            (column / len(panels), _BELOW / size[1], 1 / len(panels), tall / size[1])
        )
        extent = (-width / 2, width / 2, -height / 2, height / 2)
        axes.imshow(picture, extent=extent, interpolation="antialiased")
        axes.set(xlim=extent[:2], ylim=extent[2:])
        axes.set_axis_off()
        axes.set_title(panel.title, fontsize=9, pad=3)
        if column == 0:
            _draw_scale_bar(axes, width, height)
    figure.legend(
        handles=_legend(labels, elements), loc="lower center", ncols=8, fontsize=8,
        frameon=False, handlelength=1.4, columnspacing=1.4, borderaxespad=0.2,
    )  # fmt: skip
    figure.suptitle(title, fontsize=10, y=1 - 0.06 / size[1], va="top")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=_DPI, format=Path(path).suffix.removeprefix("."))


def flat_view(xyz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation that lays points flat: longest extent along x, shortest towards the viewer.

    Parameters
    ----------
    xyz
        Coordinates, shape (n, 3), A; the first point comes to the left.

    Returns
    -------
    ndarray
        Shape (3, 3), of determinant 1.
    """
    _, _, axes = np.linalg.svd(xyz - xyz.mean(axis=0), full_matrices=True)
    if (xyz[0] - xyz.mean(axis=0)) @ axes[0] > 0:
        axes[0] *= -1
    axes[2] *= np.sign(np.linalg.det(axes))
    return np.asarray(axes)


def require_marching_cubes() -> Callable[..., Any]:
    """Marching cubes of scikit-image.

    Raises
    ------
    CrysformerError
        If it is not installed.
    """
    try:
        from skimage.measure import marching_cubes
    except ImportError as error:
        raise CrysformerError(
            "iso-surfaces need scikit-image; install crysformer[figures]"
        ) from error
    found: Callable[..., Any] = marching_cubes
    return found


def level_of(density: DensityMap, volume: float) -> float:
    """Level above which a map has this volume (A^3) in a cell, in the units of the map."""
    fine, _ = _resampled(density)
    fraction = min(1.0, volume / density.cell.volume)
    return float(np.quantile(fine, 1 - fraction))


def surface_of(
    density: DensityMap, xyz: NDArray[np.float64], level: float, colour: str
) -> Triangles:
    """Iso-surface of a periodic map around a molecule.

    Parameters
    ----------
    density
        The map.
    xyz
        Atoms of the molecule, shape (n, 3), A.
    level
        In the units of the map.
    colour
        Of the surface.

    Raises
    ------
    CrysformerError
        If scikit-image is not installed.
    """
    marching_cubes = require_marching_cubes()
    cell = density.cell
    fine, shape = _resampled(density)
    to_frac = frac_matrix(cell)
    orth = np.linalg.inv(to_frac).astype(np.float64)
    box = np.array(
        list(itertools.product(*zip(xyz.min(0) - _MARGIN, xyz.max(0) + _MARGIN, strict=True)))
    )
    steps = box @ to_frac.T * shape
    low, high = np.floor(steps.min(0)).astype(int), np.ceil(steps.max(0)).astype(int)
    region = fine
    for axis in range(3):
        region = np.take(region, np.arange(low[axis], high[axis] + 1), axis=axis, mode="wrap")
    nothing = Triangles(np.zeros((0, 3, 3)), np.zeros((0, 3, 3)), to_rgb(colour), _OPACITY)
    if not region.min() < level < region.max():
        return nothing
    vertices, faces, _, _ = marching_cubes(region, level)
    corners = ((vertices + low) / shape @ orth.T)[faces]
    normals = _smooth_normals(corners, faces)
    kept = _nearest(corners.mean(axis=1), xyz, orth)
    return Triangles(corners[kept], normals[kept], to_rgb(colour), _OPACITY)


def _smooth_normals(
    corners: NDArray[np.float64], faces: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Normals at the corners: means of the triangles that meet there, which count by their area."""
    flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    total = np.zeros((faces.max() + 1, 3))
    for corner in range(3):
        np.add.at(total, faces[:, corner], flat)
    lengths = np.linalg.norm(total, axis=1, keepdims=True)
    return np.asarray((total / np.where(lengths > 0, lengths, 1))[faces])


def _resampled(density: DensityMap) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The same map on a finer grid: Fourier interpolation, exact for a map of finite resolution."""
    values = density.values.astype(np.float64)
    edges = density.cell.parameters[:3]
    for axis, edge in enumerate(edges):
        n = max(values.shape[axis], int(np.ceil(edge / _SPACING)))
        values = resample(values, n, axis=axis)
    return values, np.array(values.shape)


def _nearest(
    points: NDArray[np.float64], xyz: NDArray[np.float64], orth: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """True for points that are at least as near to the molecule as to its copies."""
    shifts = np.array([s for s in itertools.product((-1, 0, 1), repeat=3) if any(s)]) @ orth.T
    copies = (xyz + shifts[:, None]).reshape(-1, 3)
    own, other = (cKDTree(tree).query(points)[0] for tree in (xyz, copies))
    return np.asarray(own <= other)


def _sticks(xyz: NDArray[np.float64], elements: Sequence[str]) -> list[Triangles]:
    """Half bonds in the colours of their atoms, and round ends."""
    colours = [_ELEMENTS.get(element, _ELEMENTS["C"]) for element in elements]
    parts = [ball(x, _STICK, colour) for x, colour in zip(xyz, colours, strict=True)]
    for i, j in bonded_pairs(xyz).tolist():
        middle = (xyz[i] + xyz[j]) / 2
        parts += [stick(xyz[k], middle, _STICK, colours[k]) for k in (i, j)]
    return parts


def _draw_scale_bar(axes: Axes, width: float, height: float) -> None:
    left, bottom = -0.48 * width, -0.48 * height
    axes.plot([left, left + _SCALE_BAR], [bottom, bottom], color="black", linewidth=1.2)
    axes.text(
        left + _SCALE_BAR / 2, bottom + 0.01 * width, f"{_SCALE_BAR:g} Å", ha="center", va="bottom",
        fontsize=7,
    )  # fmt: skip


def _legend(labels: Sequence[tuple[str, str]], elements: Sequence[str]) -> list[Patch | Line2D]:
    surfaces: list[Patch | Line2D] = [
        Patch(facecolor=(*to_rgb(colour), 0.55), edgecolor=colour, label=label)
        for label, colour in labels
    ]
    atoms = [
        Line2D([], [], color=colour, linewidth=3, label=element)
        for element, colour in _ELEMENTS.items()
        if element in elements
    ]
    return surfaces + atoms
