"""Restraints on standard geometry."""

import math

import torch

from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.kinematics import Kinematics
from crysformer.peptide.restraints import restraints_of
from crysformer.phasing.sequence_search.random_poses import random_poses

CELL = torch.diag(torch.tensor([10.0, 8.0, 7.0]))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_standard_geometry_meets_its_restraints() -> None:
    kinematics = Kinematics(build_peptides(("AWPG",)))
    restraints = restraints_of(kinematics)
    pose = random_poses(kinematics.peptides, 3, CELL, generator())
    omega = [i for i, t in enumerate(kinematics.peptides.torsions) if t.kind == "omega"]
    pose.torsions[:, omega] = math.pi
    xyz = kinematics.coordinates(pose)[0]
    assert restraints.chi_squared(xyz).max() < 1e-3 * len(restraints.first)
    assert (
        restraints.chi_squared(xyz + 0.1 * torch.randn(xyz.shape, generator=generator())).min()
        > 100
    )
