"""Translation search: positions found again, alone and beside a placed fragment."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gemmi
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from crysformer.peptide.secondary_structure import ideal_fragment
from crysformer.phasing.fragments.fragment_translation import FragmentTranslation


@pytest.mark.parametrize(
    ("group", "axis"),
    [("P 1 21 1", 24.0), ("P 1 21 1", 60.0), ("P 21 21 21", 24.0), ("C 1 2 1", 24.0), ("P 41", 24)],
)
def test_translation_is_recovered(
    group: str, axis: float, fragment_crystal: Callable[..., Any]
) -> None:
    fragment = ideal_fragment("helix", 6)
    turned = fragment.xyz @ Rotation.random(random_state=1).as_matrix().T
    cell = gemmi.UnitCell(24, axis, 27, 90, 90, 90)
    data, _ = fragment_crystal(
        turned + np.array([5.0, 3.0, 8.0]), fragment.number, cell, group, 2.0
    )
    turned_fragment = replace(fragment, xyz=turned)
    translation = FragmentTranslation(data, turned_fragment)
    where, correlation = translation.first(np.eye(3), 3)
    # three solutions, not three origins of one
    assert len(where) == 3
    assert (np.diff(correlation) < -1e-5).all()
    function, mates = translation.function, translation.mates(np.eye(3))

    def at(places: NDArray[np.float64]) -> NDArray[np.float64]:
        return function.correlation(function.moved(mates, places))

    at_truth = at(np.array([[5.0, 3.0, 8.0]]) / [24, axis, 27])[0]
    assert at_truth > 0.75
    # on grid points the maximum itself is missed, but not by much
    assert correlation[0] > 0.95 * at_truth
    assert at(where[:1])[0] == pytest.approx(correlation[0])
    elsewhere = np.random.default_rng(0).random((200, 3))
    assert at(elsewhere).max() < correlation[0] + 1e-6


@pytest.mark.parametrize("group", ["P 1", "P 1 21 1"])
def test_a_second_helix_is_placed_beside_the_first(
    group: str, fragment_crystal: Callable[..., Any]
) -> None:
    fragment = ideal_fragment("helix", 7)
    turns = [Rotation.random(random_state=i).as_matrix() for i in (1, 2)]
    places = np.array([[5.0, 3.0, 8.0], [16.0, 9.0, 20.0]])
    xyz = np.stack([fragment.xyz @ r.T + t for r, t in zip(turns, places, strict=True)])
    cell = gemmi.UnitCell(24, 26, 29, 90, 100, 90)
    number = np.tile(fragment.number, 2)
    data, _ = fragment_crystal(xyz.reshape(-1, 3), number, cell, group, 2.0)
    function = FragmentTranslation(data, fragment, 2.2)
    ((where, correlation),) = function.further(turns[1], [function.transform(xyz[:1])], 2)
    to_frac = np.array(cell.frac.mat.tolist())
    off = where[0] - to_frac @ places[1]
    assert np.linalg.norm(np.linalg.inv(to_frac) @ (off - off.round())) < 0.7
    both = function.function.correlation(function.transform(xyz)[None])[0]
    assert both > correlation[0] > correlation[1] + 0.05
