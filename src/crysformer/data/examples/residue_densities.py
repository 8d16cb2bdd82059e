"""Standalone partial structures: each residue's density in a standard conformation."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from crysformer.crystal.fourier.grids import density_from_grid
from crysformer.crystal.fourier.structure_factors import AtomBatch, structure_factor_grid
from crysformer.data.recipe import DIPEPTIDE
from crysformer.peptide import residues
from crysformer.peptide.conformers import template_coordinates

#: Grid of a template and its spacing, A.
TEMPLATE_SHAPE = (24, 24, 24)
TEMPLATE_SPACING = 0.5

#: Edge of the cubic cell the density is made in, A: large enough for the molecule to stand alone.
#: The template is the middle of it.
_CELL_EDGE = 30.0


def residue_templates(
    device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
) -> Tensor:
    """Density of the twenty residues, row i belonging to ``residues.CODES[i]``.

    As in the authors' templates, the carbonyl O is left out (its place depends on the next
    residue), B is 20 A^2, the resolution 1.5 A and F(000) absent. The centre of mass is at voxel
    (12, 12, 12).

    Returns
    -------
    Shape (20, 24, 24, 24), e/A^3, 0.5 A between voxels.
    """
    counts = residues.N_ATOMS - 1
    xyz = torch.zeros(len(residues.NAMES), int(counts.max()), 3, dtype=torch.float64)
    number = torch.zeros(xyz.shape[:2], dtype=torch.int64)
    for i, (name, coordinates) in enumerate(template_coordinates().items()):
        kept = [j for j, atom in enumerate(residues.ATOMS[i]) if atom != "O"]
        z = residues.NUMBERS[residues.INDEX[name], kept].astype(np.int64)
        mass = residues.MASSES[z][:, None]
        centred = coordinates[kept] - (mass * coordinates[kept]).sum(axis=0) / mass.sum()
        xyz[i, : len(kept)] = torch.from_numpy(centred)
        number[i, : len(kept)] = torch.from_numpy(z)
    atoms = AtomBatch(
        frac=xyz / _CELL_EDGE + 0.5,
        number=number,
        b_iso=torch.full(number.shape, DIPEPTIDE.b_iso, dtype=torch.float64),
        occupancy=(number > 0).to(torch.float64),
    ).to(device, dtype)
    n = round(_CELL_EDGE / TEMPLATE_SPACING)
    orth = torch.eye(3, dtype=dtype, device=device) * _CELL_EDGE
    F = structure_factor_grid(atoms, orth, (n, n, n), DIPEPTIDE.d_min)
    density = density_from_grid(F, (n, n, n), _CELL_EDGE**3)
    begin = (n - TEMPLATE_SHAPE[0]) // 2
    middle = slice(begin, begin + TEMPLATE_SHAPE[0])
    return density[:, middle, middle, middle].contiguous()
