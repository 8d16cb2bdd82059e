"""Partial tokens of residues at places of a sequence: one projection of each residue for all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional


@dataclass(frozen=True, eq=False)
class PlacedTokens:
    """Tokens of residues to which the vector of a place in the sequence is added.

    A layer normalises these sums and projects them linearly. With their means taken away, that is
    the sum of the projected residue and the projected place, divided by the deviation of the sum.
    Each residue is projected once for all its places, and all layers have the same deviations.

    Attributes
    ----------
    residues
        Tokens of each residue, less their means, shape (R, T, D).
    places
        Vectors of the places, less their means, shape (J, D).
    deviation
        Standard deviation of each row of tokens, shape (P, T).
    residue, place
        Residue and place of each row.
    which
        Rows that make up the tokens of each example, shape (B, J).
    """

    residues: Tensor
    places: Tensor
    deviation: Tensor
    residue: list[int]
    place: list[int]
    which: Tensor

    @classmethod
    def of(cls, tokens: Tensor, places: Tensor, sequences: Tensor, eps: float) -> PlacedTokens:
        """Find the rows that occur in sequences.

        Parameters
        ----------
        tokens
            Tokens of each residue, shape (R, T, D).
        places
            Vectors of the places, shape (J, D).
        sequences
            Rows of `tokens`, shape (B, J).
        eps
            Added to variances, as by `torch.nn.LayerNorm`.
        """
        n = len(places)
        pairs, which = (sequences * n + torch.arange(n)).unique(return_inverse=True)
        residue, place = pairs // n, pairs % n
        with torch.autocast(tokens.device.type, enabled=False):
            tokens = tokens.to(places.dtype)
            tokens = tokens - tokens.mean(-1, keepdim=True)
            places = places - places.mean(-1, keepdim=True)
            own = tokens.square().mean(-1)[residue] + places.square().mean(-1)[place, None]
            common = (tokens @ places.T / tokens.shape[-1]).mT[residue, place]
            deviation = (own + 2 * common).clamp_min(0).add(eps).sqrt()
        return cls(tokens, places, deviation, residue.tolist(), place.tolist(), which)

    def projected(self, norm: nn.LayerNorm, projection: nn.Linear) -> Tensor:
        """Project the normalised tokens of each row: `projection(norm(...))`, (P, T, E)."""
        weight = projection.weight * norm.weight
        constant = functional.linear(norm.bias, projection.weight, projection.bias)
        return _projected(
            functional.linear(self.residues, weight),
            functional.linear(self.places, weight),
            self.deviation, constant, self.residue, self.place,
        )  # fmt: skip


def _projected(
    residues: Tensor, places: Tensor, deviation: Tensor, constant: Tensor,
    residue: list[int], place: list[int],
) -> Tensor:  # fmt: skip
    """(residues[r] + places[j]) / deviation + constant for each row."""
    rows: Tensor = _Projected.apply(residues, places, deviation, constant, residue, place)
    return rows


class _Projected(torch.autograd.Function):
    """Row by row, so that a row stays in the cache between its operations."""

    @staticmethod
    def forward(
        ctx: Any, residues: Tensor, places: Tensor, deviation: Tensor, constant: Tensor,
        residue: list[int], place: list[int],
    ) -> Tensor:  # fmt: skip
        scale = deviation.reciprocal()[..., None]
        ctx.save_for_backward(residues, places, scale)
        ctx.rows = list(zip(residue, place, strict=True))
        out = torch.empty(len(scale), *residues.shape[1:], dtype=residues.dtype)
        for row, (r, j) in enumerate(ctx.rows):
            torch.add(residues[r], places[j], out=out[row])
            torch.addcmul(constant, out[row], scale[row], out=out[row])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        residues, places, scale = ctx.saved_tensors
        to_residues, to_places = torch.zeros_like(residues), torch.zeros_like(places)
        to_deviation, to_constant = torch.empty_like(scale), places.new_zeros(places.shape[1:])
        for row, (r, j) in enumerate(ctx.rows):
            grad, own = grads[0][row], scale[row]
            scaled = grad * own
            to_residues[r] += scaled
            to_places[j] += scaled.sum(0)
            to_constant += grad.sum(0)
            along = (grad * (residues[r] + places[j])).sum(-1, keepdim=True)
            torch.mul(along, -own.square(), out=to_deviation[row])
        return to_residues, to_places, to_deviation[..., 0], to_constant, None, None
