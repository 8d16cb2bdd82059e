"""Predictions averaged over the orientations that an orthogonal cell cannot tell apart."""

from __future__ import annotations

import torch
from torch import Tensor

from crysformer.models.crysformer import CrysFormer

#: Rotations that map an orthogonal cell onto itself: none, or by 180 degrees about one axis,
#: which reverses the two axes named.
TURNS: tuple[tuple[int, ...], ...] = ((), (1, 2), (0, 2), (0, 1))


def turn(maps: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Rotate maps (..., U, V, W) by 180 degrees: reverse the two `axes` about the origin."""
    dims = [axis - 3 for axis in axes]
    return maps.flip(dims).roll([1] * len(dims), dims) if dims else maps


def turn_half_grid(values: Tensor, axes: tuple[int, ...]) -> Tensor:
    """The same rotation of what is alike for Friedel mates, half grid (..., U, V, W // 2 + 1)."""
    # reversing the last axis is, by Friedel's law, reversing the other two
    reversed_axes = {0, 1} ^ set(axes) if 2 in axes else set(axes)
    dims = [axis - 3 for axis in sorted(reversed_axes - {2})]
    return values.flip(dims).roll([1] * len(dims), dims) if dims else values


@torch.no_grad()
def predict_averaged(
    model: CrysFormer,
    patterson: Tensor,
    residues: Tensor,
    lengths: Tensor,
    estimate: Tensor | None = None,
    measured: Tensor | None = None,
) -> Tensor:
    """Mean over the four orientations of what the network predicts, turned back.

    Training sees all orientations equally often, so the four predictions are equally good and
    their errors partly differ.

    Parameters
    ----------
    patterson, residues, lengths, estimate, measured
        As for `CrysFormer.forward`.

    Returns
    -------
    Densities, shape (B, 1, U, V, W), e/A^3.
    """
    total = torch.zeros_like(patterson)
    for axes in TURNS:
        turned = None if estimate is None else turn(estimate, axes)
        known = None if measured is None else turn_half_grid(measured, axes)
        density: Tensor = model(turn(patterson, axes), residues, lengths, turned, known)
        total += turn(density.float(), axes)
    return total / len(TURNS)
