"""Side chains fitted to amplitudes."""

from __future__ import annotations

from collections.abc import Callable

import gemmi
import torch

from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.kinematics import Kinematics, Pose
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget
from crysformer.phasing.sequence_search.random_poses import random_poses
from crysformer.phasing.sequence_search.side_chain_fit import fit_side_chains


def test_side_chains_are_fitted_as_far_as_time_allows(
    model_data: Callable[..., CrystalData],
) -> None:
    kinematics = Kinematics(build_peptides(["LKVF"]))
    generator = torch.Generator().manual_seed(0)
    pose = random_poses(kinematics.peptides, 3, 20.0 * torch.eye(3), generator)
    true = kinematics.coordinates(pose)[0][0]
    data = model_data(
        true, kinematics.peptides.number, gemmi.UnitCell(20, 20, 20, 90, 90, 90), d_min=2.0
    )
    target = AmplitudeTarget(data, kinematics.peptides.number, 15.0)

    def score(one: Pose) -> torch.Tensor:
        return target.evaluate(kinematics.coordinates(one)[0], gradient=False).score

    start = pose[1:]
    late = fit_side_chains(kinematics, target, start, generator, deadline=0.0)
    assert torch.equal(late.torsions, start.torsions)
    found = fit_side_chains(kinematics, target, start, generator)
    assert (score(found) >= score(start)).all()
    assert (score(found) > score(start)).any()
    chi = torch.tensor([t.kind.startswith("chi") for t in kinematics.peptides.torsions])
    assert torch.equal(found.torsions[:, ~chi], start.torsions[:, ~chi])
