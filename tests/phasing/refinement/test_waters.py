"""Waters found beside a model."""

from __future__ import annotations

from collections.abc import Callable

import gemmi
import numpy as np
import pytest
import torch

from crysformer.crystal.operators import operators
from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.kinematics import Kinematics, Pose
from crysformer.phasing.refinement.restrained import refine_restrained
from crysformer.phasing.refinement.waters import WaterSettings, with_waters


@pytest.fixture(scope="module")
def watered(
    model_data: Callable[..., CrystalData],
) -> tuple[CrystalData, Kinematics, torch.Tensor, np.ndarray]:
    cell = gemmi.UnitCell(13, 11, 15, 90, 101, 90)
    kinematics = Kinematics(build_peptides(("ANS",)))
    torsions = torch.tensor([[t.reference for t in kinematics.peptides.torsions]])
    middle = cell.orthogonalize(gemmi.Fractional(0.25, 0.0, 0.25)).tolist()  # away from its mates
    pose = Pose(torsions, torch.eye(3)[None, None], torch.tensor(middle).float().view(1, 1, 3))
    xyz = kinematics.coordinates(pose)[0][0]
    oxygen = xyz[kinematics.peptides.names.index("O")]
    carbon = xyz[kinematics.peptides.names.index("C")]
    nitrogen = xyz[kinematics.peptides.names.index("N")]
    alpha = xyz[kinematics.peptides.names.index("CA")]
    waters = torch.stack(
        [
            oxygen + 2.8 * torch.nn.functional.normalize(oxygen - carbon, dim=0),
            nitrogen + 2.9 * torch.nn.functional.normalize(nitrogen - alpha, dim=0),
        ]
    )
    number = np.concatenate((kinematics.peptides.number, [8, 8]))
    return model_data(torch.cat((xyz, waters)), number, cell, 1.5), kinematics, xyz, waters.numpy()


def test_waters_are_found_and_explain_amplitudes(
    watered: tuple[CrystalData, Kinematics, torch.Tensor, np.ndarray],
) -> None:
    data, kinematics, xyz, waters = watered
    dry = refine_restrained(data, kinematics, xyz[None], 10.0)
    assert dry.parameters == 8
    found = with_waters(data, kinematics, dry, 10.0)
    assert found is not None
    assert found.n_waters >= 2
    assert float(found.refined.r[0]) < 0.6 * float(dry.r[0])
    placed = found.refined.xyz[0, len(kinematics.peptides.names) :].numpy()
    to_frac = np.array(data.cell.frac.mat.tolist())
    orth = np.array(data.cell.orth.mat.tolist())
    shift = (found.refined.xyz[0, : len(xyz)] - xyz).mean(0).numpy()  # the origin is free along b
    for water in waters:
        step = np.concatenate(
            [
                (placed - shift) @ to_frac.T @ rotation.T + translation - to_frac @ water
                for rotation, translation in operators(data.space_group)
            ]
        )
        distance = np.linalg.norm((step - np.round(step)) @ orth.T, axis=1)
        assert distance.min() < 0.4


def test_no_waters_above_the_limit_of_reflections(
    watered: tuple[CrystalData, Kinematics, torch.Tensor, np.ndarray],
) -> None:
    data, kinematics, xyz, _ = watered
    dry = refine_restrained(data, kinematics, xyz[None], 10.0)
    few = WaterSettings(reflections_per_water=10_000)
    assert with_waters(data, kinematics, dry, 10.0, settings=few) is None
