from __future__ import annotations

import gemmi
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.symmetry import expand_to_p1, p1_mapping

# one setting or more of every crystal system, centred, non-standard and centrosymmetric ones
SPACE_GROUPS = [
    "P 1", "P -1", "P 1 2 1", "P 1 21 1", "P 1 1 21", "C 1 2 1", "I 1 2 1", "A 1 2 1",
    "P 1 21/c 1", "P 2 2 2", "P 21 21 2", "P 21 21 21", "C 2 2 21", "F 2 2 2", "I 21 21 21",
    "P n a 21", "P 4", "P 41", "P 43 21 2", "I 41 2 2", "I 41/a", "P 3", "P 31", "P 32 2 1",
    "R 3 :H", "R 3 :R", "R 3 2 :H", "P 61", "P 65 2 2", "P 63/m", "P 2 3", "P 21 3", "I 2 3",
    "F 4 3 2", "P 41 3 2", "I a -3 d",
]  # fmt: skip


def cell_for(space_group: gemmi.SpaceGroup) -> gemmi.UnitCell:
    system = space_group.crystal_system_str()
    if space_group.hm.startswith("R") and space_group.ext == "R":
        return gemmi.UnitCell(11, 11, 11, 97, 97, 97)
    unique = space_group.monoclinic_unique_axis() or "b"
    monoclinic = [90.0 if axis != unique else 104.0 for axis in "abc"]
    return gemmi.UnitCell(
        *{
            "triclinic": (9, 10, 11, 75, 84, 101),
            "monoclinic": (9, 10, 11, *monoclinic),
            "orthorhombic": (9, 10, 11, 90, 90, 90),
            "tetragonal": (10, 10, 13, 90, 90, 90),
            "trigonal": (10, 10, 13, 90, 90, 120),
            "hexagonal": (10, 10, 13, 90, 90, 120),
            "cubic": (12, 12, 12, 90, 90, 90),
        }[system]
    )


def crystal(
    name: str, d_min: float
) -> tuple[CrystalData, np.ndarray, dict[tuple[int, ...], complex]]:
    """Unique amplitudes, their phases in degrees and all of P1, calculated by gemmi."""
    space_group = gemmi.SpaceGroup(name)
    cell = cell_for(space_group)
    structure = gemmi.SmallStructure()
    structure.cell = cell
    structure.spacegroup_hm = space_group.xhm()
    rng = np.random.default_rng(3)
    for _ in range(5):
        site = gemmi.SmallStructure.Site()
        site.element = gemmi.Element("C")
        site.fract = gemmi.Fractional(*rng.random(3))
        site.u_iso = 0.2
        structure.add_site(site)
    structure.determine_and_set_spacegroup("2")
    hkl = gemmi.make_miller_array(cell, space_group, d_min)
    calculator = gemmi.StructureFactorCalculatorX(structure.cell)
    F = np.array([calculator.calculate_sf_from_small_structure(structure, h) for h in hkl.tolist()])
    data = CrystalData(
        cell, space_group, hkl, np.abs(F), sigf=np.arange(len(F)) * 0.1, free=np.arange(len(F))
    )
    every = gemmi.make_miller_array(cell, gemmi.SpaceGroup("P 1"), d_min)
    reference = {
        tuple(h): calculator.calculate_sf_from_small_structure(structure, h) for h in every.tolist()
    }
    return data, np.degrees(np.angle(F)), reference


@pytest.mark.parametrize("name", SPACE_GROUPS)
def test_expansion_equals_gemmi_in_p1(name: str) -> None:
    data, phi, reference = crystal(name, d_min=2.6)
    expanded, mapping = expand_to_p1(data)
    found = expanded.f * np.exp(1j * np.radians(mapping.phases(phi)))
    expected = np.array([reference[tuple(h)] for h in expanded.hkl.tolist()])
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())
    # complete: what is left out is systematically absent
    absent = set(reference) - {tuple(h) for h in expanded.hkl.tolist()}
    assert all(abs(reference[h]) < 1e-3 for h in absent)
    assert expanded.space_group.hm == "P 1"
    assert len(np.unique(expanded.hkl, axis=0)) == len(expanded)
    np.testing.assert_array_equal(expanded.sigf, data.sigf[mapping.parent])
    np.testing.assert_array_equal(expanded.free, data.free[mapping.parent])
    np.testing.assert_array_equal(expanded.hkl[: len(data)], hemisphere(data.hkl))


def hemisphere(hkl: np.ndarray) -> np.ndarray:
    asu = gemmi.ReciprocalAsu(gemmi.SpaceGroup("P 1"))
    return np.array([h if asu.is_in(h) else [-i for i in h] for h in hkl.tolist()])


@given(st.integers(0, 2**31), st.sampled_from(["P 1", "P 1 21 1", "P 43 21 2", "P 61"]))
@settings(deadline=None, max_examples=30)
def test_any_choice_of_mates_gives_the_same_reflections(seed: int, name: str) -> None:
    """An input in another asymmetric unit, also with repeats, expands to the same set."""
    rng = np.random.default_rng(seed)
    space_group = gemmi.SpaceGroup(name)
    hkl = gemmi.make_miller_array(cell_for(space_group), space_group, 3.0)
    operations = list(space_group.operations().sym_ops)
    chosen = rng.integers(len(operations), size=len(hkl))
    mates = np.array(
        [operations[i].apply_to_hkl(h) for i, h in zip(chosen, hkl.tolist(), strict=True)]
    )
    mates *= rng.choice([-1, 1], size=len(hkl))[:, None]
    mates = np.concatenate([mates, -mates[:3]])
    a, b = p1_mapping(hkl, space_group), p1_mapping(mates, space_group)
    assert {tuple(h) for h in a.hkl.tolist()} == {tuple(h) for h in b.hkl.tolist()}
    assert len(a.hkl) == len(b.hkl)


def test_missing_values_stay_missing() -> None:
    hkl = np.array([[1, 2, 3], [0, 2, 0]], dtype=np.int32)
    mapping = p1_mapping(hkl, gemmi.SpaceGroup("P 1 21 1"))
    assert mapping.hkl.tolist() == [[1, 2, 3], [0, 2, 0], [1, -2, 3]]
    phi = mapping.phases(np.array([np.nan, 30.0]))
    assert np.isnan(phi[[0, 2]]).all()
    assert phi[1] == pytest.approx(30)
    assert mapping.mates().tolist() == [2, 1, 2]


@pytest.mark.parametrize("name", SPACE_GROUPS)
def test_complex_values_expand_as_gemmi_calculates_them_and_average_back(name: str) -> None:
    data, phi, reference = crystal(name, d_min=2.6)
    mapping = p1_mapping(data.hkl, data.space_group)
    F = data.f * np.exp(1j * np.radians(phi))
    expanded = mapping.expand(F)
    expected = np.array([reference[tuple(h)] for h in mapping.hkl.tolist()])
    tolerance = 1e-5 * np.abs(expected).max()
    np.testing.assert_allclose(expanded, expected, atol=tolerance)
    np.testing.assert_allclose(mapping.average(expected), F, atol=tolerance)


@pytest.mark.parametrize("name", ["P 21 21 21", "P 31"])
def test_expansion_and_average_equal_direct_sums_over_the_atoms_of_the_cell(name: str) -> None:
    """An independent reference: gemmi's operators applied to atoms, then a sum over all atoms."""
    space_group = gemmi.SpaceGroup(name)
    cell = cell_for(space_group)
    rng = np.random.default_rng(11)
    asymmetric, number = rng.random((7, 3)), rng.choice([6, 7, 8, 16], 7)
    operations = list(space_group.operations())
    atoms = np.array([op.apply_to_xyz(x) for op in operations for x in asymmetric.tolist()])

    def direct_sum(hkl: np.ndarray) -> np.ndarray:
        return np.exp(2j * np.pi * hkl @ atoms.T) @ np.tile(number, len(operations))

    hkl = gemmi.make_miller_array(cell, space_group, 2.0)
    mapping = p1_mapping(hkl, space_group)
    np.testing.assert_allclose(mapping.expand(direct_sum(hkl)), direct_sum(mapping.hkl), atol=1e-9)
    np.testing.assert_allclose(mapping.average(direct_sum(mapping.hkl)), direct_sum(hkl), atol=1e-9)


@given(st.integers(0, 2**31), st.sampled_from(SPACE_GROUPS), st.floats(0, 0.5))
@settings(deadline=None, max_examples=40)
def test_average_is_the_inverse_of_expand_whatever_is_missing(
    seed: int, name: str, missing: float
) -> None:
    rng = np.random.default_rng(seed)
    space_group = gemmi.SpaceGroup(name)
    hkl = gemmi.make_miller_array(cell_for(space_group), space_group, 2.5)
    F = rng.normal(size=len(hkl)) + 1j * rng.normal(size=len(hkl))
    F[rng.random(len(hkl)) < missing] = np.nan
    mapping = p1_mapping(hkl, space_group)
    expanded = mapping.expand(F)
    np.testing.assert_array_equal(np.isnan(expanded), np.isnan(F)[mapping.parent])
    np.testing.assert_allclose(mapping.average(expanded), F, atol=1e-12)
    # one finite mate of each reflection is enough
    one = np.full(len(expanded), np.nan + 0j)
    chosen = np.unique(mapping.parent, return_index=True)[1]
    one[chosen] = expanded[chosen]
    np.testing.assert_allclose(mapping.average(one), F, atol=1e-12)


def test_average_is_the_mean_of_the_mates() -> None:
    mapping = p1_mapping(np.array([[1, 2, 3], [0, 2, 0]]), gemmi.SpaceGroup("P 1 21 1"))
    # the third reflection of P1 is 1 -2 3, and F(-1 2 -3) = F(1 2 3) for even k
    np.testing.assert_allclose(mapping.average(np.array([2 + 2j, 5.0, 4 - 6j])), [3 + 4j, 5.0])


def test_a_reflection_that_is_listed_again_has_no_average_of_its_own() -> None:
    mapping = p1_mapping(np.array([[1, 2, 3], [-1, -2, -3]]), gemmi.SpaceGroup("P 1 21 1"))
    average = mapping.average(np.ones(len(mapping.hkl)))
    assert average[0] == pytest.approx(1)
    assert np.isnan(average[1])
