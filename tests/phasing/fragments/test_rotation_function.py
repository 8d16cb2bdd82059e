"""Rotation function: interpolated transforms, orientations found again."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import gemmi
import numpy as np
import torch
from scipy.spatial.transform import Rotation

from crysformer.peptide.secondary_structure import ideal_fragment
from crysformer.phasing.fragments.rotation_function import (
    FragmentTransform,
    RotationFunction,
    RotationSettings,
    best_rotations,
)


def test_interpolated_intensity_is_the_direct_sum() -> None:
    fragment = ideal_fragment("helix", 8)
    transform = FragmentTransform(fragment, 2.0)
    s = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
    length = torch.rand(500, 1, generator=torch.Generator().manual_seed(1))
    s = 0.5 * s / s.norm(dim=1, keepdim=True) * length
    wave = torch.exp(2j * math.pi * (s.double() @ torch.tensor(fragment.xyz).T))
    direct = (wave @ torch.tensor(fragment.number, dtype=torch.complex128)).abs() ** 2
    found = transform.intensity(s).double()
    assert float((found - direct).norm() / direct.norm()) < 0.03


def test_rotation_is_recovered(fragment_crystal: Callable[..., Any]) -> None:
    fragment = ideal_fragment("helix", 8)
    true = Rotation.random(random_state=3).as_matrix()
    xyz = fragment.xyz @ true.T + 4.0
    data, _ = fragment_crystal(
        xyz, fragment.number, gemmi.UnitCell(16, 17, 19, 88, 95, 101), "P 1", 1.5
    )
    rotation, score = best_rotations(
        data,
        fragment,
        3,
        torch.Generator().manual_seed(0),
        settings=RotationSettings(orientations=6000),
    )
    placed = np.einsum("bij,aj->bai", rotation.numpy(), fragment.xyz)
    difference = placed - fragment.xyz @ true.T
    assert np.sqrt((difference**2).sum(2).mean(1))[0] < 0.2
    function = RotationFunction(data, 2.0)
    at_truth = function.scan(
        FragmentTransform(fragment, 2.0), torch.tensor(true[None], dtype=torch.float32)
    )
    assert float(score[0]) > 0.8 * float(at_truth)


def test_a_deadline_ends_the_scan_of_orientations(fragment_crystal: Callable[..., Any]) -> None:
    fragment = ideal_fragment("helix", 8)
    data, _ = fragment_crystal(
        fragment.xyz, fragment.number, gemmi.UnitCell(30, 31, 32, 88, 95, 101), "P 1", 1.8
    )
    function, transform = RotationFunction(data, 1.8), FragmentTransform(fragment, 1.8)
    rotation = torch.eye(3).expand(4000, 3, 3)
    done = len(function.scan(transform, rotation, deadline=0.0))
    assert 0 < done < 4000
    found, score = best_rotations(
        data,
        fragment,
        2,
        torch.Generator().manual_seed(0),
        deadline=0.0,
        settings=RotationSettings(orientations=4000),
    )
    assert len(found) == len(score) > 0
