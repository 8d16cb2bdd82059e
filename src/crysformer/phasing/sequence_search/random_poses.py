"""Random conformations by Ramachandran regions and rotamers, in any orientation."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from crysformer.peptide import residues
from crysformer.peptide.cis_bonds import cis_probability
from crysformer.peptide.geometry import Peptides
from crysformer.peptide.kinematics import Kinematics, Pose
from crysformer.peptide.ring_closure import closed
from crysformer.peptide.rotations import random_rotations

# phi, psi and their standard deviation (degrees) in the regions of the Ramachandran plot.
_REGIONS = ((-120.0, 132.0, 22.0), (-72.0, 148.0, 18.0), (-64.0, -42.0, 14.0), (58.0, 42.0, 14.0))
# Probability of each region for residues of strands, of helices, and of other chains.
_PROBABILITIES = (
    (0.72, 0.24, 0.03, 0.01),
    (0.02, 0.05, 0.91, 0.02),
    (0.30, 0.27, 0.36, 0.07),
)
ANY = (0.4, 0.15, 0.45)
"""Probabilities of a strand, a helix, or neither, for any chain."""
STRANDS = (0.8, 0.0, 0.2)
"""The same where sheets are likely."""
_MIRRORED_GLYCINE = 0.5  # probability
_RAMACHANDRAN_FLOOR, _MIRRORED_SHARE = 0.005, 0.05  # of `ramachandran_density`
_RAMACHANDRAN_BLUR = 8.0  # degrees: real regions have no Gaussian rims
_OMEGA_SIGMA, _CHI_SIGMA = 4.0, 12.0  # degrees
# Rotamers: (degrees, probability) of each.
_ALIPHATIC = ((-65.0, 0.22), (178.0, 0.63), (65.0, 0.15))
_CHI1 = ((-65.0, 0.52), (-178.0, 0.33), (63.0, 0.15))
_RING = ((90.0, 0.5), (-90.0, 0.5))
_FLAT = (*((30.0 * i, 1 / 12) for i in range(12)),)
# Torsions whose rotamers differ from those above; flat groups may have any angle.
_ROTAMERS = {
    ("VAL", 1): ((175.0, 0.70), (-60.0, 0.20), (64.0, 0.10)),
    ("THR", 1): ((62.0, 0.46), (-60.0, 0.46), (-175.0, 0.08)),
    ("SER", 1): ((63.0, 0.46), (-64.0, 0.29), (178.0, 0.25)),
    ("ILE", 1): ((-63.0, 0.74), (62.0, 0.14), (-175.0, 0.12)),
    ("LEU", 2): ((174.0, 0.62), (64.0, 0.33), (-70.0, 0.05)),
    **{(name, 2): _RING for name in ("PHE", "TYR")},
    **{(name, 2): _FLAT for name in ("ASN", "ASP", "HIS", "TRP")},
    **{(name, 3): _FLAT for name in ("GLN", "GLU")},
    ("ARG", 4): ((180.0, 0.45), (90.0, 0.275), (-90.0, 0.275)),
}


def random_poses(
    peptides: Peptides,
    n: int,
    cell: Tensor,
    generator: torch.Generator,
    kinds: tuple[float, float, float] = ANY,
) -> Pose:
    """Random conformations in random orientations and positions.

    Parameters
    ----------
    peptides
        The chains.
    n
        Number of poses.
    cell
        Orthogonalisation matrix, shape (3, 3), A.
    generator
        Random generator on the CPU.
    kinds
        Probabilities that a chain is a strand, a helix, or neither.
    """
    chains = len(peptides.sequences)
    rotation = random_rotations(n * chains, generator).view(n, chains, 3, 3)
    place = torch.rand(n, chains, 3, generator=generator) @ cell.mT
    torsions = random_torsions(peptides, n, generator, kinds)
    if peptides.ring_bonds:
        torsions = closed(Kinematics(peptides), torsions)
    return Pose(torsions, rotation, place)


def random_torsions(
    peptides: Peptides,
    n: int,
    generator: torch.Generator,
    kinds: tuple[float, float, float] = ANY,
) -> Tensor:
    """Torsion angles of `n` conformations, shape (n, K), radians; `kinds` as in `random_poses`."""
    codes = peptides.codes
    regions = torch.tensor(_REGIONS)
    kind = torch.multinomial(
        torch.tensor(kinds), n * len(peptides.sequences), True, generator=generator
    ).view(n, -1)
    probabilities = torch.tensor(_PROBABILITIES)
    chain_of = [c for c, chain in enumerate(peptides.chains) for _ in chain.letters]
    phi_psi = torch.empty(n, len(codes), 2)
    for i in range(len(codes)):
        chosen = torch.multinomial(probabilities[kind[:, chain_of[i]]], 1, generator=generator)[
            :, 0
        ]
        centre = regions[chosen]
        angles = centre[:, :2] + centre[:, 2:] * torch.randn(n, 2, generator=generator)
        if i in peptides.achiral:
            mirrored = torch.rand(n, generator=generator) < _MIRRORED_GLYCINE
            angles = torch.where(mirrored[:, None], -angles, angles)
        if i in peptides.d_residues:
            angles = -angles
        phi_psi[:, i] = angles
    out = torch.empty(n, len(peptides.torsions))
    cis = cis_probability(peptides)
    for k, torsion in enumerate(peptides.torsions):
        if torsion.kind in ("phi", "psi"):
            angle = phi_psi[:, torsion.residue, int(torsion.kind == "psi")]
            out[:, k] = angle + 180.0 * torsion.opposite
            continue
        likely: tuple[tuple[float, float], ...]
        if torsion.kind == "omega":
            chances = ((180.0, 1.0 - cis[k]), (0.0, cis[k]))
            likely, sigma = tuple(x for x in chances if x[1]), _OMEGA_SIGMA
        else:
            name = peptides.residue_names[torsion.residue]
            likely, sigma = rotamers(name, int(torsion.kind[3:])), _CHI_SIGMA
        probability = torch.tensor([p for _, p in likely])
        centre = torch.tensor([x for x, _ in likely])
        chosen = torch.multinomial(probability, n, True, generator=generator)
        drawn = centre[chosen] + sigma * torch.randn(n, generator=generator)
        out[:, k] = -drawn if torsion.residue in peptides.d_residues else drawn
    return out * (math.pi / 180)


def rotamers(name: str, number: int) -> tuple[tuple[float, float], ...]:
    """Rotamers of one side-chain torsion of an L residue: (degrees, probability) of each.

    D residues have those of their mirror image, residues beside the twenty those of a long chain.
    """
    if letter := residues.LETTER_OF.get(name):
        name = residues.NAME_OF[letter]
    return _ROTAMERS.get((name, number), _CHI1 if number == 1 else _ALIPHATIC)


def ramachandran_density(phi_psi: Tensor) -> Tensor:
    """Probability density of phi and psi of residues of unknown type, up to a constant.

    The regions of random conformations, glycine's mirrored ones and a floor for everything else.

    Parameters
    ----------
    phi_psi
        Degrees, shape (..., 2).
    """
    share = torch.tensor(ANY) @ torch.tensor(_PROBABILITIES)
    density = phi_psi.new_full(phi_psi.shape[:-1], _RAMACHANDRAN_FLOOR)
    for sign, weight in ((1.0, 1.0), (-1.0, _MIRRORED_SHARE)):
        for (phi, psi, sigma), probability in zip(_REGIONS, share.tolist(), strict=True):
            away = phi_psi - sign * torch.tensor([phi, psi])
            away = away - 360 * (away / 360).round()
            square = (away**2).sum(-1) / (sigma + _RAMACHANDRAN_BLUR) ** 2
            density = density + weight * probability * torch.exp(-0.5 * square)
    return density
