"""Placement of fragments: refined together, never on top of each other."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gemmi
import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from crysformer.crystal.comparison.compare import compare_phases
from crysformer.errors import NotApplicable
from crysformer.peptide.secondary_structure import ideal_fragment
from crysformer.phasing.fragments.placement import FragmentPlacer, structure_factors
from crysformer.phasing.refinement.rigid_body import RigidBodySettings


def test_further_helices_climb_together(fragment_crystal: Callable[..., Any]) -> None:
    fragment = ideal_fragment("helix", 7)
    turns = [Rotation.random(random_state=i).as_matrix() for i in (3, 4)]
    xyz = np.stack([fragment.xyz @ turns[0].T, fragment.xyz @ turns[1].T + [3.0, 11.0, 7.0]])
    number = np.tile(fragment.number, 2)
    cell = gemmi.UnitCell(21, 22, 24, 90, 100, 95)
    data, F = fragment_crystal(xyz.reshape(-1, 3), number, cell, "P 1", 1.5)
    generator = torch.Generator().manual_seed(0)
    placer = FragmentPlacer(data, fragment, 5.0, 6, 6, generator, math.inf)
    first = placer.first()
    assert first[0].xyz.shape == (1, *fragment.xyz.shape)
    second = placer.further(first)
    assert second[0].xyz.shape == (2, *fragment.xyz.shape)
    assert second[0].correlation > first[0].correlation + 0.2
    assert [p.correlation for p in second] == sorted((p.correlation for p in second), reverse=True)
    found = structure_factors(data, second[:1], 5.0)[0]
    phases = [np.rad2deg(np.angle(x)) for x in (found, F)]
    compared = compare_phases(data.hkl, data.f, *phases, data.cell, data.space_group)
    assert compared.cosine2_aligned > 0.95
    assert not compared.inverted


@pytest.mark.slow
def test_a_helix_is_never_placed_on_top_of_another(fragment_crystal: Callable[..., Any]) -> None:
    fragment = ideal_fragment("helix", 6)
    turned = fragment.xyz @ Rotation.random(random_state=7).as_matrix().T
    cell = gemmi.UnitCell(34, 22, 20, 90, 95, 90)
    data, _ = fragment_crystal(
        turned + np.array([6.0, 4.0, 5.0]), fragment.number, cell, "C 1 2 1", 2.0
    )
    generator = torch.Generator().manual_seed(0)
    first = FragmentPlacer(data, fragment, 5.0, 2, 1, generator, math.inf).first()[:1]
    # as they are found, before they are refined
    placer = FragmentPlacer(
        data,
        fragment,
        5.0,
        2,
        1,
        torch.Generator().manual_seed(0),
        math.inf,
        rigid_body=RigidBodySettings(steps=0),
    )
    to_frac = np.array(cell.frac.mat.tolist())
    poses = placer.further(first)
    assert poses
    for pose in poses:
        one, other = (x @ to_frac.T for x in pose.xyz[:, ::5].numpy())
        nearest = np.full(len(other), np.inf)
        for op in data.space_group.operations():
            mate = one @ (np.array(op.rot) / op.DEN).T + np.array(op.tran) / op.DEN
            gap = other[:, None] - mate
            gap = (gap - gap.round()) @ np.linalg.inv(to_frac).T
            nearest = np.minimum(nearest, np.linalg.norm(gap, axis=-1).min(1))
        assert (nearest > 2.9).mean() >= 0.5


def test_too_few_reflections_of_low_resolution_are_said(
    fragment_crystal: Callable[..., Any],
) -> None:
    fragment = ideal_fragment("helix", 6)
    data, _ = fragment_crystal(
        fragment.xyz, fragment.number, gemmi.UnitCell(9, 9, 14, 90, 90, 90), "P 1", 2
    )
    data = replace(data, f=np.where(data.d > 2.1, np.nan, data.f))
    generator = torch.Generator().manual_seed(0)
    with pytest.raises(NotApplicable, match="0 reflections to 3 A, too few to place a fragment"):
        FragmentPlacer(data, fragment, 5.0, 1, 1, generator, math.inf)
