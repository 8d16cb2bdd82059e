"""Grid of Miller indices on which exp(2 pi i h.x) is a product of one factor per axis."""

from __future__ import annotations

import math

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.crystal.miller import MillerLookup
from crysformer.crystal.operators import operators
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.symmetry import p1_mapping

Mate = tuple[Tensor, Tensor, Tensor]
"""Symmetry mate of each element of the box: its place, cos and sin of the phase shift between
them, and -1 where the mate is the complex conjugate; shapes (box,), (2, box), (box,)."""


class MillerBox:
    """All Miller indices up to the largest of a list, one half of them by Friedel's law.

    Parameters
    ----------
    hkl
        Reflections to cover, shape (n, 3); either Friedel mate.

    Attributes
    ----------
    axes
        Order of the cell's axes in the box: the longest is one side of the matrix product, and
        the second longest, last in the box, is halved by Friedel's law.
    shape
        Number of elements along each axis of the box; the last holds indices from zero upwards.
    ranges
        Miller indices along each axis of the box.
    """

    def __init__(self, hkl: NDArray[np.int64]) -> None:
        limit = np.abs(hkl).max(axis=0)
        order = np.argsort(-limit, kind="stable")
        self.axes = (int(order[0]), int(order[2]), int(order[1]))
        nx, ny, nz = (int(limit[i]) for i in self.axes)
        self.shape = (2 * nx + 1, 2 * ny + 1, nz + 1)
        self.ranges = (torch.arange(-nx, nx + 1), torch.arange(-ny, ny + 1), torch.arange(nz + 1))

    def index(self, hkl: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Places of indices (n, 3) in the box, and a flag where the Friedel mate is stored."""
        h = hkl[:, list(self.axes)]
        flip = h[:, 2] < 0
        h = np.where(flip[:, None], -h, h)
        nx, ny = self.shape[0] // 2, self.shape[1] // 2
        return ((h[:, 0] + nx) * self.shape[1] + h[:, 1] + ny) * self.shape[2] + h[:, 2], flip

    @property
    def hkl(self) -> NDArray[np.int64]:
        """Miller indices (h, k, l) of every element, shape (box, 3)."""
        grid = np.stack([g.flatten() for g in torch.meshgrid(*self.ranges, indexing="ij")], axis=-1)
        own = np.empty_like(grid)
        own[:, list(self.axes)] = grid
        return own

    def mates(
        self, hkl: NDArray[np.int64], group: gemmi.SpaceGroup, device: torch.device | str
    ) -> list[Mate]:
        """Symmetry mates of reflections of the stored half, for all operators but the identity.

        Parameters
        ----------
        hkl
            Reflections whose mates are all in the box, shape (n, 3); zero elsewhere.
        group
            Space group; centring is left out.
        device
            Device of the result.
        """
        place, _ = self.index(hkl)
        size, found = math.prod(self.shape), []
        for rotation, shift in operators(group):
            if np.array_equal(rotation, np.eye(3)) and not shift.any():
                continue
            mate, conjugate = self.index(hkl @ rotation)
            index = torch.zeros(size, dtype=torch.int64)
            index[place] = torch.as_tensor(mate)
            angle = 2 * math.pi * (hkl @ shift)
            factor = torch.zeros(3, size)
            for i, values in enumerate(
                (np.cos(angle), np.sin(angle), np.where(conjugate, -1.0, 1.0))
            ):
                factor[i, place] = torch.as_tensor(values, dtype=torch.float32)
            factor = factor.to(device)
            found.append((index.to(device), factor[:2], factor[2]))
        return found


def sum_over_symmetry(total: Tensor, mates: list[Mate]) -> tuple[Tensor, Tensor]:
    """Fr and Fi (B, box) of the whole cell from those of the asymmetric unit (B, 2, box)."""
    fr, fi = total[:, 0], total[:, 1]
    for index, shift, sign in mates:
        mate = total.index_select(2, index)
        mr, mi = mate[:, 0], mate[:, 1] * sign
        fr = fr + mr * shift[0] - mi * shift[1]
        fi = fi + mr * shift[1] + mi * shift[0]
    return fr, fi


def p1_reflections(
    data: CrystalData, used: NDArray[np.bool_], d_min: float | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Both Friedel mates of reflections in P1, for the box and the target.

    Parameters
    ----------
    data
        The crystal, any space group.
    used
        Reflections of the data to take, shape (n_data,).
    d_min
        Add all other reflections to this resolution, A, but absences and F(000).

    Returns
    -------
    (hkl, f)
        Miller indices, shape (n, 3), and measured amplitudes, shape (n,); NaN for those added.
    """
    mapping = p1_mapping(data.hkl[used], data.space_group)
    hkl, f = mapping.hkl.astype(np.int64), mapping.values(data.f[used])
    if d_min is not None:
        unique = gemmi.make_miller_array(data.cell, data.space_group, d_min)
        sphere = p1_mapping(unique, data.space_group).hkl.astype(np.int64)
        more = sphere[MillerLookup(hkl).rows(sphere) < 0]
        hkl = np.concatenate((hkl, more))
        f = np.concatenate((f, np.full(len(more), np.nan)))
    return np.concatenate((hkl, -hkl)), np.tile(f, 2)
