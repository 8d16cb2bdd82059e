"""Chains laid along placed helices."""

from __future__ import annotations

import time
from collections.abc import Callable

import gemmi
import torch

from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.kinematics import Kinematics
from crysformer.peptide.secondary_structure import ideal_fragment
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget
from crysformer.phasing.sequence_search.helix_starts import (
    HelixStartSettings,
    helix_starts,
    lay_chain_on_fragment,
)
from crysformer.phasing.sequence_search.random_poses import random_poses


def test_a_chain_is_laid_along_its_helix(model_data: Callable[..., CrystalData]) -> None:
    """Of a crystal that is one ideal helix, a seed has its backbone."""
    helix = ideal_fragment("helix", 14)
    cell = gemmi.UnitCell(14, 17, 25, 90, 100, 90)
    xyz = torch.as_tensor(helix.xyz)
    data = model_data(xyz, helix.number, cell, 1.8)
    kinematics = Kinematics(build_peptides(("A" * 14,)))
    generator = torch.Generator().manual_seed(0)
    seeds = helix_starts(data, kinematics, 10.0, generator, time.monotonic() + 60)
    assert seeds is not None
    target = AmplitudeTarget(data, kinematics.peptides.number, 10.0)
    best = target.evaluate(kinematics.coordinates(seeds)[0], gradient=False).correlation.max()
    chance = random_poses(
        kinematics.peptides, 200, torch.tensor(cell.orth.mat.tolist()).float(), generator
    )
    random = target.evaluate(kinematics.coordinates(chance)[0], gradient=False).correlation.max()
    assert float(best) > 0.8
    assert float(best) > float(random) + 0.2
    mirrored = Kinematics(build_peptides(("(DAL)" * 14,)))
    assert helix_starts(data, mirrored, 10.0, generator, time.monotonic() + 60) is None


def test_lengths_and_numbers_are_settings(model_data: Callable[..., CrystalData]) -> None:
    helix = ideal_fragment("helix", 9)
    data = model_data(
        torch.as_tensor(helix.xyz), helix.number, gemmi.UnitCell(14, 17, 20, 90, 100, 90), 2.2
    )
    kinematics = Kinematics(build_peptides(("A" * 11,)))
    generator = torch.Generator().manual_seed(0)
    settings = HelixStartSettings(lengths=(11, 8), placements=2, max_poses=5)
    later = time.monotonic() + 60
    starts = helix_starts(data, kinematics, 10.0, generator, later, settings=settings)
    assert starts is not None
    assert len(starts) == 2 + 5  # one register of 11, and four of 8 but for the limit
    longer = HelixStartSettings(lengths=(16, 12))
    assert helix_starts(data, kinematics, 10.0, generator, later, settings=longer) is None


def test_each_pose_is_laid_at_its_register() -> None:
    """A chain of ideal helical torsions has the atoms of the fragments that it is laid on."""
    fragment = torch.as_tensor(ideal_fragment("helix", 8).xyz, dtype=torch.float32)
    kinematics = Kinematics(build_peptides(("A" * 8 + "GG",)))
    generator = torch.Generator().manual_seed(0)
    pose = random_poses(kinematics.peptides, 3, 20.0 * torch.eye(3), generator)
    for k, torsion in enumerate(kinematics.peptides.torsions):
        angle = {"phi": -63.0, "psi": -42.0, "omega": 180.0}.get(torsion.kind)
        if angle is not None:
            pose.torsions[:, k] = torch.deg2rad(torch.tensor(angle))
    shift = torch.tensor([[0.0, 0.0, 0.0], [5.0, 1.0, 2.0], [-3.0, 4.0, 9.0]])
    fragments = fragment + shift[:, None]
    first = torch.tensor([0, 2, 0])
    found = lay_chain_on_fragment(kinematics, pose, fragments, first)
    assert torch.equal(found.torsions, pose.torsions)
    xyz = kinematics.coordinates(found)[0]
    p = kinematics.peptides
    alpha = [i for i, name in enumerate(p.names) if name == "CA"]
    for one, target, register in zip(xyz, fragments, first.tolist(), strict=True):
        distance = (one[alpha][register : register + 8] - target[1::5]).norm(dim=1)
        assert float(distance.max()) < 0.5
