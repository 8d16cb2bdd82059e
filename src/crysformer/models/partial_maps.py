"""Partial structures as maps on the grid of the crystal, for networks that take no tokens."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from crysformer.models.layers import Grid

#: Distance between the voxels of the residue densities, A.
TEMPLATE_SPACING = 0.5


def partial_maps(templates: Tensor, residues: Tensor, lengths: Tensor, grid: Grid) -> Tensor:
    """Interpolate the residue densities of each sequence at the cell centre.

    Parameters
    ----------
    templates
        Residue densities, centre of mass at the middle voxel, shape (20, n, n, n), 0.5 A between
        voxels; zero beyond. Their scale is that of the maps (`ConstantScaling.partial`).
    residues
        The sequences, shape (B, J), rows of `templates`.
    lengths
        Cell edges, shape (B, 3), A.
    grid
        Voxels along the axes of the cell.

    Returns
    -------
    Tensor
        Shape (B, J, U, V, W), trilinear interpolation.
    """
    n = templates.shape[-1]
    axes = []
    for axis, voxels in enumerate(grid):
        fraction = torch.arange(voxels, device=lengths.device, dtype=lengths.dtype) / voxels - 0.5
        voxel = fraction * lengths[:, axis, None] / TEMPLATE_SPACING + n // 2
        axes.append(2 * voxel / (n - 1) - 1)  # first voxel -1, last voxel 1
    nu, nv, nw = grid
    u, v, w = (
        axes[0][:, :, None, None].expand(-1, nu, nv, nw),
        axes[1][:, None, :, None].expand(-1, nu, nv, nw),
        axes[2][:, None, None, :].expand(-1, nu, nv, nw),
    )
    where = torch.stack((w, v, u), dim=-1)  # fastest axis first, as grid_sample wants it
    return functional.grid_sample(
        templates[residues], where, mode="bilinear", padding_mode="zeros", align_corners=True
    )
