"""Predictions averaged over the equivalent orientations of an orthogonal cell."""

from __future__ import annotations

import torch
from torch import Tensor

from crysformer.models.density_network import DensityNetwork

#: Rotations that map an orthogonal cell onto itself, by the axes they reverse: the identity, and
#: 180 degrees about each axis.
ORIENTATIONS: tuple[tuple[int, ...], ...] = ((), (1, 2), (0, 2), (0, 1))


def rotate_map(maps: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Rotate maps (..., U, V, W) by 180 degrees: reverse the two `axes` about the origin."""
    dims = [axis - 3 for axis in axes]
    return maps.flip(dims).roll([1] * len(dims), dims) if dims else maps


def rotate_half_grid(values: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Rotate values that are equal for Friedel mates, half grid (..., U, V, W // 2 + 1)."""
    # reversing the last axis is, by Friedel's law, reversing the other two
    reversed_axes = {0, 1} ^ set(axes) if 2 in axes else set(axes)
    dims = [axis - 3 for axis in sorted(reversed_axes - {2})]
    return values.flip(dims).roll([1] * len(dims), dims) if dims else values


@torch.no_grad()
def predict_averaged(
    model: DensityNetwork,
    patterson: Tensor,
    residues: Tensor,
    lengths: Tensor,
    estimate: Tensor | None = None,
    measured: Tensor | None = None,
) -> Tensor:
    """Average the predictions over the four orientations, rotated back.

    Training sees all orientations equally often, so the four predictions are equally good and
    their errors partly differ.

    Parameters
    ----------
    patterson, residues, lengths, estimate, measured
        As for `DensityNetwork.forward`.

    Returns
    -------
    Densities, shape (B, 1, U, V, W), e/A^3.
    """
    total = torch.zeros_like(patterson)
    for axes in ORIENTATIONS:
        rotated = None if estimate is None else rotate_map(estimate, axes)
        known = None if measured is None else rotate_half_grid(measured, axes)
        density: Tensor = model(rotate_map(patterson, axes), residues, lengths, rotated, known)
        total += rotate_map(density.float(), axes)
    return total / len(ORIENTATIONS)
