"""Triangles of surfaces, sticks and balls."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.colors import to_rgb
from numpy.typing import NDArray

_SIDES, _RINGS = 20, 10


@dataclass(frozen=True, eq=False)
class Triangles:
    """Triangles of one material.

    Attributes
    ----------
    corners
        Shape (n, 3, 3): triangle, corner, coordinates in A.
    normals
        Normals of the surface at the corners, of length 1 and to either side, same shape.
    colour
        Red, green, blue from 0 to 1.
    opacity
        From 0 to 1, seen face-on.
    """

    corners: NDArray[np.float64]
    normals: NDArray[np.float64]
    colour: tuple[float, float, float]
    opacity: float = 1.0

    def seen(self, view: NDArray[np.float64], centre: NDArray[np.float64]) -> Triangles:
        """The same in page coordinates: `view` (3, 3) times the distance from `centre` (3,), A."""
        corners = (self.corners - centre) @ view.T
        return Triangles(corners, self.normals @ view.T, self.colour, self.opacity)


def stick(
    begin: NDArray[np.float64], end: NDArray[np.float64], radius: float, colour: str
) -> Triangles:
    """Cylinder between two points, shape (3,), A, without its ends."""
    axis = (end - begin) / np.linalg.norm(end - begin)
    across = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    across /= np.linalg.norm(across)
    turn = 2 * np.pi * np.arange(_SIDES + 1) / _SIDES
    spokes = np.outer(np.cos(turn), across) + np.outer(np.sin(turn), np.cross(axis, across))
    points = np.stack((begin + radius * spokes, end + radius * spokes))
    return _sheet(points, np.stack((spokes, spokes)), colour)


def ball(centre: NDArray[np.float64], radius: float, colour: str) -> Triangles:
    """Sphere about a point, shape (3,), A."""
    polar = np.pi * np.arange(_RINGS + 1)[:, None] / _RINGS
    turn = 2 * np.pi * np.arange(_SIDES + 1) / _SIDES
    spokes = np.stack(
        np.broadcast_arrays(
            np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn), np.cos(polar)
        ),
        axis=-1,
    )
    return _sheet(centre + radius * spokes, spokes, colour)


def _sheet(points: NDArray[np.float64], normals: NDArray[np.float64], colour: str) -> Triangles:
    """Triangles of a grid of points, shape (rows, columns, 3)."""

    def halves(x: NDArray[np.float64]) -> NDArray[np.float64]:
        a, b, c, d = x[:-1, :-1], x[:-1, 1:], x[1:, :-1], x[1:, 1:]
        pair = np.stack((np.stack((a, b, c), axis=2), np.stack((b, d, c), axis=2)))
        return np.asarray(pair.reshape(-1, 3, 3))

    return Triangles(halves(points), halves(normals), to_rgb(colour))
