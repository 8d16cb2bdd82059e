"""Steps between reciprocal and direct space: measured amplitudes in, convolutions after."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crysformer.models.layers import ACTIVATIONS, CircularConv3d

_GRID = (-3, -2, -1)


class AmplitudeStep(nn.Module):
    """One learned step of phase improvement, the density modification of a network.

    The map's Fourier coefficients get the measured amplitudes, softly: a coefficient that is small
    against what was measured keeps part of its weakness, for its phase is not to be trusted. That
    map, the map itself and the context go through convolutions, which correct the map.

    Parameters
    ----------
    context
        Channels of the context.
    channels
        Width of the convolutions.
    activation
        "gelu" or "relu".
    """

    def __init__(self, context: int, channels: int, activation: str) -> None:
        super().__init__()
        last = CircularConv3d(channels, 1, 3)
        self.correct = nn.Sequential(
            CircularConv3d(2 + context, channels, 3),
            ACTIVATIONS[activation](),
            CircularConv3d(channels, channels, 3),
            ACTIVATIONS[activation](),
            last,
        )
        # The first correction is none.
        nn.init.zeros_(last.weight)
        if last.bias is not None:
            nn.init.zeros_(last.bias)
        self.log_softness = nn.Parameter(torch.tensor(-1.0))

    def forward(
        self, density: Tensor, amplitude: Tensor, context: Tensor, measured: Tensor | None = None
    ) -> Tensor:
        """Improve maps.

        Parameters
        ----------
        density
            Shape (B, 1, U, V, W), rms near one.
        amplitude
            Measured amplitudes of a map with rms one, half grid (B, 1, U, V, W // 2 + 1).
        context
            What else is known at each voxel, shape (B, C, U, V, W).
        measured
            Which amplitudes were measured, half grid (B, U, V, W // 2 + 1); the others stay as
            they are. None: all were.
        """
        F = torch.fft.rfftn(density, dim=_GRID)
        soft = (self.log_softness.exp() * amplitude).square()
        weight = amplitude / (F.real.square() + F.imag.square() + soft + 1e-6).sqrt()
        if measured is not None:
            weight = torch.where(measured[:, None], weight, 1.0)
        imposed = torch.fft.irfftn(weight * F, s=density.shape[-3:], dim=_GRID)
        correction: Tensor = self.correct(torch.cat((density, imposed, context), dim=1))
        return density + correction


def unit_amplitudes(patterson: Tensor) -> Tensor:
    """Amplitudes of the density behind a Patterson map (B, 1, U, V, W), for a map of rms one."""
    intensity = torch.fft.rfftn(patterson, dim=_GRID).real.clamp_min(0)
    voxels = patterson.shape[2] * patterson.shape[3] * patterson.shape[4]
    # The origin of the Patterson is the sum of all intensities, over the voxels.
    scale = (voxels / patterson[:, :, :1, :1, :1].clamp_min(1e-30)).sqrt()
    return intensity.sqrt() * scale


def unit_rms(density: Tensor) -> Tensor:
    """Maps (B, 1, U, V, W) scaled to rms one."""
    return density / density.square().mean((2, 3, 4), keepdim=True).add(1e-12).sqrt()
