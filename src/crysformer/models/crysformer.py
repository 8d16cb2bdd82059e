"""CrysFormer: from a Patterson map and partial structures to electron density."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from crysformer.models.density_network import (
    TEMPLATE_GRID,
    DensityNetwork,
    NetworkConfig,
    start_flat,
)
from crysformer.models.layers import (
    CircularConv3d,
    Grid,
    JointLayer,
    ResidualBlock,
    TransformerLayer,
    from_patches,
    to_patches,
)
from crysformer.models.phase_improvement import AmplitudeStep, unit_amplitudes, unit_rms
from crysformer.models.positions import MetricPositions, TablePositions


@dataclass(frozen=True)
class CrysFormerConfig(NetworkConfig):
    """Architecture of the network; the defaults are the paper's dipeptide setting.

    Attributes
    ----------
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
    landmarks, landmarks_over
        Nystrom landmarks for attention over partial structures ("partial", the paper) or over both
        kinds of tokens ("all"); None for exact attention.
    dropout
        Dropout rate in training.
    positions
        "table": one learned table an axis, by patch number. "metric": from the distance to the
        cell centre in A, and rotary in the attention.
    max_patches
        Rows of the tables: patches along an axis at most.
    partial_structures
        Attend to partial structures at all; without, the network sees the Patterson map alone.
    attention
        "one-way": map tokens attend to partial tokens, which stay the same (the paper). "joint":
        both attend to both and are updated; always exact.
    padding
        Of the convolutions over the cell: "circular" (periodic, as crystals are) or "zeros".
    final_maps
        Networks with recycling: the last convolutions take the input maps as well.
    """

    width: int = 512
    depth: int = 6
    heads: int = 8
    head_width: int = 64
    feedforward: int = 512
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
    landmarks_over: Literal["partial", "all"] = "partial"
    dropout: float = 0.1
    positions: Literal["table", "metric"] = "table"
    max_patches: int = 32
    partial_structures: bool = True
    attention: Literal["one-way", "joint"] = "one-way"
    padding: Literal["circular", "zeros"] = "circular"
    final_maps: bool = True


class CrysFormer(DensityNetwork):
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

    Config: ClassVar[type[NetworkConfig]] = CrysFormerConfig

    config: CrysFormerConfig

    def __init__(self, config: CrysFormerConfig, templates: Tensor | None = None) -> None:
        super().__init__(config, templates)
        c, maps = config, self.input_channels
        self.stem = CircularConv3d(maps, c.channels, c.kernel, c.padding)
        self.embed = nn.Linear(c.channels * c.patch**3, c.width)
        self.positions: TablePositions | MetricPositions = (
            TablePositions(c.width, c.max_patches)
            if c.positions == "table"
            else MetricPositions(c.width, c.head_width)
        )
        if c.partial_structures:
            self.partial_stem = CircularConv3d(1, c.partial_channels, c.kernel, c.padding)
            self.partial_embed = nn.Linear(c.partial_channels * c.partial_patch**3, c.width)
            self.partial_positions = nn.Parameter(
                0.02 * torch.randn((TEMPLATE_GRID // c.partial_patch) ** 3, c.width)
            )
            self.order = nn.Parameter(0.02 * torch.randn(c.n_residues, 1, c.width))
        layer = TransformerLayer if c.attention == "one-way" else JointLayer
        landmarks = c.landmarks if c.partial_structures else None
        self.layers = nn.ModuleList(
            layer(
                c.width,
                c.heads,
                c.head_width,
                c.feedforward,
                c.activation,
                landmarks,
                c.dropout,
                c.landmarks_over,
            )
            for _ in range(c.depth)
        )
        self.norm = nn.LayerNorm(c.width)
        self.unembed = nn.Linear(c.width, c.final_channels * c.patch**3)
        last = c.final_channels + maps * self._final_maps
        self.final = nn.Sequential(
            *(
                ResidualBlock(last, c.final_kernel, c.activation, c.padding)
                for _ in range(c.final_blocks)
            ),
            CircularConv3d(last, 1, 3, c.padding),
        )
        start_flat(self.final[-1], self.scaling)
        self.steps = nn.ModuleList(
            AmplitudeStep(last, c.step_channels, c.activation) for _ in range(c.steps)
        )

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """The transformer layers."""
        return list(self.layers)

    @property
    def _final_maps(self) -> bool:
        return self.config.recycling and self.config.final_maps

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
        measured = self.measured_mask(lengths, grid, measured)
        maps = self.input_maps(patterson, lengths, estimate, measured)
        x = self.map_tokens(maps, lengths)
        u = self.partial_tokens(residues)
        rotation = self.positions.rotation(self._patch_grid(grid), lengths)
        for layer in self.layers:
            if self.checkpointing and self.training:
                x, u = checkpoint(layer, x, u, rotation, use_reentrant=False)
            else:
                x, u = layer(x, u, rotation)
        y = from_patches(self.unembed(self.norm(x)), self.config.patch, grid)
        if self._final_maps:
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

    def map_tokens(self, maps: Tensor, lengths: Tensor) -> Tensor:
        """X: patches of the convolved input maps (B, C, U, V, W), with positions, (B, N, D)."""
        patches = to_patches(self.stem(maps), self.config.patch)
        grid = self._patch_grid((maps.shape[2], maps.shape[3], maps.shape[4]))
        return self.embed(patches) + self.positions(grid, lengths)

    def partial_tokens(self, residues: Tensor) -> Tensor:
        """U: patches of the residue densities in the order of the sequence, (B, M, D)."""
        if not self.config.partial_structures:
            return self.templates.new_zeros(len(residues), 0, self.config.width)
        norm = self.templates.std().clamp_min(1e-6)
        maps = self.partial_stem((self.templates / norm)[:, None])
        tokens = self.partial_embed(to_patches(maps, self.config.partial_patch))
        tokens = tokens + self.partial_positions
        return (tokens[residues] + self.order[: residues.shape[1]]).flatten(1, 2)

    def _patch_grid(self, grid: Grid) -> Grid:
        nu, nv, nw = (n // self.config.patch for n in grid)
        return nu, nv, nw
