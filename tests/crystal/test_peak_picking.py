"""Sites picked from maps."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest
from numpy.typing import NDArray

from crysformer.crystal.peak_picking import PeakPicker, map_on_grid, minimum_image, symmetric_shape
from crysformer.crystal.reflections import CrystalData

CELL = gemmi.UnitCell(9, 11, 10, 90, 101, 90)


def test_distances_agree_with_gemmi() -> None:
    data = CrystalData(CELL, gemmi.SpaceGroup("C 1 2 1"), np.zeros((0, 3), np.int32), np.zeros(0))
    picker = PeakPicker(data, (12, 12, 12), 1.5)
    a, b = np.array([0.1, 0.2, 0.95]), np.array([0.05, 0.9, 0.1])
    image = CELL.find_nearest_image(
        CELL.orthogonalize(gemmi.Fractional(*a)), CELL.orthogonalize(gemmi.Fractional(*b))
    )
    assert picker.distance(a - b) == pytest.approx(image.dist(), abs=1e-4)
    # the two-fold axis along b at x = z = 0 is a special position, a place far from it is not
    assert picker.special[0, 3, 0]
    assert not picker.special[3, 3, 3]


def test_picked_sites_are_the_highest_and_apart(
    sulphurs: tuple[CrystalData, NDArray[np.complex128], NDArray[np.float64]],
) -> None:
    data, F, frac = sulphurs
    shape = symmetric_shape(data, 3.5)
    values = map_on_grid(data, F, shape)
    picker = PeakPicker(data, shape, 1.1)
    sites, heights = picker.pick(values, np.zeros((0, 3)), 3)
    assert (np.diff(heights) <= 0).all()
    for site in sites:  # the sulphurs, whichever mate
        assert picker.distance(picker.mates(frac[:3]) - site).min() < 0.3
    rest, _ = picker.pick(values, sites, 2)
    assert picker.distance(picker.mates(frac[:3])[:, None] - rest).min() > 1.1 - 0.3


def test_the_minimum_image_is_within_half_a_cell() -> None:
    step = np.array([[0.6, -0.6, 1.2], [0.4, -2.3, 0.0]])
    np.testing.assert_allclose(minimum_image(step), [[-0.4, 0.4, 0.2], [0.4, -0.3, 0.0]])
