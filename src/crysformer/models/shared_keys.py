"""Keys and values of partial structures that several examples share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


@dataclass(frozen=True, eq=False)
class SharedKeys:
    """Keys and values of partial tokens in one layer.

    Attributes
    ----------
    values
        Keys, then values, of each row of tokens, shape (P, T, 2 H d).
    which
        Rows that make up the tokens of each example, shape (B, J).
    gradient
        Where to add the gradient of `values`, of the same shape; None for an ordinary gradient.
    """

    values: Tensor
    which: Tensor
    gradient: Tensor | None = None


class KeysOfLayers:
    """Keys and values of the partial tokens of several batches, in every layer.

    While weights stay the same, so do the keys and values of partial structures. Batches use
    detached ones, each adds to their gradients, and `backward` takes these on to the weights once.

    Parameters
    ----------
    which
        Rows of tokens that make up sequences, shape (B, J).
    residues
        These sequences, shape (B, J), indices into `residues.CODES`.
    keys
        Keys and values of each layer, shape (P, T, 2 H d).
    """

    def __init__(self, which: Tensor, residues: Tensor, keys: list[Tensor]) -> None:
        self._keys = keys
        places = torch.arange(residues.shape[1])
        self._rows = torch.full((int(residues.max()) + 1, len(places)), -1)
        self._rows[residues, places] = which
        self._places = places
        self._values = [key.detach() for key in keys]
        self._gradients = [torch.zeros_like(key) if key.requires_grad else None for key in keys]

    def of(self, residues: Tensor) -> list[SharedKeys]:
        """Keys and values of each layer for some of these sequences, (B, J)."""
        which = self._rows[residues, self._places]
        return [
            SharedKeys(values, which, gradient)
            for values, gradient in zip(self._values, self._gradients, strict=True)
        ]

    def backward(self) -> None:
        """Add the gradients of weights, from those that the batches have added."""
        trained = [key for key in self._keys if key.requires_grad]
        if trained:
            torch.autograd.backward(trained, self._gradients)


def join_shared(k: Tensor, v: Tensor, partial: SharedKeys) -> tuple[Tensor, Tensor]:
    """Append shared keys and values of partial structures to those of the map tokens.

    Each row is copied once to the place where attention reads it, and its gradients are added up
    in place: gathering rows, splitting them into heads and joining them by torch's own operations
    takes as long as the attention itself on a CPU.

    Parameters
    ----------
    k, v
        Keys and values of the map tokens, shape (B, H, N, d).
    partial
        Keys and values of the partial tokens that examples share.

    Returns
    -------
    k, v
        Shape (B, H, N + J T, d).
    """
    joined: tuple[Tensor, Tensor] = _JoinShared.apply(
        k, v, partial.values, partial.which, partial.gradient
    )
    return joined


class _JoinShared(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, k: Tensor, v: Tensor, partial: Tensor, which: Tensor, total: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Copy the rows."""
        ctx.which, ctx.total, ctx.n = which.tolist(), total, k.shape[2]
        ctx.like = partial.shape, partial.dtype
        b, h, n, d = k.shape
        size = (b, h, n + which.shape[1] * partial.shape[1], d)
        dtype = torch.promote_types(k.dtype, partial.dtype)  # they differ under autocast
        joined = k.new_empty(size, dtype=dtype), k.new_empty(size, dtype=dtype)
        for target, own, rows in zip(joined, (k, v), _heads(partial, h), strict=True):
            target[:, :, :n] = own
            for example, tokens, row in _places(ctx.which, n, partial.shape[1]):
                target[example, :, tokens] = rows[row]
        return joined

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """Add the gradients of the copies."""
        shape, dtype = ctx.like
        total = grads[0].new_zeros(shape, dtype=dtype) if ctx.total is None else ctx.total
        for grad, rows in zip(grads, _heads(total, grads[0].shape[1]), strict=True):
            for example, tokens, row in _places(ctx.which, ctx.n, shape[1]):
                rows[row] += grad[example, :, tokens]
        own = (grad[:, :, : ctx.n] for grad in grads)
        return (*own, total if ctx.total is None else None, None, None)


def _heads(partial: Tensor, heads: int) -> Tensor:
    """(P, T, 2 H d) to (2, P, H, T, d), a view."""
    return partial.unflatten(2, (2, heads, -1)).permute(2, 0, 3, 1, 4)


def _places(which: list[list[int]], n: int, t: int) -> list[tuple[int, slice, int]]:
    """Example, its tokens and the shared row that they are copies of."""
    return [
        (example, slice(n + place * t, n + (place + 1) * t), row)
        for example, rows in enumerate(which)
        for place, row in enumerate(rows)
    ]
