"""CrysFormer: from a Patterson map and partial structures to electron density."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

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

TEMPLATE_GRID = 24


@dataclass(frozen=True)
class CrysFormerConfig:
    """Architecture of the network; the defaults are the paper's dipeptide setting.

    Attributes
    ----------
    n_residues
        Residues J in a sequence.
    width, depth, heads, head_width, feedforward
        Transformer: token width D, layers, heads and their width, hidden width.
    patch, partial_patch
        Edge of the cubes that maps and partial structures are cut into, voxels.
    channels, partial_channels, kernel
        Channels of the first convolutions, of maps and of partial structures, and their kernel.
    final_channels, final_blocks, final_kernel
        Residual blocks between the last token and the map.
    steps, step_channels
        Steps of phase improvement after that (`AmplitudeStep`), and their width.
    activation
        "gelu" (the authors' code) or "relu" (the paper).
    landmarks
        Nystrom landmarks for attention over partial structures; None for exact attention.
    dropout
        Dropout rate in training.
    positions
        "table": one learned table an axis, by patch number. "metric": from the distance to the
        cell centre in A, and rotary in the attention.
    max_patches
        Rows of the tables: patches along an axis at most.
    scaling
        "constant": one constant a data set, tanh at the end. "amplitudes": each example's own
        amplitudes set all scales (`AmplitudeScaling`).
    patterson_scale, density_scale
        The constants, e^2/A^3 and e/A^3.
    recycling
        Takes an estimate of the density as one more input map (the paper's "+R").
    conditions
        Takes the mask of the measured reflections: one more input map, their point spread
        function, and steps that leave the other amplitudes free.
    d_min, sample_rate
        Resolution of the data, A, and grid points per d_min of the maps it was trained on.
    b_iso
        Displacement parameter of the training crystals, A^2.
    """

    n_residues: int = 2
    width: int = 512
    depth: int = 6
    heads: int = 8
    head_width: int = 64
    feedforward: int = 512
    patch: int = 4
    partial_patch: int = 4
    channels: int = 10
    partial_channels: int = 10
    kernel: int = 7
    final_channels: int = 10
    final_blocks: int = 2
    final_kernel: int = 5
    steps: int = 0
    step_channels: int = 16
    activation: str = "gelu"
    landmarks: int | None = None
    dropout: float = 0.1
    positions: Literal["table", "metric"] = "table"
    max_patches: int = 32
    scaling: Literal["constant", "amplitudes"] = "constant"
    patterson_scale: float = 1.0
    density_scale: float = 1.0
    recycling: bool = False
    conditions: bool = False
    d_min: float = 1.5
    sample_rate: float = 3.0
    b_iso: float = 20.0


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

    Raises
    ------
    ValueError
        If the configuration contradicts itself.

    References
    ----------
    Dun et al., arXiv:2310.03899, section 3 and appendix A.
    """

    templates: Tensor

    def __init__(self, config: CrysFormerConfig, templates: Tensor | None = None) -> None:
        super().__init__()
        self.config = c = config
        if c.conditions and c.scaling != "amplitudes":
            raise ValueError("conditions need scaling = 'amplitudes'")
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
