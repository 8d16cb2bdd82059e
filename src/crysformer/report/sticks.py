"""Bonds of models for drawing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LONGEST_BOND = 1.95
"""Atoms closer than this are bonded, A (S-C is 1.8; S-S, 2.05, is left out)."""


def bonded_pairs(xyz: NDArray[np.float64]) -> NDArray[np.int64]:
    """Pairs of atoms that are bonded, by their distance.

    Parameters
    ----------
    xyz
        Coordinates of atoms other than hydrogen, shape (n, 3), A.

    Returns
    -------
    ndarray
        Shape (bonds, 2), rows of `xyz`, the smaller one first.
    """
    distance = np.linalg.norm(xyz[:, None] - xyz[None], axis=-1)
    return np.argwhere(np.triu(distance < LONGEST_BOND, k=1))
