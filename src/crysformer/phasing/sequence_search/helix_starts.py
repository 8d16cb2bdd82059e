"""Starting poses along helices that are placed by rotation and translation functions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from crysformer.crystal.reflections import CrystalData
from crysformer.errors import NotApplicable
from crysformer.peptide import residues
from crysformer.peptide.geometry import Peptides
from crysformer.peptide.kinematics import Kinematics, Pose, join
from crysformer.peptide.rotations import superpose
from crysformer.peptide.secondary_structure import CONFORMATIONS, Fragment, ideal_fragment
from crysformer.phasing.fragments.placement import FragmentPlacer
from crysformer.phasing.sequence_search.random_poses import random_poses
from crysformer.settings import setting


@dataclass(frozen=True)
class HelixStartSettings:
    """Helices placed to start the sequence search from."""

    lengths: tuple[int, ...] = setting(
        (16, 10),
        "Residues of the helices placed, longest first; a chain shorter than the longest, but not "
        "than the shortest, is placed as one helix.",
        min=4,
        max=60,
    )
    placements: int = setting(8, "Poses of each helix, and its orientations.", min=1, max=1000)
    max_poses: int = setting(40, "Poses of the chain returned for each length.", min=1, max=10_000)
    torsion_sigma: float = setting(
        1.0, "Standard deviation of phi and psi in the helix.", unit="degrees", min=0.0, max=30.0
    )


def helix_starts(
    data: CrystalData,
    kinematics: Kinematics,
    b_iso: float,
    generator: torch.Generator,
    deadline: float,
    *,
    settings: HelixStartSettings | None = None,
) -> Pose | None:
    """Poses whose first chain runs along a placed helix.

    Ideal helices are placed by `crysformer.phasing.fragments`; the chain is laid on each at every
    register. Ends that reach beyond the helix, side chains and further chains are random.

    Parameters
    ----------
    data
        The crystal.
    kinematics
        The chains.
    b_iso
        Mean B, A^2.
    generator
        Random generator on the CPU.
    deadline
        `time.monotonic` after which nothing further is placed.
    settings
        Lengths and numbers of the helices.

    Returns
    -------
    Pose or None
        None if the chain is shorter than any helix or holds D residues, or reflections are too few.
    """
    settings = settings or HelixStartSettings()
    first_chain = kinematics.peptides.chains[0]
    if first_chain.d_residues:
        return None
    cell = torch.as_tensor(data.orth, dtype=torch.float32)
    starts = []
    for n in _helix_lengths(len(first_chain.letters), settings.lengths):
        helix = ideal_fragment("helix", n)
        count = settings.placements
        try:
            placed = FragmentPlacer(data, helix, b_iso, count, count, generator, deadline).first()
        except NotApplicable:
            return None
        xyz = torch.stack([one.xyz[0] for one in placed])
        starts.append(_along_helices(kinematics, xyz, helix, cell, generator, settings))
    return join(starts) if starts else None


def _helix_lengths(length: int, lengths: tuple[int, ...]) -> list[int]:
    """Lengths of the helices to place for a chain of `length` residues."""
    possible = [n for n in lengths if n <= length]
    return [length] if possible and length < lengths[0] else possible


def _along_helices(
    kinematics: Kinematics,
    helices: Tensor,
    helix: Fragment,
    cell: Tensor,
    generator: torch.Generator,
    settings: HelixStartSettings,
) -> Pose:
    """Poses of the chain on placed helices (k, n, 3), A, at every register."""
    p = kinematics.peptides
    registers = len(p.chains[0].letters) - helix.n_residues + 1
    count = min(len(helices) * registers, settings.max_poses)
    pose = random_poses(p, count, cell, generator)
    torsions = _helical(p, pose.torsions, settings.torsion_sigma, generator)
    row = torch.arange(count)
    return lay_chain_on_fragment(
        Kinematics(p),
        Pose(torsions, pose.rotation, pose.translation),
        helices[row // registers],
        row % registers,
    )


def _helical(
    peptides: Peptides, torsions: Tensor, sigma: float, generator: torch.Generator
) -> Tensor:
    """Torsions (B, K), radians, with phi and psi of the first chain those of a helix.

    `sigma` is their standard deviation in degrees.
    """
    helical = dict(zip(("phi", "psi"), CONFORMATIONS["helix"][:2], strict=True))
    torsions = torsions.clone()
    for k, torsion in enumerate(peptides.torsions):
        if torsion.kind in helical and torsion.residue < len(peptides.chains[0].letters):
            noise = sigma * torch.randn(len(torsions), generator=generator)
            torsions[:, k] = (helical[torsion.kind] + noise) * (math.pi / 180)
    return torsions


def lay_chain_on_fragment(
    kinematics: Kinematics, pose: Pose, fragments: Tensor, first: Tensor
) -> Pose:
    """Superpose the first chain of each pose on a fragment of poly-alanine.

    Parameters
    ----------
    kinematics
        The chains.
    pose
        Poses to move; torsions stay.
    fragments
        A fragment for each pose, N CA C O CB of each residue, shape (B, n, 3), A.
    first
        Residue of the chain that is laid on the first residue of the fragment, shape (B,).
    """
    xyz = kinematics.coordinates(pose)[0]
    p = kinematics.peptides
    row_of = {key: i for i, key in enumerate(zip(p.residue.tolist(), p.names, strict=True))}
    names = residues.ATOMS[residues.INDEX["ALA"]]
    rotation, translation = pose.rotation.clone(), pose.translation.clone()
    for register in first.unique().tolist():  # poses of one register share their atoms
        rows = (first == register).nonzero()[:, 0]
        pairs = [
            (row_of[key], j)
            for j in range(fragments.shape[1])
            if (key := (register + j // len(names), names[j % len(names)])) in row_of
        ]
        own, other = (list(x) for x in zip(*pairs, strict=True))
        by, shift = superpose(xyz[rows][:, own], fragments[rows][:, other])
        rotation[rows, 0] = by @ rotation[rows, 0]
        translation[rows, 0] = (by @ translation[rows, 0, :, None])[..., 0] + shift
    return Pose(pose.torsions, rotation, translation)
