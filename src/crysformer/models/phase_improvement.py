"""Learned density modification: measured amplitudes imposed, then convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crysformer.models.layers import ACTIVATIONS, CircularConv3d

_GRID = (-3, -2, -1)


class AmplitudeStep(nn.Module):
    """One learned step of phase improvement by density modification.

    The map's Fourier coefficients get the measured amplitudes, softly: a coefficient much smaller
    than the measured amplitude has an unreliable phase and stays partly down-weighted. That map,
    the map itself and the context are the input of convolutions that correct the map.

    Parameters
    ----------
    context
        Number of context channels.
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
        # Before training the correction is zero.
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
            Further features of each voxel, shape (B, C, U, V, W).
        measured
            Mask of the measured amplitudes, half grid (B, U, V, W // 2 + 1); the others stay
            unchanged. None: all are measured.
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
