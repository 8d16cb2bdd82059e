"""Translation function against sums over the sphere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gemmi
import numpy as np
import pytest

from crysformer.peptide.secondary_structure import ideal_fragment
from crysformer.phasing.fragments.fragment_translation import FragmentTranslation


@pytest.mark.parametrize("group", ["P 1 21 1", "P 41", "P 3", "P 4 2 2"])
def test_translation_function_is_the_sum_over_the_sphere(
    group: str, fragment_crystal: Callable[..., Any]
) -> None:
    fragment = ideal_fragment("helix", 5)
    edge = (24, 24, 27, 90, 90, 120 if group == "P 3" else 90)
    cell = gemmi.UnitCell(*edge)
    place = np.array([5.0, 3.0, 8.0])
    data, _ = fragment_crystal(fragment.xyz + place, fragment.number, cell, group, 3.0)
    translation = FragmentTranslation(data, fragment, 3.0)
    function, mates = translation.function, translation.mates(np.eye(3))
    turns = [np.array(op.rot) // op.DEN for op in data.space_group.operations().sym_ops]
    sphere = [
        len({tuple(sign * (h @ turn)) for turn in turns for sign in (1, -1)}) for h in function.hkl
    ]
    epsilon = [sum(np.array_equal(h @ turn, h) for turn in turns) for h in function.hkl]
    assert max(epsilon) > 1
    assert np.allclose(function.multiplicity, np.array(sphere) / sum(sphere))
    points = np.random.default_rng(0).integers(0, function.shape, (5, 3))
    F = function.moved(mates, points / np.array(function.shape))
    weight = np.array(sphere) * (function.e**2 - 1) / epsilon / sum(sphere)
    direct = np.abs(F) ** 2 @ weight
    found = function.alone(mates)[tuple(points.T)]
    assert np.allclose(
        found - found.mean(), direct - direct.mean(), atol=1e-9 * np.abs(direct).max()
    )
