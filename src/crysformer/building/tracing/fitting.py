"""Chains of standard geometry fitted to threaded backbones and to the map."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from crysformer.building.tracing.map_target import MapTarget, PositionTarget
from crysformer.building.tracing.rotamer_library import BACKBONE, rotamer_library
from crysformer.building.tracing.search_map import SearchMap
from crysformer.building.tracing.threading import ThreadedChain, best_rotamers
from crysformer.peptide.geometry import Peptides
from crysformer.peptide.kinematics import Kinematics, Pose
from crysformer.peptide.restraints import restraints_of
from crysformer.peptide.rotations import superpose
from crysformer.phasing.refinement.adam import minimise
from crysformer.phasing.sequence_search.torsion_ascent import Steps, refine_torsions
from crysformer.settings import setting


@dataclass(frozen=True)
class FitSettings:
    """Real-space fit of complete chains."""

    closing_steps: int = setting(150, "Steps that close a chain onto its backbone.", min=1)
    torsion_steps: int = setting(60, "Steps in torsions against the map.", min=1)
    rounds: int = setting(2, "Rounds of side-chain search and fit.", min=1, max=100)
    finalists: int = setting(3, "Chains left after the first round.", min=1)
    cartesian_steps: int = setting(150, "Steps with all coordinates free.", min=0)
    map_weight: float = setting(
        4.0, "Weight of the map against the restraints.", min=0.0, max=1000.0
    )


def pose_on_backbones(
    kinematics: Kinematics, threaded: list[ThreadedChain], steps: int, deadline: float = math.inf
) -> Pose:
    """Poses of one chain closed onto backbones.

    Parameters
    ----------
    kinematics
        One chain.
    threaded
        Backbones and rotamers, B of them.
    steps
        Steps of the fit.
    deadline
        `time.monotonic` after which no step begins.
    """
    p = kinematics.peptides
    backbone = torch.stack([t.backbone for t in threaded])  # (B, L, 4, 3)
    torsions = kinematics.reference.repeat(len(threaded), 1)
    n, ca, c, o = backbone.unbind(2)
    kinds = [(letter, i in p.d_residues) for i, letter in enumerate(p.codes)]
    for k, torsion in enumerate(p.torsions):
        i = torsion.residue
        at_end = i == len(p.codes) - 1
        if torsion.kind == "phi" and i > 0:
            torsions[:, k] = dihedrals(c[:, i - 1], n[:, i], ca[:, i], c[:, i])
        elif torsion.kind == "psi":
            last = o[:, i] if at_end else n[:, i + 1]
            angle = dihedrals(n[:, i], ca[:, i], c[:, i], last)
            torsions[:, k] = angle + math.pi if at_end else angle
        elif torsion.kind.startswith("chi"):
            library = rotamer_library(*kinds[i])
            which = torch.stack([t.rotamer[i] for t in threaded])
            torsions[:, k] = library.chi[which, int(torsion.kind[3:]) - 1]
    rows = backbone_rows(p)
    flat = rows.flatten()
    eye = torch.eye(3).expand(len(threaded), 1, 3, 3)
    start = Pose(torsions, eye, torch.zeros(len(threaded), 1, 3))
    target = backbone.flatten(1, 2)
    rotation, shift = superpose(kinematics.coordinates(start)[0][:, flat], target)
    pose = Pose(torsions, rotation[:, None], shift[:, None])
    pose, _ = refine_torsions(
        kinematics, PositionTarget(flat, target), pose, Steps(steps, 0.06, 0.05, 0.1), deadline
    )
    return pose


def backbone_rows(p: Peptides) -> Tensor:
    """Rows of N, CA, C, O of each residue, shape (residues, 4)."""
    row = {(int(r), name): i for i, (r, name) in enumerate(zip(p.residue, p.names, strict=True))}
    return torch.tensor([[row[i, name] for name in BACKBONE] for i in range(len(p.codes))])


def dihedrals(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Tensor:
    """Torsion angles (...) of four atoms (..., 3), radians (IUPAC sign)."""
    first, axis, last = b - a, c - b, d - c
    n0, n1 = torch.linalg.cross(first, axis), torch.linalg.cross(axis, last)
    length = torch.linalg.vector_norm(axis, dim=-1)
    return torch.atan2(length * (first * n1).sum(-1), (n0 * n1).sum(-1))


def fit_to_map(
    kinematics: Kinematics,
    search_map: SearchMap,
    pose: Pose,
    settings: FitSettings,
    deadline: float = math.inf,
) -> tuple[Pose, Tensor]:
    """Fit poses to the map: torsions, then side chains searched anew, and again.

    Returns
    -------
    (pose, score)
        Best first; fewer than were given.
    """
    target = MapTarget(search_map, kinematics.peptides)
    steps = Steps(settings.torsion_steps, 0.04, 0.03, 0.06)
    pose, score = refine_torsions(kinematics, target, pose, steps, deadline)
    for round_ in range(settings.rounds):
        if round_ == 0:
            kept = score.argsort(descending=True)[: settings.finalists]
            pose = pose[kept]
        if time.monotonic() > deadline:
            break
        pose = search_side_chains(kinematics, search_map, target, pose)
        pose, score = refine_torsions(kinematics, target, pose, steps, deadline)
    order = score.argsort(descending=True)
    return pose[order], score[order]


def search_side_chains(
    kinematics: Kinematics, search_map: SearchMap, target: MapTarget, pose: Pose
) -> Pose:
    """Give each side chain its best rotamer in the map where the score rises by it."""
    p = kinematics.peptides
    rows = backbone_rows(p)
    torsions = pose.torsions.clone()
    score = target.evaluate(kinematics.coordinates(pose)[0], gradient=False).score
    for i, letter in enumerate(p.codes):
        chi = [k for k, t in enumerate(p.torsions) if t.residue == i and t.kind[:3] == "chi"]
        if not chi:
            continue
        xyz = kinematics.coordinates(Pose(torsions, pose.rotation, pose.translation))[0]
        mirrored = i in p.d_residues
        _, which = best_rotamers(search_map, xyz[:, rows[i]], letter, mirrored, weight=0.5)
        trial = torsions.clone()
        trial[:, chi] = rotamer_library(letter, mirrored).chi[which]
        moved = kinematics.coordinates(Pose(trial, pose.rotation, pose.translation))[0]
        found = target.evaluate(moved, gradient=False).score
        better = found > score
        torsions = torch.where(better[:, None], trial, torsions)
        score = torch.where(better, found, score)
    return Pose(torsions, pose.rotation, pose.translation)


def fit_coordinates(
    kinematics: Kinematics,
    search_map: SearchMap,
    xyz: Tensor,
    settings: FitSettings,
    deadline: float = math.inf,
) -> Tensor:
    """Coordinates (B, n, 3) fitted to the map with restraints to standard geometry."""
    restraints = restraints_of(kinematics)
    target = MapTarget(search_map, kinematics.peptides, xyz[0])
    x = xyz.clone().requires_grad_()
    weight = settings.map_weight

    def gradients() -> tuple[Tensor, ...]:
        strain = 0.5 * restraints.chi_squared(x).sum()
        (of_strain,) = torch.autograd.grad(strain, (x,))
        found = target.evaluate(x.detach())
        assert found.gradient is not None
        return (of_strain - weight * found.gradient / target.scale,)

    minimise(
        (x,),
        gradients,
        (0.03,),
        settings.cartesian_steps,
        final_rates=(0.002,),
        betas=(0.8, 0.95),
        deadline=deadline,
    )
    return x.detach()
