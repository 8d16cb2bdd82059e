"""Building blocks: circular convolutions, patches, transformer layers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from crysformer.models.attention import OneWayAttention, SelfAttention
from crysformer.models.dropout import Dropout
from crysformer.models.fourier_convolution import fourier_convolution, pays
from crysformer.models.placed_tokens import PlacedTokens
from crysformer.models.shared_keys import SharedKeys

Grid = tuple[int, int, int]

ACTIVATIONS = {"gelu": nn.GELU, "relu": nn.ReLU}


class CircularPad(torch.autograd.Function):
    """Periodic padding of the three last axes, (B, C, U, V, W); `pad(mode="circular")`.

    Torch's own spends more time in its backward pass on a CPU than the convolution behind it:
    here the halo is added back in place.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, width: int) -> Tensor:
        """Pad by `width` voxels on each side."""
        ctx.width = width
        for axis in (2, 3, 4):
            n = x.shape[axis]
            x = torch.cat((x.narrow(axis, n - width, width), x, x.narrow(axis, 0, width)), axis)
        return x

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """Fold the halo back onto the voxels it was copied from."""
        (grad,), p = grads, ctx.width
        grad = grad.clone()
        for axis in (4, 3, 2):
            n = grad.shape[axis] - 2 * p
            inner = grad.narrow(axis, p, n)
            inner.narrow(axis, n - p, p).add_(grad.narrow(axis, 0, p))
            inner.narrow(axis, 0, p).add_(grad.narrow(axis, n + p, p))
            grad = inner
        return grad, None


class CircularConv3d(nn.Conv3d):
    """A 3D convolution over a periodic cell: size-preserving, commutes with cyclic shifts.

    With `padding` "zeros" instead of "circular" it sees nothing beyond the faces of the cell.
    """

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, padding: str = "circular"
    ) -> None:
        super().__init__(in_channels, out_channels, kernel)
        self.halo = kernel // 2
        self.periodic = padding == "circular"

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, U, V, W) to (B, C', U, V, W); every axis is at least kernel // 2 long."""
        if pays(x, self.weight):
            return fourier_convolution(x, self.weight, self.bias, self.periodic)
        if not self.periodic:
            return functional.conv3d(x, self.weight, self.bias, padding=self.halo)
        if self.halo:
            x = CircularPad.apply(x, self.halo)
        return functional.conv3d(x, self.weight, self.bias)


class ResidualBlock(nn.Module):
    """x + conv(act(conv(x)))."""

    def __init__(
        self, channels: int, kernel: int, activation: str, padding: str = "circular"
    ) -> None:
        super().__init__()
        self.block = nn.Sequential(
            CircularConv3d(channels, channels, kernel, padding),
            ACTIVATIONS[activation](),
            CircularConv3d(channels, channels, kernel, padding),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, U, V, W) to the same."""
        y: Tensor = self.block(x)
        return x + y


class TransformerLayer(nn.Module):
    """Pre-norm one-way attention and feed-forward, each with a skip.

    Parameters
    ----------
    width, heads, head_width, landmarks, dropout, landmarks_over
        As for `OneWayAttention`.
    feedforward
        Hidden width of the feed-forward network.
    activation
        "gelu" or "relu".
    """

    def __init__(
        self, width: int, heads: int, head_width: int, feedforward: int, activation: str,
        landmarks: int | None, dropout: float, landmarks_over: str = "partial",
    ) -> None:  # fmt: skip
        super().__init__()
        self.norm_map = nn.LayerNorm(width)
        self.norm_partial = nn.LayerNorm(width)
        self.attention = OneWayAttention(
            width, heads, head_width, landmarks, dropout, landmarks_over
        )
        self.norm_feedforward = nn.LayerNorm(width)
        self.feedforward = feed_forward(width, feedforward, activation, dropout)
        start_as_identity(self.attention.output)

    def forward(
        self, x: Tensor, u: Tensor | PlacedTokens | SharedKeys, rotation: Tensor | None
    ) -> tuple[Tensor, Tensor | PlacedTokens | SharedKeys]:
        """Update the map tokens x (B, N, D) by attention over partial tokens.

        These are u, which is returned as it is: tokens (B, M, D), those of residues at places that
        examples share, or their `partial_keys`.
        """
        partial: Tensor | SharedKeys
        if isinstance(u, PlacedTokens):
            partial = SharedKeys(self.partial_keys(u), u.which)
        else:
            partial = u if isinstance(u, SharedKeys) else self.norm_partial(u)
        x = x + self.attention(self.norm_map(x), partial, rotation)
        y: Tensor = self.feedforward(self.norm_feedforward(x))
        return x + y, u

    def partial_keys(self, u: PlacedTokens) -> Tensor:
        """Keys and values of partial tokens, (P, T, 2 * heads * head_width)."""
        return u.projected(self.norm_partial, self.attention.partial_key_value)


class JointLayer(nn.Module):
    """Pre-norm attention of map and partial tokens over each other, for comparison.

    Both kinds of tokens share all projections, and both are updated. Parameters as for
    `TransformerLayer`; there are no landmarks.
    """

    def __init__(
        self, width: int, heads: int, head_width: int, feedforward: int, activation: str,
        landmarks: int | None, dropout: float, landmarks_over: str = "partial",
    ) -> None:  # fmt: skip
        super().__init__()
        if landmarks is not None:
            raise ValueError("joint attention is exact: expected landmarks = None")
        self.norm = nn.LayerNorm(width)
        self.attention = SelfAttention(width, heads, head_width, dropout)
        self.norm_feedforward = nn.LayerNorm(width)
        self.feedforward = feed_forward(width, feedforward, activation, dropout)
        start_as_identity(self.attention.output)

    def forward(self, x: Tensor, u: Tensor, rotation: Tensor | None) -> tuple[Tensor, Tensor]:
        """Update map tokens x (B, N, D) and partial tokens u (B, M, D)."""
        n = x.shape[1]
        if rotation is not None:  # partial structures have no place in the cell
            rotation = functional.pad(rotation, (0, 0, 0, u.shape[1]))
        tokens = torch.cat((x, u), dim=1)
        tokens = tokens + self.attention(self.norm(tokens), rotation)
        tokens = tokens + self.feedforward(self.norm_feedforward(tokens))
        return tokens[:, :n], tokens[:, n:]


def feed_forward(width: int, hidden: int, activation: str, dropout: float) -> nn.Sequential:
    """Two linear layers with dropout, (B, N, D) to the same; the output starts at zero."""
    last = nn.Linear(hidden, width)
    block = nn.Sequential(
        nn.Linear(width, hidden),
        ACTIVATIONS[activation](),
        Dropout(dropout),
        last,
        Dropout(dropout),
    )
    start_as_identity(last)
    return block


def start_as_identity(last: nn.Linear) -> None:
    """Zero the last linear layer of a residual branch, so that depth does not slow first steps."""
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)


def to_patches(x: Tensor, patch: int) -> Tensor:
    """Cut (B, C, U, V, W) into patches: tokens (B, N, C * patch^3), w fastest."""
    b, c, *grid = x.shape
    nu, nv, nw = (n // patch for n in grid)
    x = x.reshape(b, c, nu, patch, nv, patch, nw, patch)
    return x.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(b, nu * nv * nw, c * patch**3)


def from_patches(tokens: Tensor, patch: int, grid: Grid) -> Tensor:
    """The inverse of `to_patches` for a voxel grid (U, V, W)."""
    nu, nv, nw = (n // patch for n in grid)
    x = tokens.reshape(len(tokens), nu, nv, nw, -1, patch, patch, patch)
    return x.permute(0, 4, 1, 5, 2, 6, 3, 7).reshape(len(tokens), -1, *grid)
