"""Starts that are not left to chance: chains laid along helices that a fragment search placed."""

from __future__ import annotations

import math
import time

import torch

from crysformer.crystal.reflections import CrystalData
from crysformer.errors import NotApplicable
from crysformer.peptide import residues
from crysformer.peptide.kinematics import Kinematics, Pose, join
from crysformer.peptide.rotations import superposed
from crysformer.peptide.secondary_structure import CONFORMATIONS, ideal_fragment
from crysformer.phasing.fragments.placement import FragmentPlacer
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget
from crysformer.phasing.sequence_search.random_poses import random_poses, random_torsions

_LENGTHS = (16, 10)  # residues of the helices that are placed, longest first
_PLACED = 8  # poses of each
_MOST = 40  # poses returned for each length
_TRIED, _TURNS = 8, 2  # conformations of each side chain, and how often all are gone through
_SPREAD = 1.0  # degrees of phi and psi within the helix


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
    cell = torch.as_tensor(data.orth, dtype=torch.float32)
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
            placer = FragmentPlacer(data, fragment, b_iso, _PLACED, _PLACED, generator, deadline)
            placed = placer.first()
        except NotApplicable:
            return None
        registers = range(length - n + 1)
        count = min(len(placed) * len(registers), _MOST)
        drawn = random_poses(p, count, cell, generator)
        angles = {"phi": CONFORMATIONS["helix"][0], "psi": CONFORMATIONS["helix"][1]}
        torsions = drawn.torsions.clone()
        for k, torsion in enumerate(p.torsions):
            if torsion.kind in angles and torsion.residue < length:
                spread = _SPREAD * torch.randn(count, generator=generator)
                torsions[:, k] = (angles[torsion.kind] + spread) * (math.pi / 180)
        pose = Pose(torsions, drawn.rotation, drawn.translation)
        xyz = Kinematics(p).coordinates(pose)[0]
        rotation, translation = pose.rotation.clone(), pose.translation.clone()
        rows = [(i, name) for i in range(n) for name in residues.ATOMS[residues.INDEX["ALA"]]]
        atoms = enumerate(zip(p.residue.tolist(), p.names, strict=True))
        index = {key: i for i, key in atoms}
        for row in range(count):
            first = registers[row % len(registers)]
            target = placed[row // len(registers)].xyz[0]
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


def with_side_chains(
    kinematics: Kinematics,
    target: AmplitudeTarget,
    pose: Pose,
    generator: torch.Generator,
    deadline: float = math.inf,
) -> Pose:
    """The poses with the best of a few conformations of each side chain, one after the other.

    Those not reached by `deadline` (`time.monotonic`) stay as they are.
    """
    p, n = kinematics.peptides, len(pose)
    residue = torch.tensor([t.residue for t in p.torsions], device=kinematics.device)
    side = torch.tensor([t.kind.startswith("chi") for t in p.torsions], device=kinematics.device)
    torsions = pose.torsions.clone()
    for turn in range(_TURNS * len(p.codes)):
        own = side & (residue == turn % len(p.codes))
        if not bool(own.any()):
            continue
        if time.monotonic() > deadline:
            break
        fresh = random_torsions(p, n * _TRIED, generator).to(torsions).view(n, _TRIED, -1)
        fresh = torch.where(own, fresh, torsions[:, None])
        fresh[:, 0] = torsions
        rotation, translation = (
            x.repeat_interleave(_TRIED, dim=0) for x in (pose.rotation, pose.translation)
        )
        xyz = kinematics.coordinates(Pose(fresh.flatten(0, 1), rotation, translation))[0]
        best = target.evaluate(xyz, gradient=False).score.view(n, _TRIED).argmax(1)
        torsions = fresh[torch.arange(n, device=fresh.device), best]
    return Pose(torsions, pose.rotation, pose.translation)
