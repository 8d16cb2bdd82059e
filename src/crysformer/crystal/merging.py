"""One row for each unique reflection: merging of symmetry equivalents and Friedel mates."""

from __future__ import annotations

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.miller import IndexKeys
from crysformer.crystal.operators import operators


def group_equivalents(
    hkl: NDArray[np.int32], space_group: gemmi.SpaceGroup
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Group reflections that symmetry or Friedel's law makes equal in amplitude.

    Parameters
    ----------
    hkl
        Miller indices, shape (n, 3).
    space_group
        Space group, in the setting of `hkl`.

    Returns
    -------
    first
        Row of the first member of each group, ascending, shape (m,).
    group
        Group of each row, shape (n,).
    """
    largest = 2 * int(np.abs(hkl).max(initial=0))  # a rotation can double an index (h -> -h-k)
    key_of = IndexKeys((largest, largest, largest))
    keys = np.zeros(len(hkl), dtype=np.int64)
    for rotation in operators(space_group).rotations:
        keys = np.maximum(keys, np.abs(key_of(hkl @ rotation)))  # of h and -h
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[inverse.reshape(-1)]


def merge(
    group: NDArray[np.int64],
    values: NDArray[np.float64],
    sigmas: NDArray[np.float64] | None,
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Mean of the members of each group, with inverse-variance weights.

    Parameters
    ----------
    group
        Group of each row, shape (n,), as `group_equivalents` gives it.
    values
        Measurements, shape (n,), NaN where there is none.
    sigmas
        Standard uncertainties, finite and positive wherever `values` is finite; None gives the
        plain mean.

    Returns
    -------
    mean, sigma
        Shape (m,), NaN for groups without a measurement; `sigma` is None without `sigmas`.
    """
    there = np.isfinite(values)
    n_groups = int(group.max(initial=-1)) + 1
    weights = np.ones(int(there.sum())) if sigmas is None else 1.0 / np.square(sigmas[there])
    total = np.bincount(group[there], weights, n_groups)
    scale = np.where(total == 0.0, np.nan, total)
    mean = np.bincount(group[there], weights * values[there], n_groups) / scale
    return mean, None if sigmas is None else 1.0 / np.sqrt(scale)
