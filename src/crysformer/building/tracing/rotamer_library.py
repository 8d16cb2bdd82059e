"""Side chains of every residue in every rotamer, in the frame of the backbone."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from crysformer.building.tracing.growing import frame_of
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.kinematics import Kinematics, Pose
from crysformer.phasing.sequence_search.random_poses import rotamers

#: Atoms that belong to the backbone.
BACKBONE = ("N", "CA", "C", "O")
_CARBON = 6
_LEAST_PROBABILITY = 0.01  # of a rotamer that is tried


@dataclass(frozen=True, eq=False)
class Rotamers:
    """Conformations of one side chain.

    Attributes
    ----------
    names
        Its atoms from CB on; none for glycine.
    xyz
        In the frame of `frame_of(N, CA, C, middle=True)` about CA, shape (r, n, 3), A.
    weight
        Atomic numbers relative to carbon, shape (n,).
    chi
        Side-chain torsions, shape (r, k), radians.
    log_probability
        Relative to the likeliest, shape (r,).
    """

    names: tuple[str, ...]
    xyz: Tensor
    weight: Tensor
    chi: Tensor
    log_probability: Tensor


@lru_cache(maxsize=64)
def rotamer_library(letter: str, mirrored: bool = False) -> Rotamers:
    """Rotamers of a residue inside a chain.

    Parameters
    ----------
    letter
        One-letter code.
    mirrored
        For a D residue.
    """
    peptides = build_peptides(["A" + letter + "A"])
    kinematics = Kinematics(peptides)
    chi = [k for k, t in enumerate(peptides.torsions) if t.residue == 1 and t.kind[:3] == "chi"]
    tables = [rotamers(letter, i + 1) for i in range(len(chi))]
    combinations = [
        (tuple(angle for angle, _ in c), math.prod(p for _, p in c))
        for c in itertools.product(*tables)
    ]
    most = max(p for _, p in combinations)
    combinations = [c for c in combinations if c[1] >= _LEAST_PROBABILITY * most]
    angles = torch.tensor([a for a, _ in combinations]).reshape(len(combinations), len(chi))
    angles = angles * (math.pi / 180)
    torsions = torch.tensor([t.reference for t in peptides.torsions]).float()
    torsions = torsions.repeat(len(combinations), 1)
    torsions[:, chi] = angles.float()
    eye = torch.eye(3).expand(len(combinations), 1, 3, 3)
    xyz = kinematics.coordinates(Pose(torsions, eye, torch.zeros(len(combinations), 1, 3)))[0]
    rows = {n: i for i, n in enumerate(peptides.names) if peptides.residue[i] == 1}
    n, ca, c = (xyz[:, rows[name]] for name in ("N", "CA", "C"))
    side = [name for name in rows if name not in BACKBONE]
    index = [rows[name] for name in side]
    local = torch.einsum(
        "rij,rai->raj", frame_of(n, ca, c, middle=True), xyz[:, index] - ca[:, None]
    )
    if mirrored:
        local, angles = local * torch.tensor([1.0, 1.0, -1.0]), -angles
    return Rotamers(
        names=tuple(side),
        xyz=local,
        weight=torch.as_tensor(peptides.number[index] / _CARBON).float(),
        chi=angles.float(),
        log_probability=torch.tensor([math.log(p / most) for _, p in combinations]),
    )
