"""Picture of lit, transparent triangles: no display, graphics driver or system library is needed.

Every triangle is cut into pixels, every pixel is lit by its own normal, and the pixels behind each
other are blended from front to back, so that surfaces may be transparent and intersect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crysformer.report.triangles import Triangles

#: Direction of the light, from the object, with z towards the viewer.
_LIGHT = np.array([-0.45, 0.6, 0.8]) / np.linalg.norm([-0.45, 0.6, 0.8])
_AMBIENT, _DIFFUSE, _SPECULAR, _SHININESS = 0.40, 0.64, 0.30, 45
#: Fraction of white that the farthest pixels fade to.
_FADING = 0.4
#: Opacity of a transparent surface where it is seen edge-on, which makes its outline.
_OUTLINE = 0.9


@dataclass(frozen=True)
class Window:
    """Part of space that a picture shows, in parallel projection; lengths in A.

    Attributes
    ----------
    width, height
        Of the picture, about the origin.
    depth
        Distance from the origin at which the fading ends behind, and begins in front.
    pixels
        Pixels per A.
    """

    width: float
    height: float
    depth: float
    pixels: float

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the picture."""
        return round(self.height * self.pixels), round(self.width * self.pixels)


def render(scene: Sequence[Triangles], window: Window) -> NDArray[np.float64]:
    """Draw a scene on white.

    Parameters
    ----------
    scene
        Triangles in page coordinates: x to the right, y up, z towards the viewer, A.
    window
        What is shown.

    Returns
    -------
    ndarray
        Red, green, blue from 0 to 1, shape (rows, columns, 3), the upper row first.
    """
    rows, columns = window.shape
    if not scene:
        return np.ones((rows, columns, 3))
    parts = [_fragments(part, window) for part in scene]
    pixel, depth, colour = (np.concatenate(values) for values in zip(*parts, strict=True))
    order = np.lexsort((-depth, pixel))
    pixel, colour = pixel[order], colour[order]
    first = np.searchsorted(pixel, pixel)  # a pixel's nearest fragment
    layer = np.arange(len(pixel)) - first
    picture = np.zeros((rows * columns, 3))
    through = np.ones((rows * columns, 1))
    by_layer = np.argsort(layer, kind="stable")
    for chosen in np.split(by_layer, np.cumsum(np.bincount(layer))[:-1]) if len(layer) else ():
        place, opacity = pixel[chosen], colour[chosen, 3:]
        picture[place] += through[place] * opacity * colour[chosen, :3]
        through[place] *= 1 - opacity
    return np.clip((picture + through).reshape(rows, columns, 3), 0, 1)


def _fragments(
    part: Triangles, window: Window
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Cut triangles into pixels: index of the pixel, depth (A), red, green, blue, opacity."""
    rows, columns = window.shape
    x = (part.corners[:, :, 0] + window.width / 2) * window.pixels - 0.5
    y = (window.height / 2 - part.corners[:, :, 1]) * window.pixels - 0.5
    triangle, row = _expanded(np.ceil(y.min(axis=1)), np.ceil(y.max(axis=1)), rows)
    left, right = _crossings(x[triangle], y[triangle], row)
    line, column = _expanded(np.ceil(left), np.ceil(right), columns)
    triangle, row = triangle[line], row[line]
    values = np.concatenate((part.corners[:, :, 2:], part.normals), axis=2)
    gradient = _gradients(x, y, values)[triangle]
    away = np.stack((column - x[triangle, 0], row - y[triangle, 0]), axis=1)
    depth, *normal = (values[triangle, 0] + np.einsum("fi,fik->fk", away, gradient)).T
    return row * columns + column, depth, _lit(part, np.stack(normal, axis=1), depth, window)


def _expanded(
    begin: NDArray[np.float64], end: NDArray[np.float64], limit: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Whole numbers of half-open intervals, cut to 0 <= n < `limit`: interval, and number."""
    low, high = (np.clip(bound, 0, limit).astype(np.int64) for bound in (begin, end))
    counts = np.maximum(high - low, 0)
    interval = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(interval)) - np.repeat(np.cumsum(counts) - counts, counts)
    return interval, low[interval] + within


def _crossings(
    x: NDArray[np.float64], y: NDArray[np.float64], row: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where rows cross the edges of triangles (n, 3): x of the left and of the right one.

    Triangles that share an edge get the same number for it, so that no pixel belongs to both or
    to none.
    """
    found = np.full((len(row), 3), np.nan)
    for k, (i, j) in enumerate(((0, 1), (1, 2), (2, 0))):
        swap = y[:, i] > y[:, j]
        upper, lower = np.where(swap, y[:, j], y[:, i]), np.where(swap, y[:, i], y[:, j])
        begin, end = np.where(swap, x[:, j], x[:, i]), np.where(swap, x[:, i], x[:, j])
        crosses = (upper <= row) & (row < lower)
        fraction = (row - upper) / np.where(crosses, lower - upper, 1)
        found[:, k] = np.where(crosses, begin + fraction * (end - begin), np.nan)
    return np.fmin.reduce(found, axis=1), np.fmax.reduce(found, axis=1)


def _gradients(
    x: NDArray[np.float64], y: NDArray[np.float64], values: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Change of the corners' values (n, 3, k) per pixel along x and y, shape (n, 2, k)."""
    ax, ay, bx, by = x[:, 1] - x[:, 0], y[:, 1] - y[:, 0], x[:, 2] - x[:, 0], y[:, 2] - y[:, 0]
    area = ax * by - ay * bx
    area = np.where(area == 0, 1.0, area)[:, None]  # triangles seen from the side have no pixels
    a, b = values[:, 1] - values[:, 0], values[:, 2] - values[:, 0]
    along_x = (a * by[:, None] - b * ay[:, None]) / area
    along_y = (b * ax[:, None] - a * bx[:, None]) / area
    return np.stack((along_x, along_y), axis=1)


def _lit(
    part: Triangles, normals: NDArray[np.float64], depth: NDArray[np.float64], window: Window
) -> NDArray[np.float64]:
    """Colour and opacity of pixels with these normals, shape (n, 4)."""
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = normals / np.where(lengths > 0, lengths, 1)
    normals = np.where(normals[:, 2:] < 0, -normals, normals)
    half = _LIGHT + np.array([0.0, 0.0, 1.0])
    half /= np.linalg.norm(half)
    bright = _AMBIENT + _DIFFUSE * np.clip(normals @ _LIGHT, 0, None)
    shine = _SPECULAR * np.clip(normals @ half, 0, None) ** _SHININESS
    rgb = np.clip(np.outer(bright, part.colour) + shine[:, None], 0, 1)
    fading = _FADING * np.clip((window.depth - depth) / (2 * window.depth), 0, 1)[:, None]
    opacity = np.full(len(rgb), part.opacity)
    if part.opacity < 1:
        opacity += max(0.0, _OUTLINE - part.opacity) * (1 - normals[:, 2]) ** 2.5
    return np.column_stack((rgb * (1 - fading) + fading, opacity))
