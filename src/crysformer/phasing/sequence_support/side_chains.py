"""Side chains of all residue types on a given backbone, in random rotamers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.kinematics import Kinematics, Pose
from crysformer.peptide.residue_shape import backbone_axes
from crysformer.peptide.residues import CODES
from crysformer.peptide.restraints import restraints_of
from crysformer.phasing.sequence_search.random_poses import random_torsions

TYPES = "".join(code for code in CODES if code != "P")
"""Residue types that a residue may be exchanged for: proline has another backbone."""
BACKBONE = ("N", "CA", "C", "O", "OXT")
_DRAWN = (1, 8, 24, 48, 72)  # conformations by the number of side-chain torsions


@dataclass(frozen=True, eq=False)
class SideChain:
    """The side chain of a residue type.

    Attributes
    ----------
    letter
        One-letter code.
    names
        Its m atoms, CB first.
    number
        Atomic numbers, shape (m,).
    conformations
        Coordinates in random rotamers, shape (B, m, 3), A; CA at the origin, axes as
        `crysformer.peptide.residue_shape.backbone_axes`.
    first, second
        Atoms of restrained distances, shape (p,): those of the side chain from 0, then N, CA and C
        as m, m + 1 and m + 2.
    distance, sigma
        A, shape (p,).
    """

    letter: str
    names: tuple[str, ...]
    number: NDArray[np.int64]
    conformations: NDArray[np.float64]
    first: NDArray[np.int64]
    second: NDArray[np.int64]
    distance: NDArray[np.float64]
    sigma: NDArray[np.float64]

    def on(self, backbone: NDArray[np.float64]) -> NDArray[np.float64]:
        """The conformations on the N, CA and C of a residue, shape (B, m, 3), A."""
        return self.conformations @ backbone_axes(*backbone).T + backbone[1]


@lru_cache(maxsize=64)
def side_chain(letter: str, mirrored: bool = False) -> SideChain:
    """The side chain of a residue type, of a D residue if `mirrored`."""
    notation = f"(D-{letter})" if mirrored and letter != "G" else letter
    kinematics = Kinematics(build_peptides([notation]))
    p = kinematics.peptides
    atoms = [i for i, name in enumerate(p.names) if name not in BACKBONE]
    n_chi = sum(torsion.kind.startswith("chi") for torsion in p.torsions)
    n = _DRAWN[n_chi] if atoms else 1
    generator = torch.Generator().manual_seed(0)
    pose = Pose(
        random_torsions(p, n, generator),
        torch.eye(3).expand(n, 1, 3, 3).clone(),
        torch.zeros(n, 1, 3),
    )
    xyz = kinematics.coordinates(pose)[0].double().numpy()
    main = [p.names.index(name) for name in ("N", "CA", "C")]
    axes = np.stack([backbone_axes(*x[main]) for x in xyz])
    local = np.einsum("bij,baj->bai", axes.transpose(0, 2, 1), xyz - xyz[:, main[1:2]])
    place = {atom: i for i, atom in enumerate([*atoms, *main])}
    restraints = restraints_of(kinematics)
    pairs = zip(restraints.first.tolist(), restraints.second.tolist(), strict=True)
    own = set(atoms)
    kept = [i for i, (a, b) in enumerate(pairs) if a in place and b in place and {a, b} & own]
    return SideChain(
        letter,
        tuple(p.names[i] for i in atoms),
        p.number[atoms],
        local[:, atoms],
        np.array([place[int(restraints.first[i])] for i in kept], dtype=np.int64),
        np.array([place[int(restraints.second[i])] for i in kept], dtype=np.int64),
        restraints.distance[kept].double().numpy(),
        restraints.sigma[kept].double().numpy(),
    )


def padded(
    chains: Sequence[SideChain],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
    """Atomic numbers and distance restraints of several side chains in arrays of one size.

    Returns
    -------
    (number, pairs, distance, weight)
        Shapes (B, m + 3), (B, p, 2), (B, p) and (B, p): the last three atoms are N, CA and C;
        unused atoms have number 0, unused restraints weight 0, others 1 / sigma^2.
    """
    m = max(len(chain.names) for chain in chains)
    most = max(1, *(len(chain.first) for chain in chains))
    number = np.zeros((len(chains), m + 3), dtype=np.int64)
    pairs = np.zeros((len(chains), most, 2), dtype=np.int64)
    pairs[..., 1] = m  # two atoms that never coincide
    distance, weight = np.ones((2, len(chains), most))
    weight[:] = 0.0
    for i, chain in enumerate(chains):
        own, used = len(chain.names), len(chain.first)
        number[i, :own] = chain.number
        for column, atoms in enumerate((chain.first, chain.second)):
            pairs[i, :used, column] = np.where(atoms < own, atoms, atoms - own + m)
        distance[i, :used], weight[i, :used] = chain.distance, chain.sigma**-2.0
    return number, pairs, distance, weight
