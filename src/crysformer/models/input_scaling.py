"""Scaling of a network's input and output.

Both classes convert a Patterson map to input channels, and the network's output channel to a
density in e/A^3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crysformer.crystal.fourier.form_factors import gaussians
from crysformer.crystal.fourier.grids import Shape, d_star_sq_grid, half_grid_indices
from crysformer.crystal.fourier.precision import without_autocast
from crysformer.crystal.resolution import within_resolution

_CARBON = 6


class ConstantScaling(nn.Module):
    """Scaling by constants of the data set, as in the paper, so that tanh can reach the target.

    Parameters
    ----------
    patterson, density
        The largest absolute value of any map of the data set, e^2/A^3 and e/A^3.
    """

    channels = 1

    def __init__(self, patterson: float, density: float) -> None:
        super().__init__()
        self.patterson = patterson
        self.density = density

    def inputs(self, patterson: Tensor, lengths: Tensor) -> Tensor:
        """Patterson map (B, 1, U, V, W) to input channels of the same shape."""
        return patterson / self.patterson

    def partial(self, templates: Tensor) -> Tensor:
        """Densities of residues, e/A^3, to input maps: with the constant of the densities.

        With unit rms they would be 18 times as strong as a Patterson map with its constant, which
        a convolution over both would not see among them.
        """
        return templates / self.density

    def output(self, y: Tensor, patterson: Tensor, lengths: Tensor) -> Tensor:
        """Last layer's output (B, 1, U, V, W) to density of the same shape, e/A^3."""
        return torch.tanh(y) * self.density


class AmplitudeScaling(nn.Module):
    """Scaling by the amplitudes of each crystal, independent of the scale of the data.

    The input channels are the Patterson map and a sharpened one without its origin peak (point
    atoms, E^2 - 1), each with unit rms and with the Patterson origin moved to the cell centre,
    where the molecule is. The output is limited to the measured resolution, without F(000), and
    gets the rms of the true density by Parseval's theorem.

    Parameters
    ----------
    d_min
        Resolution, A.
    b_iso
        Displacement parameter removed by sharpening, A^2.
    """

    channels = 2

    #: The origin peak is cut at this many rms: it depends on the number of electrons only.
    _CEILING = 4.0

    def __init__(self, d_min: float, b_iso: float) -> None:
        super().__init__()
        self.d_min = d_min
        self.b_iso = b_iso
        a, b = gaussians("xray", torch.float32, torch.device("cpu"))
        self.register_buffer("_a", a[_CARBON], persistent=False)
        self.register_buffer("_b", b[_CARBON], persistent=False)

    _a: Tensor
    _b: Tensor

    def inputs(self, patterson: Tensor, lengths: Tensor) -> Tensor:
        """Patterson map (B, 1, U, V, W), any scale, to channels (B, 2, U, V, W)."""
        with without_autocast(lengths.device):
            shape = _grid_of(patterson)
            d_star_sq, measured = self._sphere(lengths, shape)
            intensity = torch.fft.rfftn(patterson[:, 0].float(), dim=(1, 2, 3)).real
            intensity = torch.where(measured, intensity.clamp_min(0), 0)
            falloff = torch.exp(-d_star_sq[..., None] * (self._b + self.b_iso) / 4) @ self._a
            point = torch.where(measured, intensity / falloff.square(), 0)
            n = measured.sum((1, 2, 3), keepdim=True)
            mean = point.sum((1, 2, 3), keepdim=True) / n
            point = torch.where(measured, point / mean.clamp_min(1e-30) - 1, 0)
            signs = _half_cell_signs(shape, patterson.device)
            maps = torch.stack((intensity, point), dim=1) * signs
            maps = torch.fft.irfftn(maps.to(torch.complex64), s=shape, dim=(2, 3, 4))
            maps = maps / maps.std((2, 3, 4), keepdim=True).clamp_min(1e-30)
            return maps.clamp_max(self._CEILING)

    def partial(self, templates: Tensor) -> Tensor:
        """Densities of residues, e/A^3, to input maps: with unit rms, as the other maps."""
        return templates / templates.std().clamp_min(1e-6)

    def point_spread(self, measured: Tensor, shape: Shape) -> Tensor:
        """Point spread function (B, 1, U, V, W) with unit rms, at the cell centre.

        `measured` is the mask of the measured reflections, half grid (B, U, V, W // 2 + 1).
        """
        weights = (measured * _half_cell_signs(shape, measured.device)).to(torch.complex64)
        spread = torch.fft.irfftn(weights, s=shape, dim=(1, 2, 3))[:, None]
        unit = spread / spread.std((2, 3, 4), keepdim=True).clamp_min(1e-30)
        return unit.clamp_max(self._CEILING)

    def output(self, y: Tensor, patterson: Tensor, lengths: Tensor) -> Tensor:
        """Last layer's output (B, 1, U, V, W) to density of the same shape, e/A^3."""
        shape = _grid_of(y)
        _, measured = self._sphere(lengths, shape)
        cut = torch.fft.rfftn(y[:, 0].float(), dim=(1, 2, 3)) * measured
        density = torch.fft.irfftn(cut, s=shape, dim=(1, 2, 3))[:, None]
        rms = (patterson[:, :, :1, :1, :1] / lengths.prod(1).reshape(-1, 1, 1, 1, 1)).sqrt()
        spread = density.square().mean((2, 3, 4), keepdim=True).add(1e-12).sqrt()
        return density * (rms / spread)

    def sphere(self, lengths: Tensor, shape: Shape) -> Tensor:
        """Mask of the reflections inside the resolution sphere, half grid (B, U, V, W // 2 + 1)."""
        return self._sphere(lengths, shape)[1]

    def _sphere(self, lengths: Tensor, shape: Shape) -> tuple[Tensor, Tensor]:
        """1/d^2 and mask of the resolution sphere, on the half grid (B, U, V, W // 2 + 1)."""
        with without_autocast(lengths.device):
            d_star_sq = d_star_sq_grid(torch.diag_embed(lengths), shape)
            return d_star_sq, within_resolution(d_star_sq, self.d_min)


def _grid_of(x: Tensor) -> Shape:
    nu, nv, nw = x.shape[-3:]
    return nu, nv, nw


def _half_cell_signs(shape: Shape, device: torch.device) -> Tensor:
    """(-1)^(h + k + l): moves the origin of a map by half the cell along every axis."""
    h, k, l = half_grid_indices(shape, device)  # noqa: E741
    parity = h.reshape(-1, 1, 1) + k.reshape(-1, 1) + l
    return torch.where(parity % 2 == 0, 1.0, -1.0)
