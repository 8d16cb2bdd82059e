"""Side chains of every residue in every rotamer, in the frame of the backbone."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from crysformer.building.tracing.growing import frame_of
from crysformer.building.tracing.search_map import SearchMap
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.kinematics import Kinematics, Pose
from crysformer.peptide.residues import NAME_OF
from crysformer.phasing.sequence_search.random_poses import rotamers

#: Atoms that belong to the backbone.
BACKBONE = ("N", "CA", "C", "O")
_CARBON = 6
_AT_ONCE = 2_000_000  # positions interpolated at once
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

    def placed(self, backbone: Tensor, which: Tensor | None = None) -> Tensor:
        """Side chains on backbones N, CA, C, O, shape (B, 4, 3), A.

        All rotamers, shape (B, r, n, 3), or with `which` (B,) one for each, shape (B, n, 3).
        """
        n, ca, c, _ = backbone.unbind(1)
        frame = frame_of(n, ca, c, middle=True)
        if which is not None:
            return self.xyz[which] @ frame.mT + ca[:, None]
        flat = self.xyz.reshape(-1, 3) @ frame.mT + ca[:, None]
        return flat.view(len(backbone), *self.xyz.shape)


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
    tables = [rotamers(NAME_OF[letter], i + 1) for i in range(len(chi))]
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


def best_rotamers(
    search_map: SearchMap, backbone: Tensor, library: Rotamers, weight: float, n: int = 1
) -> tuple[Tensor, Tensor]:
    """Best rotamers of a residue at each of some places.

    Parameters
    ----------
    search_map
        The map.
    backbone
        N, CA, C, O, shape (B, 4, 3), A.
    library
        The residue's rotamers.
    weight
        Of the log probability of rotamers.
    n
        Number of rotamers; fewer where there are fewer.

    Returns
    -------
    (score, rotamer)
        Weighted density of the side chain and number of the rotamer, shape (B, n), best first.
    """
    if not library.names:
        none = backbone.new_zeros(len(backbone), 1)
        return none, none.long()
    scores, which = [], []
    n = min(n, len(library.chi))
    per_place = max(1, library.xyz.shape[0] * library.xyz.shape[1])
    for part in backbone.split(max(1, _AT_ONCE // per_place)):
        density = search_map.at(library.placed(part)) @ library.weight
        best = (density + weight * library.log_probability).topk(n, dim=1)
        scores.append(best.values)
        which.append(best.indices)
    return torch.cat(scores), torch.cat(which)
