"""Cis peptide bonds of models, and standard geometry with some bonds cis."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.peptide.geometry import Peptides
from crysformer.peptide.kinematics import Kinematics, Pose
from crysformer.peptide.residue_shape import residue_shape
from crysformer.peptide.rotations import dihedrals

CIS: Final = 0.5 * math.pi
"""Absolute omega, radians, below which a peptide bond is cis."""

#: Probability of cis before proline and the like (0.05 in proteins), and before other residues
#: whose nitrogen has three carbons, which are common in rings.
_PROLINE, _TERTIARY = 0.06, 0.15
_OF_SMALL_RINGS: Final = {2: 1.0, 3: 1.0, 4: 0.5}  # the same, by their number of residues


def cis_bonds(peptides: Peptides, xyz: Tensor) -> Tensor:
    """Flags of the torsions (K,) of models (B, n, 3) that are those of cis bonds, (B, K).

    A bond with an atom whose coordinates are NaN counts as trans.
    """
    cis = torch.zeros(len(xyz), len(peptides.torsions), dtype=torch.bool)
    for k, torsion in enumerate(peptides.torsions):
        if torsion.kind == "omega":
            cis[:, k] = dihedrals(*xyz[:, list(torsion.atoms)].unbind(1)).abs() < CIS
    return cis


def cis_probability(peptides: Peptides) -> list[float]:
    """Probability of each torsion (K,) to be that of a cis peptide bond, before any data.

    Zero but for bonds to a nitrogen with three carbons, as in proline and N-methylated residues,
    and for bonds of small rings: of two or three residues, all are cis.
    """
    count = np.bincount(np.array(peptides.bonds).ravel(), minlength=len(peptides.names))
    of_next = [_PROLINE if residue_shape(x).ring else _TERTIARY for x in peptides.residue_names]
    small = [
        _OF_SMALL_RINGS.get(len(chain.letters), 0.0) * chain.cyclic for chain in peptides.chains
    ]
    return [
        max(
            of_next[peptides.residue[t.atoms[2]]] * (count[t.atoms[2]] == 3),
            small[peptides.chain[t.atoms[0]]],
        )
        if t.kind == "omega"
        else 0.0
        for t in peptides.torsions
    ]


def geometry_with_cis(kinematics: Kinematics, cis: Tensor) -> NDArray[np.float64]:
    """Standard geometry of chains, shape (n, 3), A, with some bonds (K,) cis, the others trans.

    It is the reference of `crysformer.peptide.restraints.restraints_of` for such chains.
    """
    if not cis.any():
        return kinematics.peptides.xyz
    torsions = torch.where(cis, 0.0, kinematics.reference)[None]
    chains = kinematics.n_chains
    pose = Pose(torsions, torch.eye(3).expand(1, chains, 3, 3), torch.zeros(1, chains, 3))
    return kinematics.coordinates(pose)[0][0].double().numpy()
