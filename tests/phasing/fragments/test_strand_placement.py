"""Placement of ladders: the right one of several, in its place."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import gemmi
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from crysformer.crystal.comparison.compare import compare_phases
from crysformer.phasing.fragments.ladders import ladder_fragments
from crysformer.phasing.fragments.placement import structure_factors
from crysformer.phasing.fragments.strand_placement import (
    StrandRotationSettings,
    StrandSettings,
    place_fragments,
)

FEW = StrandSettings(
    orientations_each=4,
    orientations=6,
    poses=6,
    rotation=StrandRotationSettings(orientations=2000),
)


@pytest.mark.parametrize("group", ["P 1", "P 21 21 2"])
def test_the_right_ladder_of_three_is_placed(
    group: str, fragment_crystal: Callable[..., Any]
) -> None:
    ladders = ladder_fragments()[5:8]
    right = ladders[1]
    rng = np.random.default_rng(0)
    xyz = right.xyz @ Rotation.random(random_state=3).as_matrix().T + np.array([4.0, 7.0, 3.0])
    xyz += rng.normal(0, 0.2 / math.sqrt(3), xyz.shape)
    elsewhere = rng.random((20, 3)) @ np.diag([20.0, 26.0, 14.0])  # the rest of the structure
    atoms = np.concatenate((xyz, elsewhere))
    number = np.concatenate((right.number, np.full(20, 6)))
    cell = gemmi.UnitCell(20, 26, 14, 90, 90, 90)
    data, F = fragment_crystal(atoms, number, cell, group, 1.2)
    poses = place_fragments(
        data, ladders, 5.0, 6, torch.Generator().manual_seed(0), math.inf, settings=FEW
    )
    assert poses[0].fragment is right
    found = structure_factors(data, poses[:1], 5.0)[0]
    phases = [np.rad2deg(np.angle(x)) for x in (found, F)]
    compared = compare_phases(data.hkl, data.f, *phases, data.cell, data.space_group)
    assert compared.cosine2_aligned > 0.6
    assert not compared.inverted
    assert 0 < poses[0].correlation <= 1


def test_without_time_the_first_ladder_is_placed(fragment_crystal: Callable[..., Any]) -> None:
    ladders = ladder_fragments()[:2]
    cell = gemmi.UnitCell(20, 26, 14, 90, 90, 90)
    data, _ = fragment_crystal(ladders[0].xyz, ladders[0].number, cell, "P 21 21 2", 1.6)
    poses = place_fragments(
        data, ladders, 5.0, 6, torch.Generator().manual_seed(0), 0.0, settings=FEW
    )
    assert {id(pose.fragment) for pose in poses} == {id(ladders[0])}
