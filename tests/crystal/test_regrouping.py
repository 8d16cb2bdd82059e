"""Merging in another space group, and the Laue class of a list without one."""

import gemmi
import numpy as np
import pytest

from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.regrouping import in_space_group, laue_group, mates_r
from crysformer.crystal.symmetry import expand_to_p1

CELL = gemmi.UnitCell(11, 13, 17, 90, 90, 90)


def crystal(name, cell=CELL, d_min=1.5, seed=0):
    group = gemmi.SpaceGroup(name)
    hkl = np.asarray(gemmi.make_miller_array(cell, group, d_min), dtype=np.int32)
    f = np.random.default_rng(seed).rayleigh(10, len(hkl))
    flags = np.arange(len(hkl), dtype=np.int32) % 7
    return CrystalData(cell, group, hkl, f, 0.1 * f + 0.1, flags)


def test_merging_undoes_an_expansion_to_p1():
    data = crystal("P 21 21 21")
    back = in_space_group(expand_to_p1(data)[0], data.space_group)
    values = dict(zip(map(tuple, back.hkl.tolist()), back.f, strict=True))
    assert len(values) == len(data)
    np.testing.assert_allclose([values[tuple(h)] for h in data.hkl.tolist()], data.f)
    assert "merged in P 21 21 21, the space group found, from P 1" in back.notes[-1]


def test_absences_of_the_new_group_are_not_measured_and_values_stay_within_a_laue_class():
    data = crystal("P 2 2 2")
    found = in_space_group(data, gemmi.SpaceGroup("P 21 21 21"))
    h, k, l = found.hkl.T  # noqa: E741
    absent = ((k == 0) & (l == 0) & (h % 2 == 1)) | ((h == 0) & (l == 0) & (k % 2 == 1))
    absent |= (h == 0) & (k == 0) & (l % 2 == 1)
    assert absent.sum() > 5
    np.testing.assert_array_equal(np.isfinite(found.f), ~absent)
    np.testing.assert_array_equal(found.f[~absent], data.f[~absent])
    np.testing.assert_array_equal(found.free, data.free)


def test_mates_of_a_lower_group_have_their_weighted_mean():
    data = crystal("P 1 21 1")
    found = in_space_group(data, gemmi.SpaceGroup("P 21 21 21"))
    values = dict(zip(map(tuple, data.hkl.tolist()), zip(data.f, data.sigf, strict=True)))  # noqa: B905
    (one, s1), (other, s2) = values[(2, 3, 4)], values[(-2, 3, 4)]
    row = int(np.flatnonzero((found.hkl == (2, 3, 4)).all(axis=1))[0])
    expected = (one / s1**2 + other / s2**2) / (s1**-2 + s2**-2)
    assert found.f[row] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("listed", "expected"),
    [("P 1", "P 1"), ("P 1 2 1", "P 1 2 1"), ("P 21 21 21", "P 2 2 2"), ("P b c a", "P 2 2 2")],
)
def test_laue_class_of_a_merged_list_in_an_orthorhombic_lattice(listed, expected):
    data = crystal(listed)
    assert laue_group(data.hkl, data.f**2, CELL).xhm() == expected


def test_laue_class_of_a_tetragonal_lattice_with_lower_symmetry():
    cell = gemmi.UnitCell(12, 12, 15, 90, 90, 90)
    for name, expected in (("P 41", "P 4"), ("P 41 21 2", "P 4 2 2"), ("P 21 21 2", "P 2 2 2")):
        data = crystal(name, cell)
        assert laue_group(data.hkl, data.f**2, cell).xhm() == expected


def test_r_of_mates():
    hkl = np.array([[1, 2, 3], [-1, 2, 3], [2, 0, 0]], dtype=np.int32)
    intensity = np.array([1.0, 3.0, 5.0])
    assert mates_r(hkl, intensity, gemmi.SpaceGroup("P 2 2 2")) == pytest.approx(2 / 4)
    assert mates_r(hkl, intensity, gemmi.SpaceGroup("P 1")) is None
