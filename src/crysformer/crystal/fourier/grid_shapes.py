"""Sizes of grids whose Fourier transforms are fast."""

from __future__ import annotations

import math
from collections.abc import Sequence

import gemmi

Shape = tuple[int, int, int]


def grid_shape(
    cell: gemmi.UnitCell | Sequence[float],
    d_min: float,
    sample_rate: float = 3.0,
    multiple_of: int = 1,
) -> Shape:
    """The smallest FFT-friendly grid with spacing <= d_min / sample_rate along each axis.

    Parameters
    ----------
    cell
        Unit cell, or its three lengths (A).
    d_min
        High-resolution limit, A.
    sample_rate
        Grid points per `d_min`; at least 2 (Nyquist).
    multiple_of
        Every dimension is a multiple of this (the patch of a network); the quotient has no prime
        factor above 7.

    Returns
    -------
    (nu, nv, nw)
    """
    if sample_rate < 2:
        raise ValueError(f"sample_rate {sample_rate} is below 2 grid points per d_min")
    lengths = (cell.a, cell.b, cell.c) if isinstance(cell, gemmi.UnitCell) else tuple(cell)

    def axis(length: float) -> int:
        # the second bound keeps reflections that lie exactly on the limit below Nyquist
        needed = max(length * sample_rate / d_min - 1e-6, 2 * math.floor(length / d_min + 1e-4) + 1)
        return multiple_of * smooth_size(math.ceil(needed / multiple_of))

    nu, nv, nw = (axis(length) for length in lengths)
    return nu, nv, nw


def smooth_size(at_least: int) -> int:
    """The smallest integer >= `at_least` without a prime factor above 7: a fast FFT length."""
    n = max(1, at_least)
    while not _is_smooth(n):
        n += 1
    return n


def _is_smooth(n: int) -> bool:
    for prime in (2, 3, 5, 7):
        while n % prime == 0:
            n //= prime
    return n == 1
