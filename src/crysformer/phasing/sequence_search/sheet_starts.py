"""Starting poses in sheets, along cell edges that match the distance between strands."""

from __future__ import annotations

import torch
from torch import Tensor

from crysformer.peptide.geometry import Peptides
from crysformer.peptide.kinematics import Kinematics, Pose
from crysformer.peptide.rotations import rotate

# Strands of a sheet are 4.8 A apart, antiparallel ones repeat after two (Astbury's cross-beta).
_EDGES = ((4.6, 5.1), (9.2, 10.2))  # A
_TILT_SIGMA = 0.17  # radians, of random rotations about each axis


def sheet_axes(cell: Tensor) -> Tensor:
    """Unit vectors along cell edges that may be repeats of a sheet, shape (k, 3).

    `cell` is the orthogonalisation matrix, shape (3, 3), A.
    """
    length = torch.linalg.vector_norm(cell, dim=0)
    chosen = torch.zeros(3, dtype=torch.bool)
    for low, high in _EDGES:
        chosen |= (length > low) & (length < high)
    return (cell / length).mT[chosen]


def lay_strands_across(
    kinematics: Kinematics, pose: Pose, axes: Tensor, generator: torch.Generator
) -> Pose:
    """Rotate every chain to run across a sheet axis, with its carbonyls along the axis.

    The carbonyls of a strand point to alternating sides; the direction of the chain around the
    axis, the side of the first carbonyl, and small tilts are random.

    Parameters
    ----------
    kinematics, pose
        Chains and their poses.
    axes
        Axes from `sheet_axes`, at least one, shape (k, 3).
    generator
        Random generator on the CPU.
    """
    n, p = len(pose), kinematics.peptides
    xyz = kinematics.coordinates(pose)[0].cpu()
    chosen = axes[torch.randint(len(axes), (n,), generator=generator)]
    rotation = pose.rotation.cpu().clone()
    for chain in range(len(p.chains)):
        along, across = _directions(p, xyz, chain)
        own = _frame(across, along)
        sign = 2.0 * torch.randint(2, (n, 1), generator=generator) - 1
        wanted = _frame(sign * chosen, torch.randn(n, 3, generator=generator))
        change = wanted @ own.mT
        tilt = _TILT_SIGMA * torch.randn(n, 3, generator=generator)
        rotation[:, chain] = rotate(change @ rotation[:, chain], tilt)
    return Pose(pose.torsions, rotation.to(pose.rotation), pose.translation)


def _directions(p: Peptides, xyz: Tensor, chain: int) -> tuple[Tensor, Tensor]:
    """Vectors from first to last CA, and mean C=O with alternating sign, (B, 3) each."""
    rows: dict[str, list[int]] = {"CA": [], "C": [], "O": []}
    for i, name in enumerate(p.names):
        if p.chain[i] == chain and name in rows:
            rows[name].append(i)
    bond = xyz[:, rows["O"]] - xyz[:, rows["C"]]
    sign = torch.tensor([(-1.0) ** i for i in range(bond.shape[1])])
    return xyz[:, rows["CA"][-1]] - xyz[:, rows["CA"][0]], (bond * sign[:, None]).mean(1)


def _frame(first: Tensor, second: Tensor) -> Tensor:
    """Right-handed frames (B, 3, 3): columns along `first`, then nearest to `second`."""
    x = torch.nn.functional.normalize(first, dim=1)
    y = second - (second * x).sum(1, keepdim=True) * x
    y = torch.nn.functional.normalize(y, dim=1)
    return torch.stack((x, y, torch.linalg.cross(x, y)), dim=2)
