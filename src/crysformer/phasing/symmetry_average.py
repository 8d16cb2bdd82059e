"""Imposing a space group on structure factors of P1, inside an iteration."""

from __future__ import annotations

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.crystal.maps import Shape, half_grid_indices
from crysformer.phasing.permissible_origins import operators


class SymmetryAverage:
    """Averages half grids of P1 structure factors over the operators of a space group.

    For a structure whose group has its origin at s, every operator gives
    F(h) = F(hR) exp(2 pi i [h.t + (h - hR).s]); the mean of these estimates obeys the group. It is
    the same as averaging the density over the operators, at any s, on or off the grid points.

    Parameters
    ----------
    space_group
        The group to impose.
    shift
        Fractional position s of its origin in the P1 structure, shape (3,), as
        `find_symmetry_origin` reports it.
    shape
        The map's grid (nu, nv, nw).
    device, dtype
        Of the complex half grids to average.
    """

    def __init__(
        self,
        space_group: gemmi.SpaceGroup,
        shift: NDArray[np.float64],
        shape: Shape,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.complex64,
    ) -> None:
        ops = operators(space_group)
        axes = [axis.numpy() for axis in half_grid_indices(shape)]
        hkl = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
        # On the Nyquist planes h and -h share a grid point, so that no phase relation holds.
        inside = (2 * np.abs(hkl) < np.array(shape)).all(axis=1)
        for vector in ops.centring:
            inside &= (hkl @ vector) % gemmi.Op.DEN == 0
        index, mate, factor = [], [], []
        for rotation, translation in zip(ops.rotations, ops.translations, strict=True):
            mates = hkl @ rotation
            inside &= (2 * np.abs(mates) < np.array(shape)).all(axis=1)
            mirrored = mates[:, 2] < 0
            u, v, w = (np.where(mirrored[:, None], -mates, mates) % np.array(shape)).T
            index.append((u * shape[1] + v) * (shape[2] // 2 + 1) + np.minimum(w, shape[2] // 2))
            mate.append(mirrored)
            turns = (hkl @ translation) / gemmi.Op.DEN + (hkl - mates) @ shift
            factor.append(np.exp(2j * np.pi * turns) / len(ops.rotations))
        self._index = torch.as_tensor(np.array(index), device=device)
        self._mate = torch.as_tensor(np.array(mate), device=device)
        self._factor = torch.as_tensor(np.array(factor) * inside, dtype=dtype, device=device)

    def __call__(self, F: Tensor) -> Tensor:
        """Average half grids, shape (..., nu, nv, nw // 2 + 1).

        Reflections that the group makes absent become zero, and so do those whose mates lie on or
        beyond the grid's Nyquist planes; phases of centric reflections come out restricted.
        """
        flat = F.flatten(-3)
        averaged = torch.zeros_like(flat)
        for index, mate, factor in zip(self._index, self._mate, self._factor, strict=True):
            value = flat[..., index]
            averaged += torch.where(mate, value.conj(), value) * factor
        return averaged.reshape(F.shape)


def symmetry_average_p1(
    F: Tensor, space_group: gemmi.SpaceGroup, shift: NDArray[np.float64], shape: Shape
) -> Tensor:
    """Impose a group once; in a loop, keep a `SymmetryAverage` and call that.

    Parameters
    ----------
    F
        Half grids of structure factors in P1, shape (..., nu, nv, nw // 2 + 1).
    space_group, shift, shape
        As for `SymmetryAverage`.
    """
    return SymmetryAverage(space_group, shift, shape, F.device, F.dtype)(F)
