"""The true space group is found from phases with errors, whatever group was stated."""

import gemmi
import numpy as np
import pytest

from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.symmetry import P1
from crysformer.phasing.origin.space_group_candidates import candidate_groups, lattice_rotations
from crysformer.phasing.origin.space_group_ranking import rank_space_groups

CELLS = {
    "triclinic": gemmi.UnitCell(9, 10, 11, 80, 95, 100),
    "monoclinic": gemmi.UnitCell(9, 10, 11, 90, 101, 90),
    "orthorhombic": gemmi.UnitCell(9, 10, 11, 90, 90, 90),
    "tetragonal": gemmi.UnitCell(9, 9, 12, 90, 90, 90),
}
TRUE = {
    "P -1": ("P 1", "P -1"),
    "P 1 21/c 1": ("P 1", "P -1", "P 1 21 1", "P 1 2 1", "P 1 21/c 1"),
    "P b c a": ("P 1", "P 21 21 21", "P b c a"),
    "P 21 21 21": ("P 1", "P 2 2 2", "P 1 21 1", "P 21 21 21"),
    "C 1 2 1": ("P 1", "C 1 2 1"),
}


class RandomAtoms:
    """Point atoms at general positions of a group: amplitudes in any stated group, phases in P1."""

    def __init__(self, name, n=12, seed=0, heaviest=1.0):
        group = gemmi.SpaceGroup(name)
        self.cell = CELLS[group.crystal_system_str()]
        atoms = np.random.default_rng(seed).uniform(size=(n, 3))
        self.xyz = np.array(
            [op.apply_to_xyz(x.tolist()) for op in group.operations() for x in atoms]
        )
        self.weight = np.ones(len(self.xyz))
        self.weight[:: len(atoms)] = heaviest

    def structure_factors(self, hkl):
        return np.exp(2j * np.pi * (hkl @ self.xyz.T)) @ self.weight

    def unique(self, group):
        return np.asarray(gemmi.make_miller_array(self.cell, group, 1.2), dtype=np.int32)

    def data(self, stated):
        group = gemmi.SpaceGroup(stated)
        hkl = self.unique(group)
        f = np.abs(self.structure_factors(hkl))
        f *= 1 + 0.05 * np.random.default_rng(1).standard_normal(len(f))
        return CrystalData(self.cell, group, hkl, f, np.maximum(0.05 * f, 0.1))

    def p1(self, error=25.0):
        hkl = self.unique(P1)
        rng = np.random.default_rng(2)
        phases = 2 * np.pi * (hkl @ rng.uniform(size=3))
        phases += np.deg2rad(error) * rng.standard_normal(len(hkl))
        return hkl, self.structure_factors(hkl) * np.exp(1j * phases)


@pytest.mark.parametrize("true", TRUE)
def test_true_group_is_first_whatever_was_stated(true):
    atoms = RandomAtoms(true)
    for stated in TRUE[true]:
        rows = rank_space_groups(atoms.data(stated), *atoms.p1())
        assert rows[0].name == true, stated
        assert rows[0].supported
        assert rows[0].stated == (stated == true)
        assert [row.stated for row in rows].count(True) == 1
        assert rows[0].agreement == pytest.approx(np.exp(-(np.deg2rad(25) ** 2)), abs=0.1)


def test_wrong_screw_axes_are_contradicted_by_phases_and_centring_by_amplitudes():
    atoms = RandomAtoms("P 21 21 21")
    rows = {row.name: row for row in rank_space_groups(atoms.data("P 2 2 2"), *atoms.p1())}
    assert not rows["P 2 2 2"].supported
    assert rows["P 2 2 2"].agreement < 0.3
    assert rows["P 21 21 21"].absent > 5
    assert rows["P 21 21 21"].absent_intensity < 0.02
    atoms = RandomAtoms("P -1")
    rows = {row.name: row for row in rank_space_groups(atoms.data("P 1"), *atoms.p1())}
    assert not rows["A 1"].supported
    assert rows["A 1"].absent_intensity > 0.5


def test_random_phases_support_no_symmetry():
    atoms = RandomAtoms("P 1 21/c 1")
    hkl, F = atoms.p1(error=1e4)
    rows = rank_space_groups(atoms.data("P 1"), hkl, F)
    assert rows[0].name == "P 1"
    assert not any(row.supported for row in rows[1:])


def test_crystal_without_inversion_stays_without():
    rows = rank_space_groups(RandomAtoms("P 1").data("P 1"), *RandomAtoms("P 1").p1(error=10))
    assert [row.name for row in rows if row.supported] == ["P 1"]


def test_heavy_atom_that_imitates_an_inversion_is_told_by_intensities():
    atoms = RandomAtoms("P 1 21 1", heaviest=9.0)
    rows = {row.name: row for row in rank_space_groups(atoms.data("P 1"), *atoms.p1(error=5))}
    centred = rows["P -1"]
    assert centred.agreement > 0.72
    assert centred.mean_e_squared_minus_one < 0.8
    assert not centred.supported
    assert rows["P 1 21 1"].mean_e_squared_minus_one is None
    true = RandomAtoms("P -1")
    rows = {row.name: row for row in rank_space_groups(true.data("P 1"), *true.p1())}
    assert 0.88 < rows["P -1"].mean_e_squared_minus_one < 1.05


def test_mates_that_differ_contradict_a_group_whose_phases_agree():
    atoms = RandomAtoms("P 1 21 1")
    data = atoms.data("P 1")
    wrong = np.random.default_rng(0).permutation(data.f)
    rows = rank_space_groups(CrystalData(data.cell, P1, data.hkl, wrong, data.sigf), *atoms.p1())
    two_fold = next(row for row in rows if row.name == "P 1 21 1")
    assert two_fold.agreement > 0.7
    assert two_fold.r_sym > 0.25
    assert not two_fold.supported


def test_both_hands_of_an_enantiomorphic_pair_rank_the_stated_member_first():
    atoms = RandomAtoms("P 41")
    hkl, F = atoms.p1()
    for phases in (F, F.conj()):
        first = rank_space_groups(atoms.data("P 41"), hkl, phases)[0]
        assert (first.name, first.enantiomorph, first.stated) == ("P 41", "P 43", True)


def test_groups_of_a_lattice():
    assert len(lattice_rotations(gemmi.UnitCell(10, 10, 10, 90, 90, 90))) == 48
    assert len(lattice_rotations(CELLS["monoclinic"])) == 4
    assert len(lattice_rotations(gemmi.UnitCell(10, 10, 13, 90, 90, 120))) == 24
    groups = candidate_groups(CELLS["triclinic"], P1)
    primitive = {g.space_group.xhm() for g in groups if g.space_group.centring_type() == "P"}
    assert primitive == {"P 1", "P -1"}
    groups = candidate_groups(CELLS["orthorhombic"], gemmi.SpaceGroup("P 2 2 2"))
    names = {g.space_group.xhm() for g in groups}
    assert {"P 21 21 21", "P b c a", "P n m a", "P 1 21/c 1", "P 1 1 21/a"} <= names
    # of two origin choices the one with the inversion centre at the origin
    assert "P n n n:2" in names
    assert "P n n n:1" not in names


def test_one_hand_of_a_chiral_molecule_has_no_inversion_unless_it_is_stated() -> None:
    atoms = RandomAtoms("P -1")
    hkl, F = atoms.p1()
    assert rank_space_groups(atoms.data("P 1"), hkl, F)[0].name == "P -1"
    chiral = rank_space_groups(atoms.data("P 1"), hkl, F, chiral=True)
    assert all(row.space_group.is_sohncke() for row in chiral)
    assert rank_space_groups(atoms.data("P -1"), hkl, F, chiral=True)[0].name == "P -1"
