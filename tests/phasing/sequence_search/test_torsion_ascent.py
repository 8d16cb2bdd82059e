"""Refinement of torsions and rigid-body parameters."""

import time
from collections.abc import Callable
from typing import Any

import torch

from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.kinematics import Kinematics
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget
from crysformer.phasing.sequence_search.random_poses import random_poses
from crysformer.phasing.sequence_search.torsion_ascent import Steps, refine_torsions

VALINE_ALANINE = 0


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_refinement_raises_the_score(dipeptide: Callable[..., Any]) -> None:
    crystal = dipeptide(VALINE_ALANINE)
    kinematics = Kinematics(build_peptides((crystal.sequence,)))
    target = AmplitudeTarget(crystal.data, kinematics.peptides.number, 20.0, 2.0, overlap=0.1)
    orth = torch.tensor(crystal.data.cell.orth.mat.tolist(), dtype=torch.float32)
    pose = random_poses(kinematics.peptides, 40, orth, generator())
    before = target.evaluate(kinematics.coordinates(pose)[0], gradient=False).score
    better, after = refine_torsions(kinematics, target, pose, Steps(25))
    assert (after > before).float().mean() > 0.95
    assert (after - before).median() > 0.1
    unchanged, _ = refine_torsions(
        kinematics, target, pose, Steps(25), deadline=time.monotonic() - 1
    )
    torch.testing.assert_close(unchanged.torsions, pose.torsions)
    assert better.torsions.shape == pose.torsions.shape
