"""Chains of standard geometry fitted to threaded backbones and to the map."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from crysformer.building.tracing.contacts import contacts_of
from crysformer.building.tracing.map_target import MapTarget, PositionTarget
from crysformer.building.tracing.rotamer_library import BACKBONE, best_rotamers, rotamer_library
from crysformer.building.tracing.search_map import SearchMap
from crysformer.building.tracing.threading import ThreadedChain
from crysformer.peptide.cis_bonds import CIS, cis_bonds, geometry_with_cis
from crysformer.peptide.geometry import Peptides
from crysformer.peptide.kinematics import Kinematics, Pose
from crysformer.peptide.restraints import Restraints, restraints_of
from crysformer.peptide.rotations import dihedrals, superpose
from crysformer.phasing.refinement.adam import minimise
from crysformer.phasing.sequence_search.torsion_ascent import Steps, refine_torsions
from crysformer.settings import setting

_CONTACT_REACH = 4.0  # A, of contacts of atoms that stay where they are
_FIT_REACH = 5.0  # A, of contacts of atoms that a fit moves
_SIDE_CHAIN_REACH = 14.0  # A, of contacts in any rotamer
_TRIED = 3  # rotamers of each side chain, by density, that are tried in the model


@dataclass(frozen=True)
class FitSettings:
    """Real-space fit of complete chains."""

    closing_steps: int = setting(150, "Steps that close a chain onto its backbone.", min=1)
    coarse_steps: int = setting(80, "Steps of the fit of all threaded chains.", min=1)
    rounds: int = setting(2, "Rounds of side-chain search and fit.", min=1, max=100)
    finalists: int = setting(4, "Chains left after the first fit.", min=1)
    steps: int = setting(120, "Steps of the fit in each round.", min=1)
    step_size: float = setting(0.04, "First step size.", unit="A", min=1e-3, max=1.0)
    final_step_size: float = setting(0.002, "Last step size.", unit="A", min=1e-5, max=1.0)
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
        elif torsion.kind == "omega" and p.names[torsion.atoms[1]] == "C" and not at_end:
            angle = dihedrals(ca[:, i], c[:, i], n[:, i + 1], ca[:, i + 1])
            torsions[:, k] = torch.where(angle.abs() < CIS, 0.0, torsions[:, k])
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
    row = atom_rows(p)
    return torch.tensor([[row[i, name] for name in BACKBONE] for i in range(len(p.codes))])


def atom_rows(p: Peptides) -> dict[tuple[int, str], int]:
    """Row of each atom by residue and name."""
    return {(int(r), name): i for i, (r, name) in enumerate(zip(p.residue, p.names, strict=True))}


def start_coordinates(
    kinematics: Kinematics, threaded: list[ThreadedChain], settings: FitSettings
) -> Tensor:
    """Coordinates (B, n, 3), A, of all atoms of one chain on B backbones.

    Backbone and side chains are taken as they were found. What has no place there, the atoms of the
    ends, comes from a chain of standard geometry closed onto the backbone.
    """
    p = kinematics.peptides
    pose = pose_on_backbones(kinematics, threaded, settings.closing_steps)
    xyz = kinematics.coordinates(pose)[0].clone()
    rows = backbone_rows(p)
    backbone = torch.stack([t.backbone for t in threaded])
    xyz[:, rows.flatten()] = backbone.flatten(1, 2)
    row = atom_rows(p)
    for i, letter in enumerate(p.codes):
        library = rotamer_library(letter, i in p.d_residues)
        if library.names:
            which = torch.stack([t.rotamer[i] for t in threaded])
            side = torch.tensor([row[i, name] for name in library.names])
            xyz[:, side] = library.placed(backbone[:, i], which)
    return xyz


def fit_to_map(
    kinematics: Kinematics,
    search_map: SearchMap,
    xyz: Tensor,
    settings: FitSettings,
    deadline: float = math.inf,
) -> Tensor:
    """Fit several models of one chain to the map, and search their side chains anew.

    Parameters
    ----------
    kinematics
        The chain.
    search_map
        The map.
    xyz
        Coordinates, shape (B, n, 3), A.
    settings
        Numbers of steps and of models kept.
    deadline
        `time.monotonic` after which the fit ends early.

    Returns
    -------
    The best models, best first, shape (finalists, n, 3), A.
    """
    p = kinematics.peptides
    xyz = fit_coordinates(
        kinematics, search_map, xyz, settings.coarse_steps, settings, deadline, images=False
    )
    for _ in range(settings.rounds):
        if time.monotonic() > deadline:
            break
        order = _scores(p, search_map, xyz).argsort(descending=True)
        xyz = xyz[order[: settings.finalists]]
        xyz = search_side_chains(p, search_map, xyz)
        xyz = fit_coordinates(kinematics, search_map, xyz, settings.steps, settings, deadline)
    score = _scores(p, search_map, xyz)
    xyz = order_end_oxygens(p, search_map, xyz)
    return xyz[score.argsort(descending=True)[: settings.finalists]]


def _scores(p: Peptides, search_map: SearchMap, xyz: Tensor) -> Tensor:
    """Density less short contacts within each model, shape (B,)."""
    contacts = contacts_of(search_map, p, xyz, _CONTACT_REACH, images=False)
    return MapTarget(search_map, p, contacts).evaluate(xyz, gradient=False).score


def search_side_chains(p: Peptides, search_map: SearchMap, xyz: Tensor) -> Tensor:
    """Give each side chain of models (B, n, 3) the rotamer with the best score, or leave it."""
    contacts = contacts_of(search_map, p, xyz, _SIDE_CHAIN_REACH, images=True)
    target = MapTarget(search_map, p, contacts)
    rows, row = backbone_rows(p), atom_rows(p)
    xyz = xyz.clone()
    score = target.evaluate(xyz, gradient=False).score
    for i, letter in enumerate(p.codes):
        library = rotamer_library(letter, i in p.d_residues)
        if len(library.names) < 2:  # CB alone has one place
            continue
        side = torch.tensor([row[i, name] for name in library.names])
        best = best_rotamers(search_map, xyz[:, rows[i]], library, 0.5, _TRIED)[1]
        for which in best.unbind(1):
            trial = xyz.clone()
            trial[:, side] = library.placed(xyz[:, rows[i]], which)
            found = target.evaluate(trial, gradient=False).score
            better = found > score
            xyz = torch.where(better[:, None, None], trial, xyz)
            score = torch.where(better, found, score)
    return xyz


def order_end_oxygens(p: Peptides, search_map: SearchMap, xyz: Tensor) -> Tensor:
    """Models (B, n, 3) in which O of each chain's end is the oxygen with the higher density.

    Chemically the two are the same.
    """
    rows = atom_rows(p)
    xyz = xyz.clone()
    for (residue, name), oxt in rows.items():
        if name != "OXT":
            continue
        pair = torch.tensor([rows[residue, "O"], oxt])
        density = search_map.at(xyz[:, pair])
        swapped = density[:, 1] > density[:, 0]
        xyz[:, pair] = torch.where(swapped[:, None, None], xyz[:, pair.flip(0)], xyz[:, pair])
    return xyz


def fit_coordinates(
    kinematics: Kinematics,
    search_map: SearchMap,
    xyz: Tensor,
    steps: int,
    settings: FitSettings,
    deadline: float = math.inf,
    *,
    images: bool = True,
) -> Tensor:
    """Coordinates (B, n, 3) fitted to the map with restraints to standard geometry.

    Peptide bonds stay cis or trans, whichever is nearer. Contacts with symmetry mates and lattice
    images count if `images` says so.
    """
    p = kinematics.peptides
    out = torch.empty_like(xyz)
    patterns, group = cis_bonds(kinematics.peptides, xyz).unique(dim=0, return_inverse=True)
    for g, pattern in enumerate(patterns):
        restraints = restraints_of(kinematics, geometry_with_cis(kinematics, pattern))
        rows = group == g
        contacts = contacts_of(search_map, p, xyz[rows], _FIT_REACH, images=images)
        target = MapTarget(search_map, p, contacts)
        out[rows] = _fitted(restraints, target, xyz[rows], steps, settings, deadline)
    return out


def _fitted(
    restraints: Restraints,
    target: MapTarget,
    xyz: Tensor,
    steps: int,
    settings: FitSettings,
    deadline: float,
) -> Tensor:
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
        (settings.step_size,),
        steps,
        final_rates=(settings.final_step_size,),
        betas=(0.8, 0.95),
        deadline=deadline,
    )
    return x.detach()
