"""Structure factors of atoms and their symmetry mates by direct summation."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class DirectSum:
    """Sums over atoms x and operators (R, t) of w exp(2 pi i h.(R x + t)), differentiable.

    The phase of a symmetry mate is that of the atom at hR and a shift h.t, so that the atoms
    themselves are never expanded.

    Parameters
    ----------
    hkl
        Miller indices, shape (m, 3).
    operators
        Rotation (3, 3) and fractional translation (3,) of each operator to sum over.
    dtype
        Floating-point type of the results.
    device
        Compute device.
    """

    def __init__(
        self,
        hkl: NDArray[np.int64],
        operators: Iterable[tuple[NDArray[np.int64], NDArray[np.float64]]],
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
    ) -> None:
        self.waves = [
            tuple(
                torch.as_tensor(2 * math.pi * x, dtype=dtype, device=device)
                for x in ((hkl @ rotation).T, hkl @ translation)
            )
            for rotation, translation in operators
        ]

    def mates(
        self, frac: Tensor, weight: Tensor | None = None, rows: slice = slice(None)
    ) -> list[tuple[Tensor, Tensor]]:
        """Contribution of each operator: real and imaginary parts, shapes (..., m).

        Parameters
        ----------
        frac
            Fractional coordinates, shape (..., n, 3).
        weight
            Scattering power w, shape (..., n, m) or (..., n, 1); one if omitted.
        rows
            Reflections to calculate.
        """
        out = []
        for rotated, shift in self.waves:
            angle = frac @ rotated[:, rows] + shift[rows]
            parts = angle.cos(), angle.sin()
            if weight is not None:
                parts = weight * parts[0], weight * parts[1]
            out.append((parts[0].sum(-2), parts[1].sum(-2)))
        return out

    def __call__(
        self, frac: Tensor, weight: Tensor | None = None, rows: slice = slice(None)
    ) -> tuple[Tensor, Tensor]:
        """Sum over all operators of `mates`, with the same arguments."""
        real, imaginary = zip(*self.mates(frac, weight, rows), strict=True)
        return sum(real[1:], real[0]), sum(imaginary[1:], imaginary[0])
