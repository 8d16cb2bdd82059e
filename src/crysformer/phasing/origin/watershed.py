"""Watershed of a periodic map: the regions of its maxima, and the saddle points between them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.miller import IndexKeys
from crysformer.phasing.origin.unwrapping import Contacts

_ScalarT = TypeVar("_ScalarT", bound=np.generic)
_HALF_NEIGHBOURS = [step for step in itertools.product((-1, 0, 1), repeat=3) if step > (0, 0, 0)]
# Lattice vectors with components from -20 to 20 as one integer each.
_LATTICE = IndexKeys((20, 20, 20))


@dataclass(frozen=True, eq=False)
class WatershedRegions:
    """A map divided into regions, one for each maximum, by steepest ascent.

    Attributes
    ----------
    label
        Region of each voxel, shape (nu * nv * nw,), from 0.
    lattice
        Steepest ascent from a voxel ends at its region's maximum translated by this many cells,
        shape (nu * nv * nw, 3).
    contacts
        Contacts between two regions, or of a region with a lattice copy of itself; their strength
        is the density at the saddle point.
    """

    label: NDArray[np.int64]
    lattice: NDArray[np.int64]
    contacts: Contacts


def watershed(values: NDArray[np.float64], floor: float) -> WatershedRegions:
    """Divide a periodic map, shape (nu, nv, nw), each voxel having 26 neighbours.

    Contacts whose saddle point is below `floor` are left out.
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
    # each round doubles the length of the ascent
    while (parent[parent] != parent).any():
        lattice = lattice + lattice[parent]
        parent = parent[parent]
    label = np.unique(parent, return_inverse=True)[1]
    return WatershedRegions(label, lattice, _contacts(values, label, lattice, floor))


def _contacts(
    values: NDArray[np.float64],
    label: NDArray[np.int64],
    lattice: NDArray[np.int64],
    floor: float,
) -> Contacts:
    shape = values.shape
    code: NDArray[Any] = _LATTICE(lattice).reshape(shape)
    labels = label.reshape(shape)
    around, labels_around, code_around = (np.pad(x, 1, mode="wrap") for x in (values, labels, code))
    for axis in range(3):
        # beyond the faces of the cell lie lattice copies
        faces = np.moveaxis(code_around, axis, 0)
        faces[0] -= _LATTICE.strides[axis]
        faces[-1] += _LATTICE.strides[axis]
    rows = []
    for step in _HALF_NEIGHBOURS:
        other, translation = _window(labels_around, step), _window(code_around, step) - code
        height = np.minimum(values, _window(around, step))
        border = ((other != labels) | (translation != 0)) & (height >= floor)
        rows.append((labels[border], other[border], translation[border], height[border]))
    first, second, translation, height = (np.concatenate(x) for x in zip(*rows, strict=True))
    swap = first > second
    first, second = np.where(swap, second, first), np.where(swap, first, second)
    translation = np.where(swap, -translation, translation)
    order = np.lexsort((-height, translation, second, first))
    first, second, translation, height = (x[order] for x in (first, second, translation, height))
    best = np.ones(len(first), dtype=bool)
    best[1:] = (np.diff(first) != 0) | (np.diff(second) != 0) | (np.diff(translation) != 0)
    return Contacts(first[best], second[best], _LATTICE.triples(translation[best]), height[best])


def _window(padded: NDArray[_ScalarT], step: tuple[int, ...]) -> NDArray[_ScalarT]:
    u, v, w = (slice(1 + x, n - 1 + x) for x, n in zip(step, padded.shape, strict=True))
    return padded[u, v, w]
