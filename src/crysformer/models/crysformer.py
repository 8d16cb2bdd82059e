"""CrysFormer: from a Patterson map and partial structures to electron density."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Literal, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from crysformer.errors import UsageError
from crysformer.models.density_network import (
    TEMPLATE_GRID,
    DensityNetwork,
    NetworkConfig,
    require_odd,
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
from crysformer.models.placed_tokens import PlacedTokens
from crysformer.models.positions import MetricPositions, TablePositions
from crysformer.models.shared_keys import KeysOfLayers, SharedKeys
from crysformer.settings import setting

#: Residues at places in a sequence whose keys several batches share; more take too much memory
#: (for the paper's layers 5 MB each, and as much for gradients).
_MOST_SHARED = 64


@dataclass(frozen=True)
class CrysFormerConfig(NetworkConfig):
    """Architecture of the network; the defaults are the paper's dipeptide setting.

    Raises
    ------
    UsageError
        If a value is out of its range, or settings contradict each other.
    """

    width: int = setting(512, "Width D of the tokens.", min=1, max=8192)
    depth: int = setting(6, "Layers.", min=1, max=100)
    heads: int = setting(8, "Heads of the attention.", min=1, max=256)
    head_width: int = setting(64, "Width of a head.", min=1, max=512)
    feedforward: int = setting(512, "Hidden width of a layer.", min=1, max=65536)
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
    landmarks_over: Literal["partial", "all"] = setting(
        "partial", "all: attention over map tokens goes through the landmarks as well."
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
    partial_structures: bool = setting(
        True, "Attend to partial structures; without, the network sees the Patterson map alone."
    )
    attention: Literal["one-way", "joint"] = setting(
        "one-way",
        "one-way: map tokens attend to partial tokens, which stay the same (the paper). joint: "
        "both attend to both and are updated; always exact.",
    )
    padding: Literal["circular", "zeros"] = setting(
        "circular", "Of the convolutions over the cell: periodic, as crystals are, or zeros."
    )
    final_maps: bool = setting(
        True, "Networks with recycling: the last convolutions take the input maps as well."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if TEMPLATE_GRID % self.partial_patch:
            raise UsageError(f"partial_patch is {self.partial_patch}, expected a divisor of 24")
        require_odd(self, "kernel", "final_kernel")
        if self.positions == "metric" and self.head_width % 2:
            raise UsageError(
                f"head_width is {self.head_width}, expected an even number with positions 'metric'"
            )
        if self.attention == "joint" and self.landmarks is not None:
            raise UsageError("attention = 'joint' is exact: expected no landmarks")


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
        self._shared: KeysOfLayers | None = None
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
        sizes = c.width, c.heads, c.head_width, c.feedforward
        self.layers = nn.ModuleList(
            layer(*sizes, c.activation, landmarks, c.dropout, c.landmarks_over)
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
        self, patterson: Tensor, residues: Tensor, lengths: Tensor,
        estimate: Tensor | None = None, measured: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Predict densities; see `DensityNetwork.forward`."""
        grid = self.check(patterson, residues)
        measured = self.measured_mask(lengths, grid, measured)
        maps = self.input_maps(patterson, lengths, estimate, measured)
        x = self.map_tokens(maps, lengths)
        u: Tensor | PlacedTokens | SharedKeys | None = None
        keys: Sequence[SharedKeys | None] = [None] * len(self.layers)
        if self._shared is None:
            u = self.partial_tokens(residues)
        else:
            keys = self._shared.of(residues)
        rotation = self.positions.rotation(self._patch_grid(grid), lengths)
        for layer, own in zip(self.layers, keys, strict=True):
            over = u if own is None else own
            if self.checkpointing and self.training:
                x, u = checkpoint(layer, x, over, rotation, use_reentrant=False)
            else:
                x, u = layer(x, over, rotation)
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

    def partial_tokens(self, residues: Tensor) -> Tensor | PlacedTokens:
        """U: patches of the residue densities in the order of the sequence, (B, M, D).

        One-way layers do not update them, so that examples can share those of a residue.
        """
        if not self.config.partial_structures:
            return self.templates.new_zeros(len(residues), 0, self.config.width)
        order = self.order[: residues.shape[1]]
        if not self.shares_tokens(residues.device):
            tokens = self._residue_tokens(self.templates)[residues]
            return (tokens + order).flatten(1, 2)
        codes, row = residues.unique(return_inverse=True)
        eps = cast(TransformerLayer, self.layers[0]).norm_partial.eps
        return PlacedTokens.of(
            self._residue_tokens(self.templates[codes]), order.squeeze(1), row, eps
        )

    @contextmanager
    def sharing(self, residues: Tensor) -> Iterator[None]:
        """Make keys and values of partial structures once; see `DensityNetwork.sharing`."""
        able = self.config.partial_structures and self.shares_tokens(residues.device)
        if not able or len(residues[0]) * len(residues.unique()) > _MOST_SHARED:
            yield
            return
        tokens = self.partial_tokens(residues)
        assert isinstance(tokens, PlacedTokens)
        keys = [cast(TransformerLayer, layer).partial_keys(tokens) for layer in self.layers]
        shared = self._shared = KeysOfLayers(tokens.which, residues, keys)
        try:
            yield
        finally:
            self._shared = None
        shared.backward()

    def shares_tokens(self, device: torch.device) -> bool:
        """Whether examples share tokens of U: not on accelerators, where counting means to wait."""
        return device.type == "cpu" and self.config.attention == "one-way"

    def _residue_tokens(self, templates: Tensor) -> Tensor:
        """Patches of convolved residue densities (R, 24, 24, 24), (R, T, D)."""
        norm = self.templates.std().clamp_min(1e-6)
        maps = self.partial_stem((templates / norm)[:, None])
        tokens: Tensor = self.partial_embed(to_patches(maps, self.config.partial_patch))
        return tokens + self.partial_positions

    def _patch_grid(self, grid: Grid) -> Grid:
        nu, nv, nw = (n // self.config.patch for n in grid)
        return nu, nv, nw
