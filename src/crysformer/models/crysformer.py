"""CrysFormer: from a Patterson map and partial structures to electron density."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from crysformer.errors import UsageError
from crysformer.models.input_scaling import AmplitudeScaling, ConstantScaling
from crysformer.models.layers import (
    CircularConv3d,
    Grid,
    ResidualBlock,
    TransformerLayer,
    from_patches,
    to_patches,
)
from crysformer.models.phase_improvement import AmplitudeStep, unit_amplitudes, unit_rms
from crysformer.models.positions import MetricPositions, TablePositions
from crysformer.settings import check_ranges, setting

TEMPLATE_GRID = 24


@dataclass(frozen=True)
class CrysFormerConfig:
    """Architecture of the network; the defaults are the paper's dipeptide setting.

    Raises
    ------
    UsageError
        If a value is out of its range, or settings contradict each other.
    """

    n_residues: int = setting(2, "Residues J in a sequence.", min=1, max=200)
    width: int = setting(512, "Width D of the tokens.", min=1, max=8192)
    depth: int = setting(6, "Layers.", min=1, max=100)
    heads: int = setting(8, "Heads of the attention.", min=1, max=256)
    head_width: int = setting(64, "Width of a head.", min=1, max=512)
    feedforward: int = setting(512, "Hidden width of a layer.", min=1, max=65536)
    patch: int = setting(
        4, "Edge of the cubes that maps are cut into.", unit="voxels", min=1, max=16
    )
    partial_patch: int = setting(
        4, "The same of partial structures; divides 24.", unit="voxels", min=1, max=24
    )
    channels: int = setting(10, "Channels of the first convolution of maps.", min=1, max=1024)
    partial_channels: int = setting(10, "The same of partial structures.", min=1, max=1024)
    kernel: int = setting(7, "Kernel of both; odd.", unit="voxels", min=1, max=15)
    final_channels: int = setting(
        10, "Channels between the last token and the map.", min=1, max=1024
    )
    final_blocks: int = setting(2, "Residual blocks there.", min=0, max=64)
    final_kernel: int = setting(5, "Their kernel; odd.", unit="voxels", min=1, max=15)
    steps: int = setting(
        0, "Steps of phase improvement after that (`AmplitudeStep`).", min=0, max=64
    )
    step_channels: int = setting(16, "Their width.", min=1, max=1024)
    activation: Literal["gelu", "relu"] = setting(
        "gelu", "gelu: the authors' code. relu: the paper."
    )
    landmarks: int | None = setting(
        None,
        "Nystrom landmarks for attention over partial structures; exact attention without.",
        min=1,
        max=4096,
    )
    dropout: float = setting(0.1, "Dropout rate in training.", min=0, max=0.95)
    positions: Literal["table", "metric"] = setting(
        "table",
        "table: one learned table an axis, by patch number. metric: from the distance to the cell "
        "centre in A, and rotary in the attention.",
    )
    max_patches: int = setting(
        32, "Rows of the tables: patches along an axis at most.", min=1, max=1024
    )
    scaling: Literal["constant", "amplitudes"] = setting(
        "constant",
        "constant: one constant a data set, tanh at the end. amplitudes: each example's own "
        "amplitudes set all scales (`AmplitudeScaling`).",
    )
    patterson_scale: float = setting(
        1.0, "Constant of the Patterson maps.", unit="e^2/A^3", min=1e-6, max=1e9
    )
    density_scale: float = setting(
        1.0, "Constant of the densities.", unit="e/A^3", min=1e-6, max=1e9
    )
    recycling: bool = setting(
        False, "Takes an estimate of the density as one more input map (the paper's +R)."
    )
    conditions: bool = setting(
        False,
        "Takes the mask of the measured reflections: one more input map, their point spread "
        "function, and steps that leave the other amplitudes free.",
    )
    d_min: float = setting(1.5, "Resolution of the data.", unit="A", min=0.5, max=10)
    sample_rate: float = setting(
        3.0, "Grid points per d_min of the maps it was trained on.", min=2, max=10
    )
    b_iso: float = setting(
        20.0, "Displacement parameter of the training crystals.", unit="A^2", min=0, max=1000
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        if TEMPLATE_GRID % self.partial_patch:
            raise UsageError(f"partial_patch is {self.partial_patch}, expected a divisor of 24")
        for name in ("kernel", "final_kernel"):
            if getattr(self, name) % 2 == 0:
                raise UsageError(f"{name} is {getattr(self, name)}, expected an odd number")
        if self.positions == "metric" and self.head_width % 2:
            raise UsageError(
                f"head_width is {self.head_width}, expected an even number with positions 'metric'"
            )
        if self.conditions and self.scaling != "amplitudes":
            raise UsageError("a network for conditions needs scaling = 'amplitudes'")


class CrysFormer(nn.Module):
    """The network g(p, u) = e of the paper.

    Map tokens X are patches of a convolved Patterson map; partial tokens U are patches of the
    standalone densities of the residues in the sequence. Every layer updates X by attention
    over X and U, while U stays the same; X is then converted back to a map. The 20 residue
    densities are a buffer, so that weights are complete without other files.

    Parameters
    ----------
    config
        Architecture of the network.
    templates
        Standalone densities of the 20 residues in the order of `residues.CODES`, shape
        (20, 24, 24, 24), e/A^3; None leaves them to be loaded with the weights.

    References
    ----------
    Dun et al., arXiv:2310.03899, section 3 and appendix A.
    """

    templates: Tensor

    def __init__(self, config: CrysFormerConfig, templates: Tensor | None = None) -> None:
        super().__init__()
        self.config = c = config
        self.checkpointing = False
        self.scaling: ConstantScaling | AmplitudeScaling = (
            ConstantScaling(c.patterson_scale, c.density_scale)
            if c.scaling == "constant"
            else AmplitudeScaling(c.d_min, c.b_iso)
        )
        if templates is None:
            templates = torch.zeros(20, TEMPLATE_GRID, TEMPLATE_GRID, TEMPLATE_GRID)
        self.register_buffer("templates", templates.float())

        maps = self.scaling.channels + c.recycling + c.conditions
        self.stem = CircularConv3d(maps, c.channels, c.kernel)
        self.embed = nn.Linear(c.channels * c.patch**3, c.width)
        self.positions: TablePositions | MetricPositions = (
            TablePositions(c.width, c.max_patches)
            if c.positions == "table"
            else MetricPositions(c.width, c.head_width)
        )
        self.partial_stem = CircularConv3d(1, c.partial_channels, c.kernel)
        self.partial_embed = nn.Linear(c.partial_channels * c.partial_patch**3, c.width)
        self.partial_positions = nn.Parameter(
            0.02 * torch.randn((TEMPLATE_GRID // c.partial_patch) ** 3, c.width)
        )
        self.order = nn.Parameter(0.02 * torch.randn(c.n_residues, 1, c.width))
        self.layers = nn.ModuleList(
            TransformerLayer(
                c.width, c.heads, c.head_width, c.feedforward, c.activation, c.landmarks, c.dropout
            )
            for _ in range(c.depth)
        )
        self.norm = nn.LayerNorm(c.width)
        self.unembed = nn.Linear(c.width, c.final_channels * c.patch**3)
        last = c.final_channels + maps * c.recycling
        self.final = nn.Sequential(
            *(ResidualBlock(last, c.final_kernel, c.activation) for _ in range(c.final_blocks)),
            CircularConv3d(last, 1, 3),
        )
        self.steps = nn.ModuleList(
            AmplitudeStep(last, c.step_channels, c.activation) for _ in range(c.steps)
        )

    def forward(
        self,
        patterson: Tensor,
        residues: Tensor,
        lengths: Tensor,
        estimate: Tensor | None = None,
        measured: Tensor | None = None,
    ) -> Tensor:
        """Predict densities.

        Parameters
        ----------
        patterson
            Patterson maps, shape (B, 1, U, V, W), e^2/A^3; U, V, W multiples of the patch.
        residues
            The sequences, shape (B, J), indices into `residues.CODES`.
        lengths
            Cell edges, shape (B, 3), A.
        estimate
            Estimates of the densities, shape (B, 1, U, V, W), any scale; zero or None where
            there is none. Used by networks with recycling only.
        measured
            Mask of the measured reflections, half grid (B, U, V, W // 2 + 1); None if all are
            measured. Used by networks with `conditions` only.

        Returns
        -------
        Tensor
            Densities, shape (B, 1, U, V, W), e/A^3, the molecule's centre of mass at the cell
            centre.
        """
        grid = self._check(patterson, residues)
        if not self.config.conditions:
            measured = None
        elif measured is None and isinstance(self.scaling, AmplitudeScaling):
            measured = self.scaling.sphere(lengths, grid)
        maps = self._inputs(patterson, lengths, estimate, measured)
        x = self.map_tokens(maps, lengths)
        u = self.partial_tokens(residues)
        rotation = self.positions.rotation(self._patch_grid(grid), lengths)
        for layer in self.layers:
            if self.checkpointing and self.training:
                x = checkpoint(layer, x, u, rotation, use_reentrant=False)
            else:
                x = layer(x, u, rotation)
        y = from_patches(self.unembed(self.norm(x)), self.config.patch, grid)
        if self.config.recycling:
            y = torch.cat((y, maps), dim=1)
        improved = self._improve(self.final(y), patterson, y, measured)
        return self.scaling.output(improved, patterson, lengths)

    def _improve(
        self, density: Tensor, patterson: Tensor, context: Tensor, measured: Tensor | None
    ) -> Tensor:
        if not self.steps:
            return density
        amplitude = unit_amplitudes(patterson)
        density = unit_rms(density.float())  # Fourier transforms need single precision
        for step in self.steps:
            density = step(density, amplitude, context, measured)
        return density

    def _inputs(
        self,
        patterson: Tensor,
        lengths: Tensor,
        estimate: Tensor | None,
        measured: Tensor | None,
    ) -> Tensor:
        """Input channels (B, C, U, V, W): Patterson map, estimate, mask of measured reflections."""
        maps = [self.scaling.inputs(patterson, lengths)]
        if self.config.recycling:
            blank = torch.zeros_like(patterson) if estimate is None else unit_rms(estimate)
            maps.append(blank)
        if isinstance(self.scaling, AmplitudeScaling) and measured is not None:
            nu, nv, nw = patterson.shape[-3:]
            maps.append(self.scaling.point_spread(measured, (nu, nv, nw)))
        return torch.cat(maps, dim=1)

    def map_tokens(self, maps: Tensor, lengths: Tensor) -> Tensor:
        """X: patches of the convolved input maps (B, C, U, V, W), with positions, (B, N, D)."""
        patches = to_patches(self.stem(maps), self.config.patch)
        grid = self._patch_grid((maps.shape[2], maps.shape[3], maps.shape[4]))
        return self.embed(patches) + self.positions(grid, lengths)

    def partial_tokens(self, residues: Tensor) -> Tensor:
        """U: patches of the residue densities in the order of the sequence, (B, M, D)."""
        norm = self.templates.std().clamp_min(1e-6)
        maps = self.partial_stem((self.templates / norm)[:, None])
        tokens = self.partial_embed(to_patches(maps, self.config.partial_patch))
        tokens = tokens + self.partial_positions
        return (tokens[residues] + self.order[: residues.shape[1]]).flatten(1, 2)

    def _patch_grid(self, grid: Grid) -> Grid:
        nu, nv, nw = (n // self.config.patch for n in grid)
        return nu, nv, nw

    def _check(self, patterson: Tensor, residues: Tensor) -> Grid:
        b, channels, *grid = patterson.shape
        if channels != 1 or any(n % self.config.patch for n in grid):
            raise ValueError(
                f"patterson has shape {tuple(patterson.shape)}, expected (B, 1, U, V, W) with "
                f"U, V, W multiples of {self.config.patch}"
            )
        if residues.shape != (b, self.config.n_residues):
            raise ValueError(
                f"residues has shape {tuple(residues.shape)}, expected "
                f"({b}, {self.config.n_residues})"
            )
        return grid[0], grid[1], grid[2]


def n_parameters(model: nn.Module) -> int:
    """Number of trained parameters."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
