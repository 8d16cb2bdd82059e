"""Rigid bodies moved back to where the amplitudes have them."""

from __future__ import annotations

import time
from dataclasses import replace

import gemmi
import numpy as np
import pytest
import torch

from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.rotations import rotation_of
from crysformer.peptide.secondary_structure import ideal_fragment
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget
from crysformer.phasing.refinement.rigid_body import RigidBodySettings, refine_rigid_bodies

HELIX = ideal_fragment("helix", 5)
BODIES = torch.as_tensor(HELIX.xyz, dtype=torch.float32) + torch.tensor(
    [[[0.0, 0.0, 0.0]], [[1.0, 9.0, 4.0]]]
)


@pytest.fixture(scope="module")
def target() -> AmplitudeTarget:
    cell, group = gemmi.UnitCell(18, 20, 22, 90, 100, 90), gemmi.SpaceGroup("P 1 21 1")
    hkl = gemmi.make_miller_array(cell, group, 2.0).astype(np.int32)
    blank = CrystalData(cell, group, hkl, np.ones(len(hkl)))
    number = np.tile(HELIX.number, 2)
    F = AmplitudeTarget(blank, number, 8.0).structure_factors(BODIES.flatten(0, 1)[None])[0]
    return AmplitudeTarget(replace(blank, f=np.abs(F)), number, 8.0)


def displaced() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    rotation = rotation_of(0.08 * torch.randn(2, 3, generator=generator))
    centre = BODIES.mean(1, keepdim=True)
    shift = 0.2 * torch.randn(2, 1, 3, generator=generator)
    return ((BODIES - centre) @ rotation.mT + centre + shift)[None]


def test_displaced_bodies_return(target: AmplitudeTarget) -> None:
    start = displaced()
    refined, correlation = refine_rigid_bodies(target, start, settings=RigidBodySettings(steps=60))
    assert float(correlation) > 0.995
    # the origin is free along b
    off = refined[0] - BODIES
    off = off - off.mean((0, 1)) * torch.tensor([0.0, 1.0, 0.0])
    assert float(off.norm(dim=-1).max()) < 0.1 < float((start[0] - BODIES).norm(dim=-1).max())
    # they moved as rigid bodies
    for before, after in zip(BODIES, refined[0], strict=True):
        torch.testing.assert_close(
            torch.cdist(before, before), torch.cdist(after, after), atol=1e-3, rtol=0
        )


def test_without_steps_or_time_nothing_moves(target: AmplitudeTarget) -> None:
    start = displaced()
    expected = target.evaluate(start.flatten(1, 2), gradient=False).correlation
    for refined, correlation in (
        refine_rigid_bodies(target, start, settings=RigidBodySettings(steps=0)),
        refine_rigid_bodies(target, start, deadline=time.monotonic() - 1),
    ):
        torch.testing.assert_close(refined, start)
        torch.testing.assert_close(correlation, expected)
