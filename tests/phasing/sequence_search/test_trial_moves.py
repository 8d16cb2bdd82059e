"""Trial moves of a population."""

import torch

from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.kinematics import Kinematics
from crysformer.phasing.sequence_search.random_poses import random_poses
from crysformer.phasing.sequence_search.trial_moves import propose

CELL = torch.diag(torch.tensor([10.0, 8.0, 7.0]))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_moves_keep_shapes_and_change_something() -> None:
    kinematics = Kinematics(build_peptides(("GASW",)))
    pose = random_poses(kinematics.peptides, 60, CELL, generator())
    moved = propose(kinematics, pose, generator(1))
    before, after = (kinematics.coordinates(p)[0] for p in (pose, moved))
    rmsd = ((before - after) ** 2).sum(2).mean(1).sqrt()
    assert torch.isfinite(after).all()
    assert (rmsd > 0.01).all()
    assert rmsd.max() < 15
    assert rmsd.min() < 1.5 < rmsd.max()  # small steps and large ones
