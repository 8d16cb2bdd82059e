"""Distinct maxima of translation functions, and axes along which the origin is free."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def distinct(correlation: NDArray[np.float64], n: int, tolerance: float) -> NDArray[np.int64]:
    """Rows of the `n` highest correlations that differ by more than `tolerance`.

    Solutions at permissible origins have the same amplitudes, hence the same correlation.
    """
    order = np.argsort(-correlation, kind="stable")
    fresh = np.diff(correlation[order], prepend=np.inf) < -tolerance
    return np.asarray(order[fresh][:n])


def free_axes(rotations: NDArray[np.int64]) -> list[bool]:
    """Axes along which every rotation (m, 3, 3) leaves a shift as it is: there the origin is free.

    Returns
    -------
    One flag for each of the three axes.
    """
    free: list[bool] = (rotations == np.eye(3)).all(axis=(0, 1)).tolist()
    return free
