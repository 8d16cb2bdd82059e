"""Integer keys of Miller indices, and the row of each index in a list of reflections."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class IndexKeys:
    """Keys of the integer triples (Miller indices, lattice vectors) of a box around zero.

    Keys are unique inside the box, and linear: the key of a sum is the sum of the keys, and the
    key of -h is minus that of h.

    Attributes
    ----------
    limits
        Largest absolute value of each component in the box.
    """

    limits: tuple[int, int, int]

    @classmethod
    def around(cls, hkl: NDArray[np.integer], factor: int = 1) -> IndexKeys:
        """Keys for `factor` times the smallest box that holds `hkl`, shape (n, 3)."""
        h, k, l = (factor * np.abs(hkl).max(axis=0, initial=0).astype(int)).tolist()  # noqa: E741
        return cls((h, k, l))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of values of each component."""
        h, k, l = self.limits  # noqa: E741
        return 2 * h + 1, 2 * k + 1, 2 * l + 1

    @property
    def size(self) -> int:
        """Number of triples in the box."""
        nh, nk, nl = self.shape
        return nh * nk * nl

    @property
    def strides(self) -> NDArray[np.int64]:
        """Keys of the three unit vectors, shape (3,)."""
        return np.array([self.shape[1] * self.shape[2], self.shape[2], 1], dtype=np.int64)

    def __call__(self, hkl: NDArray[np.integer]) -> NDArray[np.int64]:
        """Keys of triples (..., 3), from -(size // 2) to size // 2 inside the box."""
        return np.asarray(hkl.astype(np.int64) @ self.strides)

    def triples(self, keys: NDArray[np.int64]) -> NDArray[np.int64]:
        """Triples (..., 3) of keys: the inverse of the call, for triples inside the box."""
        places = np.unravel_index(keys + self.size // 2, self.shape)
        return np.stack(places, axis=-1) - np.array(self.limits)

    def contains(self, hkl: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Flags of the triples (..., 3) that lie in the box."""
        return np.asarray((np.abs(hkl) <= self.limits).all(axis=-1))


class MillerLookup:
    """Rows of a list of reflections by Miller index.

    Parameters
    ----------
    hkl
        Miller indices, shape (n, 3). Of equal ones the first counts.
    """

    def __init__(self, hkl: NDArray[np.integer]) -> None:
        self._index = IndexKeys.around(hkl)
        self._keys, self._rows = np.unique(self._index(hkl), return_index=True)

    def rows(self, hkl: NDArray[np.integer]) -> NDArray[np.int64]:
        """Rows of the indices `hkl`, shape (m, 3), in the list; -1 where it has none: (m,)."""
        if len(self._keys) == 0:
            return np.full(len(hkl), -1)
        keys = self._index(hkl)
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        found = (self._keys[at] == keys) & self._index.contains(hkl)
        return np.where(found, self._rows[at], -1)
