"""The baseline of the paper: a residual U-Net with squeeze-and-excitation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from crysformer.errors import UsageError
from crysformer.models.density_network import (
    DensityNetwork,
    NetworkConfig,
    require_odd,
    start_flat,
)
from crysformer.models.layers import CircularConv3d
from crysformer.models.partial_maps import partial_maps
from crysformer.settings import setting


@dataclass(frozen=True)
class UNetConfig(NetworkConfig):
    """Architecture of the baseline; the defaults are those of the paper's reference 9.

    Raises
    ------
    UsageError
        If a value is out of its range, or settings contradict each other.
    """

    patch: int = setting(2, "Edges of the grids are multiples of it.", unit="voxels", min=2, max=16)
    partial_structures: bool = setting(
        False,
        "Take the residue densities as one more input map each, in the order of the sequence and "
        "at the cell centre (the paper's +PS).",
    )
    first_channels: int = setting(
        25, "Channels of the first and the last hidden layer, at full resolution.", min=1, max=1024
    )
    channels: int = setting(30, "Channels between.", min=2, max=1024)
    blocks: int = setting(8, "Residual blocks at half resolution.", min=0, max=64)
    kernel: int = setting(7, "Kernel before the upsampling; odd.", unit="voxels", min=1, max=15)
    last_kernel: int = setting(5, "Kernel after it; odd.", unit="voxels", min=1, max=15)
    reduction: int = setting(
        2,
        "Factor between the channels and the hidden units of squeeze-and-excitation.",
        min=1,
        max=1024,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require_odd(self, "kernel", "last_kernel")
        if self.patch % 2:
            raise UsageError(f"patch is {self.patch}, expected an even number")
        if self.reduction > self.channels:
            raise UsageError(f"reduction is {self.reduction}, expected at most channels")


class UNet(DensityNetwork):
    """Convolutions, half resolution, residual blocks, full resolution, convolutions.

    Convolutions before the upsampling are periodic, those after it padded with zeros. Arguments
    as for `DensityNetwork`.

    References
    ----------
    Pan et al., IUCrJ 10, 487-496 (2023), and the authors' public code, whose layers it repeats.
    """

    Config: ClassVar[type[NetworkConfig]] = UNetConfig

    config: UNetConfig

    def __init__(self, config: UNetConfig, templates: Tensor | None = None) -> None:
        super().__init__(config, templates)
        c = config
        maps = self.input_channels + c.n_residues * c.partial_structures
        self.first = nn.Sequential(
            *convolution(maps, c.first_channels, c.kernel),
            *convolution(c.first_channels, c.channels, c.kernel),
            nn.MaxPool3d(2),
        )
        self.middle = nn.Sequential(
            *(SqueezeExcitationBlock(c.channels, c.kernel, c.reduction) for _ in range(c.blocks))
        )
        self.last = nn.Sequential(
            nn.Upsample(scale_factor=2, mode="nearest"),
            *convolution(c.channels, c.first_channels, c.last_kernel, "zeros"),
            CircularConv3d(c.first_channels, 1, c.last_kernel, "zeros"),
        )
        start_flat(self.last[-1], self.scaling)

    def forward(
        self,
        patterson: Tensor,
        residues: Tensor,
        lengths: Tensor,
        estimate: Tensor | None = None,
        measured: Tensor | None = None,
    ) -> Tensor:
        """Predict densities; see `DensityNetwork.forward`."""
        grid = self.check(patterson, residues)
        maps = self.input_maps(patterson, lengths, estimate, measured)
        if self.config.partial_structures:
            templates = self.scaling.partial(self.templates)
            partial = partial_maps(templates, residues, lengths, grid)
            maps = torch.cat((maps, partial), dim=1)
        return self.scaling.output(self.last(self.middle(self.first(maps))), patterson, lengths)


class SqueezeExcitationBlock(nn.Module):
    """Residual block of two convolutions whose channels are weighted by their means.

    Parameters
    ----------
    channels, kernel
        Of both convolutions.
    reduction
        Factor between the channels and the hidden units that weight them.

    References
    ----------
    Hu et al., Squeeze-and-Excitation Networks, CVPR 2018.
    """

    def __init__(self, channels: int, kernel: int, reduction: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            *convolution(channels, channels, kernel),
            CircularConv3d(channels, channels, kernel),
            nn.BatchNorm3d(channels),
        )
        self.squeeze = nn.Linear(channels, channels // reduction)
        self.excite = nn.Linear(channels // reduction, channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, U, V, W) to the same."""
        y = self.block(x)
        hidden = functional.relu(self.squeeze(y.mean((2, 3, 4))))
        weight = torch.sigmoid(self.excite(hidden))
        return functional.relu(x + y * weight[:, :, None, None, None])


def convolution(
    in_channels: int, out_channels: int, kernel: int, padding: str = "circular"
) -> tuple[nn.Module, ...]:
    """Convolution, batch normalisation, ReLU."""
    return (
        CircularConv3d(in_channels, out_channels, kernel, padding),
        nn.BatchNorm3d(out_channels),
        nn.ReLU(),
    )
