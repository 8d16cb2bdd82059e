"""Conversion between the crystal and the network's frame."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.crystal.cell_composition import composition
from crysformer.crystal.fourier.grids import (
    Shape,
    density_from_grid,
    grid_from_density,
    grid_shape,
    grid_to_hkl,
    half_grid_indices,
    hkl_to_grid,
)
from crysformer.crystal.normalisation import sum_of_squares, wilson_b
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.resolution import within_resolution
from crysformer.models.density_network import NetworkConfig

#: Resolution to which a Wilson plot of some hundred reflections tells the B of a peptide: on 60
#: dipeptides it is right to 1.3 A^2 at 1.5 A and 5 A^2 at 2.0 A, and 12 A^2 too high at 2.5 A.
_WILSON_D_MIN = 2.2


@dataclass(frozen=True, eq=False)
class NetworkFrame:
    """A crystal with its axes in the order a >= b >= c, and its amplitudes on a network's grid.

    Attributes
    ----------
    rotation
        Signed permutation of determinant 1, shape (3, 3): indices in the network's frame are
        ``hkl @ rotation.T``.
    lengths
        Edges in the network's frame, A.
    amplitudes
        |F| on absolute scale to the network's resolution, half grid of `shape`.
    shape
        The network's grid.
    measured
        True where measured, half grid; the others have their expected amplitude.
    completeness
        Fraction of the reflections to the network's resolution that was measured.
    scale
        Amplitude in the data's units of one electron.
    d_min
        The network's resolution, A.
    b_excess
        Displacement parameter of the crystal beyond that of the network's, A^2; the amplitudes
        here are corrected for it. Zero for a network of one B.
    """

    rotation: NDArray[np.int64]
    lengths: tuple[float, float, float]
    amplitudes: Tensor
    measured: Tensor
    shape: Shape
    completeness: float
    scale: float
    d_min: float
    b_excess: float = 0.0

    @classmethod
    def of(
        cls, data: CrystalData, sequence: str, config: NetworkConfig, wilson_scale: float = 1.0
    ) -> NetworkFrame:
        """Reorder the axes of a P1 crystal with right angles, and fill in missing amplitudes.

        The scale comes from comparing the measured intensities with those expected of the atoms
        at random positions, with the displacement parameter the network was trained on; a missing
        reflection takes that expectation. `wilson_scale` is the mean ratio of amplitudes to this
        expectation among the training crystals (`training.domain.wilson_scale`), which a network
        with constant scales depends on. For a network of imperfect data amplitudes are first
        brought to that displacement parameter, by the Wilson plot where the resolution allows one.
        """
        edges = (data.cell.a, data.cell.b, data.cell.c)
        rotation = order_axes(edges)
        a, b, c = (float(x) for x in np.abs(rotation) @ edges)
        shape = grid_shape((a, b, c), config.d_min, config.sample_rate, config.patch)

        atoms = composition(sequence)
        used = data.measured & (within_resolution(data.d**-2.0, config.d_min))
        d_star_sq = data.d[used] ** -2.0
        b_excess = 0.0
        if config.conditions and data.d_min <= _WILSON_D_MIN:
            b_excess = wilson_b(data, atoms).b_iso - config.b_iso
        f = data.f[used] * np.exp(b_excess / 4 * d_star_sq)
        expected = sum_of_squares(atoms, d_star_sq) * np.exp(-0.5 * config.b_iso * d_star_sq)
        scale = math.sqrt(float(np.sum(f**2)) / float(np.sum(expected))) / wilson_scale

        hkl = torch.from_numpy(data.hkl[used] @ rotation.T)
        measured = hkl_to_grid(hkl, torch.ones(len(hkl)), shape) > 0
        amplitudes = hkl_to_grid(hkl, torch.from_numpy(f / scale), shape)
        h, k, l = half_grid_indices(shape)  # noqa: E741
        s_sq = ((h / a) ** 2)[:, None, None] + ((k / b) ** 2)[:, None] + (l / c) ** 2
        inside = within_resolution(s_sq, config.d_min)
        flat = s_sq.double().numpy().ravel()
        mean = sum_of_squares(atoms, flat) * np.exp(-0.5 * config.b_iso * flat)
        fill = wilson_scale * torch.from_numpy(mean).sqrt().reshape(s_sq.shape)
        return cls(
            rotation=rotation,
            lengths=(a, b, c),
            amplitudes=torch.where(measured, amplitudes, fill) * inside,
            measured=measured & inside,
            shape=shape,
            completeness=float((measured & inside).sum() / inside.sum()),
            scale=scale,
            d_min=config.d_min,
            b_excess=b_excess,
        )

    @property
    def volume(self) -> float:
        """Volume of the cell, A^3."""
        return math.prod(self.lengths)

    def coefficients(self, density: Tensor, hkl: NDArray[np.integer]) -> NDArray[np.complex128]:
        """Fourier transform of a map in this frame at the crystal's own indices, data's scale.

        Parameters
        ----------
        density
            Shape `shape`, e/A^3.
        hkl
            Shape (n, 3). Those beyond the network's resolution give zero.
        """
        F = grid_from_density(density[None].double().cpu(), self.volume)[0]
        reordered = hkl @ self.rotation.T
        d_star_sq = np.sum((reordered / np.array(self.lengths)) ** 2, axis=1)
        inside = within_resolution(d_star_sq, self.d_min)
        values = np.zeros(len(hkl), dtype=np.complex128)
        falloff = self.scale * np.exp(-self.b_excess / 4 * d_star_sq[inside])
        values[inside] = grid_to_hkl(F, torch.from_numpy(reordered[inside])).numpy() * falloff
        return values

    def density(self, density: Tensor, sample_rate: float) -> NDArray[np.float32]:
        """A map in this frame on the crystal's own axes, at another sampling, data's scale."""
        inside = torch.nonzero(self.amplitudes > 0)
        axes = half_grid_indices(self.shape)
        reordered = torch.stack([axis[inside[:, i]] for i, axis in enumerate(axes)], dim=1).numpy()
        hkl = reordered @ self.rotation
        edges = tuple(float(x) for x in np.abs(self.rotation).T @ self.lengths)
        shape = grid_shape(edges, self.d_min, sample_rate)
        F = hkl_to_grid(
            torch.from_numpy(hkl), torch.from_numpy(self.coefficients(density, hkl)), shape
        )
        return density_from_grid(F[None], shape, self.volume)[0].numpy().astype(np.float32)


def order_axes(edges: tuple[float, float, float]) -> NDArray[np.int64]:
    """The proper rotation by quarter turns that orders cell edges a >= b >= c.

    Returns
    -------
    numpy.ndarray
        Signed permutation matrix of determinant 1, shape (3, 3): row i is the old axis that
        becomes the i-th; the last is reversed where the permutation alone would be a mirror.
    """
    order = np.argsort(-np.asarray(edges), kind="stable")
    rotation = np.eye(3, dtype=np.int64)[order]
    rotation[2] *= round(np.linalg.det(rotation))
    return rotation
