"""Amplitudes of one crystal in P1 on the half reciprocal grid, laid out for Fourier iterations."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.crystal.comparison.alignment import friedel_multiplicity
from crysformer.crystal.fourier.grids import (
    Shape,
    d_star_sq_grid,
    grid_shape,
    half_grid_indices,
    hkl_to_grid,
)
from crysformer.crystal.normalisation import normalized_amplitudes
from crysformer.crystal.operators import STEPS
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.resolution import within_resolution
from crysformer.memory import check_memory

# Grid points per d_min: enough for the product of density and a mask without much aliasing, and
# a third of the voxels of the maps that are written.
_SAMPLE_RATE = 2.4
#: Memory of a search to the points of its grid, bytes: 570 were measured in P1 (110 A, 2 A).
_BYTES = 700


@dataclass(frozen=True, eq=False)
class P1Grid:
    """Amplitudes of a P1 crystal on the half reciprocal grid.

    Half grids have the layout of `crysformer.crystal.fourier.grids`: shape (nu, nv, nw // 2 + 1).

    Attributes
    ----------
    data
        The crystal in P1.
    shape
        Grid of the maps, (nu, nv, nw).
    orth
        Orthogonalisation matrix, shape (3, 3), A.
    amplitude
        Measured |F|, half grid, zero elsewhere; scaled to an rms of one over the measured.
    measured, floating
        Half grids of bool: reflections with an amplitude; those within the resolution limits of
        the data that have none and are left free. F(000) is floating; reflections that the
        centring of the crystal's lattice makes absent are not, and stay zero.
    weight
        Multiplicity of each reflection in the full sphere, zero where not measured; half grid.
    d_star_sq
        1/d^2, half grid, A^-2.
    scale
        Divisor of the amplitudes.
    independent
        Reflection of the crystal's own asymmetric unit that each row of `data` stems from,
        shape (n,): symmetry mates have the same number.
    """

    data: CrystalData
    shape: Shape
    orth: Tensor
    amplitude: Tensor
    measured: Tensor
    floating: Tensor
    weight: Tensor
    d_star_sq: Tensor
    scale: float
    independent: NDArray[np.int64]

    @cached_property
    def n_independent(self) -> int:
        """Measured reflections that symmetry does not relate."""
        return len(np.unique(self.independent[self.data.measured]))

    @cached_property
    def e(self) -> Tensor:
        """|E| of the measured reflections, normalised in P1, half grid; zero elsewhere."""
        data = self.data
        values = np.zeros(len(data))
        values[data.measured] = normalized_amplitudes(data.f[data.measured], data.d[data.measured])
        return self.to_grid(values)

    @property
    def reflections_per_volume(self) -> float:
        """Measured reflections (Friedel mates as one) to the volume of the cell, A^-3.

        Independent ones to that of the asymmetric unit are as many. Complete data have
        (2 pi / 3) / d_min^3.
        """
        return float(self.data.measured.sum() / self.cell.volume)

    @property
    def cell(self) -> gemmi.UnitCell:
        """The unit cell."""
        return self.data.cell

    @property
    def n_voxels(self) -> int:
        """Grid points of one map."""
        return self.shape[0] * self.shape[1] * self.shape[2]

    @property
    def device(self) -> torch.device:
        """Device of the grids."""
        return self.amplitude.device

    @property
    def on_grid(self) -> NDArray[np.bool_]:
        """Rows of `data.hkl` that the grid holds, shape (n,)."""
        return np.asarray((2 * np.abs(self.data.hkl) < self.shape).all(axis=1), dtype=bool)

    def to_grid(self, values: NDArray[np.float64] | NDArray[np.complex128]) -> Tensor:
        """Values of `data.hkl`, shape (n,), on the half grid; NaN becomes zero.

        What is listed but lies beyond the grid is left out: files often list more than was
        measured.
        """
        inside = self.on_grid
        column = torch.as_tensor(np.nan_to_num(values[inside]))
        hkl = torch.as_tensor(self.data.hkl[inside], device=self.device)
        # single precision before it is moved: not every device has double
        single = torch.complex64 if column.is_complex() else torch.float32
        return hkl_to_grid(hkl, column.to(single).to(self.device), self.shape)

    def with_amplitudes(self, F: Tensor) -> Tensor:
        """Phases of `F` (..., half grid) with the measured amplitudes; zero where not measured."""
        return torch.where(self.measured, replace_amplitude(F, self.amplitude), 0)


def check_grid_memory(data: CrystalData) -> None:
    """Refuse a crystal, of any space group, whose grids in P1 do not fit into memory.

    Raises
    ------
    InputError
        With the size of the grid, and the memory needed and available.
    """
    shape = grid_shape(data.cell, data.d_min, _SAMPLE_RATE)
    check_memory(
        _BYTES * math.prod(shape),
        f"{data.source}: a search on a grid of {' x '.join(map(str, shape))} points",
        "cut the resolution of the data",
    )


def p1_grid(
    data: CrystalData,
    device: torch.device | str = "cpu",
    independent: NDArray[np.int64] | None = None,
    centring: NDArray[np.int64] | None = None,
) -> P1Grid:
    """Lay out P1 data on a grid fine enough for its resolution.

    Parameters
    ----------
    data
        A crystal in P1 (`crysformer.crystal.symmetry.expand_to_p1`).
    device
        Compute device.
    independent
        Rows that symmetry relates have the same number, shape (n,) (`P1Mapping.parent`); by default
        none do.
    """
    d_min = data.d_min
    shape = grid_shape(data.cell, d_min, _SAMPLE_RATE)
    orth = torch.tensor(data.orth, dtype=torch.float32, device=device)
    used = data.measured
    scale = float(np.sqrt(np.mean(data.f[used] ** 2)))
    hkl = torch.as_tensor(data.hkl[used], device=device)
    f = torch.as_tensor(data.f[used] / scale, dtype=torch.float32, device=device)
    measured = hkl_to_grid(hkl, torch.ones_like(f), shape) > 0
    d_star_sq = d_star_sq_grid(orth, shape)[0]
    # |h| <= a / d_min within the limit, and the grid reaches 1.2 a / d_min: no reflection lies on
    # the planes at Nyquist, which are their own mates and hold no complete pairs
    inside = within_resolution(d_star_sq, d_min) | (d_star_sq == 0)  # F(000) floats
    if centring is not None:
        inside &= ~_absent(centring, shape, measured.device)
    multiplicity = friedel_multiplicity(measured.to(torch.float32))
    return P1Grid(
        data=data,
        shape=shape,
        orth=orth,
        amplitude=hkl_to_grid(hkl, f, shape),
        measured=measured,
        floating=inside & ~measured,
        weight=measured * multiplicity,
        d_star_sq=d_star_sq,
        scale=scale,
        independent=np.arange(len(data)) if independent is None else independent,
    )


def _absent(centring: NDArray[np.int64], shape: Shape, device: torch.device | str) -> Tensor:
    """Absences of a centred lattice, half grid of bool."""
    h, k, l = half_grid_indices(shape, device)  # noqa: E741
    absent = torch.zeros(len(h), len(k), len(l), dtype=torch.bool, device=device)
    for u, v, w in centring.tolist():
        phase = (h * u)[:, None, None] + (k * v)[:, None] + l * w
        absent |= phase % STEPS != 0
    return absent


def replace_amplitude(F: Tensor, amplitude: Tensor) -> Tensor:
    """`F` with its modulus replaced; zero, which has no phase, stays zero."""
    return F / F.abs().clamp(min=1e-30) * amplitude
