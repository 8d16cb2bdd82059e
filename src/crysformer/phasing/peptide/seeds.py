"""Starts that are not left to chance: chains laid along helices that a fragment search placed."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from crysformer.crystal.reflections import CrystalData
from crysformer.data import residues
from crysformer.errors import NotApplicable
from crysformer.phasing.fragments.ideal import CONFORMATIONS, ideal_fragment
from crysformer.phasing.fragments.placement import place_fragment
from crysformer.phasing.peptide.kinematics import Kinematics, Pose, join
from crysformer.phasing.peptide.starts import random_poses

_LENGTHS = (16, 10)  # residues of the helices that are placed, longest first
_PLACED = 8  # poses of each
_DRAWN = 200  # poses returned for each length, with side chains and ends as they fall
_SPREAD = 4.0  # degrees of phi and psi within the helix


def helix_seeds(
    data: CrystalData,
    kinematics: Kinematics,
    b_iso: float,
    generator: torch.Generator,
    deadline: float,
) -> Pose | None:
    """Poses whose first chain runs along a placed helix.

    Ideal helices are placed by orientation and translation (`crysformer.phasing.fragments`); the
    chain is laid on each at every register. Ends that reach beyond it, side chains and further
    chains are random.

    Parameters
    ----------
    data
        The crystal.
    kinematics
        The chains.
    b_iso
        Mean B, A^2.
    generator
        On the CPU.
    deadline
        `time.monotonic` after which nothing further is placed.

    Returns
    -------
    Pose or None
        None if the chain is shorter than any helix or holds D residues, or reflections are too few.
    """
    p = kinematics.peptides
    cell = torch.tensor(data.cell.orth.mat.tolist(), dtype=torch.float32)
    length = len(p.chains[0].letters)
    if p.chains[0].d_residues:
        return None
    seeds = []
    lengths = [n for n in _LENGTHS if n <= length]
    if lengths and length < _LENGTHS[0]:
        lengths = [length]
    for n in lengths:
        fragment = ideal_fragment("helix", n)
        try:
            placed = place_fragment(data, fragment, b_iso, _PLACED, generator, deadline)
        except NotApplicable:
            return None
        drawn = random_poses(p, _DRAWN, cell, generator)
        register = torch.randint(length - n + 1, (_DRAWN,), generator=generator)
        angles = {"phi": CONFORMATIONS["helix"][0], "psi": CONFORMATIONS["helix"][1]}
        torsions = drawn.torsions.clone()
        for k, torsion in enumerate(p.torsions):
            if torsion.kind not in angles or torsion.residue >= length:
                continue
            within = (torsion.residue >= register) & (torsion.residue < register + n)
            spread = _SPREAD * torch.randn(_DRAWN, generator=generator)
            helical = (angles[torsion.kind] + spread) * (math.pi / 180)
            torsions[:, k] = torch.where(within, helical, torsions[:, k])
        pose = Pose(torsions, drawn.rotation, drawn.translation)
        xyz = Kinematics(p).coordinates(pose)[0]
        rotation, translation = pose.rotation.clone(), pose.translation.clone()
        rows = [(i, name) for i in range(n) for name in residues.ATOMS[residues.INDEX["ALA"]]]
        atoms = enumerate(zip(p.residue.tolist(), p.names, strict=True))
        index = {key: i for i, key in atoms}
        for row in range(_DRAWN):
            first = int(register[row])
            target = placed[row % len(placed)].xyz
            pairs = [
                (index[first + i, name], j)
                for j, (i, name) in enumerate(rows)
                if (first + i, name) in index
            ]
            own, other = (list(x) for x in zip(*pairs, strict=True))
            turn, shift = superposed(xyz[row, own], target[other])
            rotation[row, 0] = turn @ rotation[row, 0]
            translation[row, 0] = turn @ translation[row, 0] + shift
        seeds.append(Pose(torsions, rotation, translation))
    return join(seeds) if seeds else None


def superposed(moving: Tensor, fixed: Tensor) -> tuple[Tensor, Tensor]:
    """Rotation (3, 3) and shift (3,) that lay atoms (n, 3) on others (Kabsch, 1976)."""
    a, b = moving.mean(0), fixed.mean(0)
    u, _, vh = torch.linalg.svd((moving - a).mT @ (fixed - b))
    sign = torch.sign(torch.linalg.det(u @ vh))
    diagonal = torch.diag(torch.stack((torch.ones(()), torch.ones(()), sign)))
    turn = vh.mT @ diagonal @ u.mT
    return turn, b - turn @ a
