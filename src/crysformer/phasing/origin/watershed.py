"""Dividing a periodic map into the basins of its maxima, and how high the passes between are."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.miller import IndexKeys
from crysformer.phasing.origin.unwrapping import Links

_ScalarT = TypeVar("_ScalarT", bound=np.generic)
_HALF_NEIGHBOURS = [step for step in itertools.product((-1, 0, 1), repeat=3) if step > (0, 0, 0)]
# Lattice vectors with components from -20 to 20 as one integer each.
_LATTICE = IndexKeys((20, 20, 20))


@dataclass(frozen=True, eq=False)
class Basins:
    """A map divided by steepest ascent.

    Attributes
    ----------
    label
        Which basin each voxel climbs to, shape (nu * nv * nw,), from 0.
    lattice
        The climb from a voxel ends at its basin's maximum moved by this many cells, shape
        (nu * nv * nw, 3).
    links
        Every pass between two basins, or from a basin to a lattice copy of itself, with the
        density at its highest point.
    """

    label: NDArray[np.int64]
    lattice: NDArray[np.int64]
    links: Links


def find_basins(values: NDArray[np.float64], floor: float) -> Basins:
    """Divide a map, shape (nu, nv, nw), periodic, each voxel having 26 neighbours.

    Passes below `floor` are left out.
    """
    shape = values.shape
    around = np.pad(values, 1, mode="wrap")
    highest = values.copy()
    direction = np.zeros((*shape, 3), dtype=np.int64)
    for half in _HALF_NEIGHBOURS:
        for step in (half, tuple(-x for x in half)):
            neighbour = _window(around, step)
            higher = neighbour > highest
            highest[higher] = neighbour[higher]
            direction[higher] = step
    points = np.stack(np.unravel_index(np.arange(values.size), shape), axis=1)
    target = points + direction.reshape(-1, 3)
    lattice = target // shape
    parent = np.ravel_multi_index(tuple((target - lattice * shape).T), shape)
    # Each pass doubles the length of the climb.
    while (parent[parent] != parent).any():
        lattice = lattice + lattice[parent]
        parent = parent[parent]
    label = np.unique(parent, return_inverse=True)[1]
    return Basins(label, lattice, _passes(values, label, lattice, floor))


def _passes(
    values: NDArray[np.float64],
    label: NDArray[np.int64],
    lattice: NDArray[np.int64],
    floor: float,
) -> Links:
    shape = values.shape
    code: NDArray[Any] = _LATTICE(lattice).reshape(shape)
    labels = label.reshape(shape)
    around, labels_around, code_around = (np.pad(x, 1, mode="wrap") for x in (values, labels, code))
    for axis in range(3):
        # Beyond the cell's faces lie the copies of what is inside.
        faces = np.moveaxis(code_around, axis, 0)
        faces[0] -= _LATTICE.strides[axis]
        faces[-1] += _LATTICE.strides[axis]
    rows = []
    for step in _HALF_NEIGHBOURS:
        other, moved = _window(labels_around, step), _window(code_around, step) - code
        height = np.minimum(values, _window(around, step))
        border = ((other != labels) | (moved != 0)) & (height >= floor)
        rows.append((labels[border], other[border], moved[border], height[border]))
    first, second, moved, height = (np.concatenate(x) for x in zip(*rows, strict=True))
    swap = first > second
    first, second = np.where(swap, second, first), np.where(swap, first, second)
    moved = np.where(swap, -moved, moved)
    order = np.lexsort((-height, moved, second, first))
    first, second, moved, height = (x[order] for x in (first, second, moved, height))
    best = np.ones(len(first), dtype=bool)
    best[1:] = (np.diff(first) != 0) | (np.diff(second) != 0) | (np.diff(moved) != 0)
    return Links(first[best], second[best], _LATTICE.triples(moved[best]), height[best])


def _window(padded: NDArray[_ScalarT], step: tuple[int, ...]) -> NDArray[_ScalarT]:
    u, v, w = (slice(1 + x, n - 1 + x) for x, n in zip(step, padded.shape, strict=True))
    return padded[u, v, w]
