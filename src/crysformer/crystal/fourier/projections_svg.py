"""Projections of a density map as small inline pictures, for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.inline_html import png_uri

if TYPE_CHECKING:
    from crysformer.crystal.fourier.density_map import DensityMap

_SIZE: Final = 200.0  # of the longer side of a picture, px
_MARGIN: Final = 16.0  # for the names of the axes, px
_MOST: Final = 160  # points of a projection along each axis
_DARKEST: Final = np.array([8, 48, 107])  # red, green and blue of the highest density
_BAR: Final = 5.0  # length of the scale bar, A
_LABEL, _LINE = 34.0, 10.0  # width of its label, and the line it has below the name of the axis, px


def projections_svg(density: DensityMap) -> str:
    """Draw the highest density along c, b and a over one unit cell, to scale.

    Returns
    -------
    str
        Three ``<svg>`` elements, the axes named at their ends, with a bar of 5 A.
    """
    return "".join(_view(density, axis) for axis in (2, 1, 0))


def _view(density: DensityMap, axis: int) -> str:
    cell = density.cell
    first, second = (i for i in range(3) if i != axis)
    u, v = _edges(cell, first, second, axis)
    corners = np.array([[0, 0], u, v, u + v])
    low, extent = corners.min(axis=0), np.ptp(corners, axis=0)
    scale = _SIZE / extent.max()

    def place(point: NDArray[np.float64]) -> tuple[float, float]:
        """Position in the picture, where y points down."""
        x, y = (point - low) * scale
        return _MARGIN + x, _MARGIN + extent[1] * scale - y

    origin, end_u, end_v = place(np.zeros(2)), place(u), place(v)
    # the unit square of the image, whose y points down, onto the parallelogram of the cell
    matrix = (
        end_u[0] - origin[0], end_u[1] - origin[1], origin[0] - end_v[0], origin[1] - end_v[1],
        end_v[0], end_v[1],
    )  # fmt: skip
    end_of_bar = _MARGIN + _BAR * scale
    width = max(extent[0] * scale + 2 * _MARGIN, end_of_bar + _LABEL)
    height = extent[1] * scale + 2 * _MARGIN + _LINE
    outline = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(place, corners[[0, 1, 3, 2]]))
    names = "".join(
        f'<text x="{x:.1f}" y="{y:.1f}">{"abc"[i]}</text>'
        for i, (x, y) in (
            (first, (end_u[0] + 3, end_u[1] + 10)),
            (second, (end_v[0] - 9, end_v[1] + 2)),
        )
    )
    bar = f"M{_MARGIN:.1f} {height - 4:.1f}H{end_of_bar:.1f}"
    picture = png_uri(_shades(density.values, axis))
    transform = " ".join(f"{x:.4f}" for x in matrix)
    title = f"highest density along {'abc'[axis]}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'role="img" aria-label="{title}" style="background:#fff;margin:4px" '
        'font-family="sans-serif" font-size="11">'
        f'<title>{title}</title><image href="{picture}" width="1" height="1" '
        f'preserveAspectRatio="none" transform="matrix({transform})"/>'
        f'<polygon points="{outline}" fill="none" stroke="#888"/>{names}'
        f'<path d="{bar}" stroke="#000" stroke-width="2"/>'
        f'<text x="{end_of_bar + 4:.1f}" y="{height - 1:.1f}">{_BAR:g} Å</text></svg>'
    )


def _edges(
    cell: gemmi.UnitCell, first: int, second: int, axis: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The two cell edges in the plane of the picture, A, each shape (2,)."""
    lengths, angle = cell.parameters[:3], np.radians(cell.parameters[3 + axis])
    along = np.array([lengths[first], 0.0])
    return along, lengths[second] * np.array([np.cos(angle), np.sin(angle)])


def _shades(values: NDArray[np.float32], axis: int) -> NDArray[np.uint8]:
    """Highest density along an axis, white for the mean of the map and below, (rows, columns, 3).

    The first of the other axes goes to the right, the second up.
    """
    seen = values.max(axis=axis)
    steps = tuple(slice(None, None, -(-n // _MOST)) for n in seen.shape)
    above = np.clip(seen[steps] - values.mean(), 0.0, None)
    darkness = above / max(float(above.max()), 1e-30)
    rows = darkness.T[::-1, :, None]
    return np.asarray(np.rint(255 - rows * (255 - _DARKEST)), dtype=np.uint8)
