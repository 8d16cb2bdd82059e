"""Centric phases and absences against gemmi, over many space groups."""

import gemmi
import numpy as np
import pytest

from crysformer.phasing.origin.phase_restrictions import phase_restrictions, restrict_phases

GROUPS = [
    "P 1", "P -1", "P 1 21 1", "P 1 21/c 1", "P 21 21 21", "I 41", "I 41 2 2", "P 31 2 1",
    "R 3 2:R", "P 61 2 2", "F d d d:1", "F d d d:2", "P 42/n:1", "I -4 3 d", "F 4 3 2", "P a -3",
]  # fmt: skip


@pytest.mark.parametrize("name", GROUPS)
def test_restrictions_are_gemmis_and_those_of_a_structure(name: str) -> None:
    sg = gemmi.SpaceGroup(name)
    axes = np.arange(-3, 4, dtype=np.int32)
    hkl = np.stack(np.meshgrid(axes, axes, axes, indexing="ij"), -1).reshape(-1, 3)
    hkl = np.ascontiguousarray(hkl[hkl.any(axis=1)])
    found = phase_restrictions(hkl, sg)
    operations = sg.operations()
    np.testing.assert_array_equal(found.centric, operations.centric_flag_array(hkl))
    np.testing.assert_array_equal(found.absent, operations.systematic_absences(hkl))
    # F of random points and all their images, written out
    points = np.random.default_rng(0).random((5, 3))
    images = np.array([op.apply_to_xyz(list(x)) for op in operations for x in points])
    F = np.exp(2j * np.pi * (hkl @ images.T)).sum(axis=1)
    np.testing.assert_allclose(F[found.absent], 0, atol=1e-9)
    present = ~found.absent
    phi = np.rad2deg(np.angle(F))
    restricted = restrict_phases(phi, found)
    error = (restricted - phi + 180) % 360 - 180
    strong = present & (np.abs(F) > 1e-3)
    np.testing.assert_allclose(error[strong], 0, atol=1e-6)
    on_axis = found.centric & strong
    twice = 2 * (phi - found.allowed)[on_axis]
    np.testing.assert_allclose(np.cos(np.deg2rad(twice)), 1, atol=1e-9)


def test_centric_phases_move_to_the_nearer_value() -> None:
    sg = gemmi.SpaceGroup("P 21 21 21")
    hkl = np.array([[0, 1, 1], [1, 0, 1], [1, 2, 3], [0, 2, 1]], dtype=np.int32)
    found = phase_restrictions(hkl, sg)
    np.testing.assert_allclose(found.allowed, [90, 90, np.nan, 0])
    assert found.centric.tolist() == [True, True, False, True]
    restricted = restrict_phases(np.array([200.0, -80.0, -33.0, np.nan]), found)
    np.testing.assert_allclose(restricted, [270, 270, 327, np.nan])
