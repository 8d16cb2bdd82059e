"""Our own restrained refinement of a structure: convergence, breaks, the free set."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import gemmi
import numpy as np
import pytest
import torch

from crysformer.building.model_structure_factors import atomic_structure_factors, in_crystal
from crysformer.building.refinement.own import OwnRefinement, structure_restraints
from crysformer.building.refinement.refiner import RefinementFailed
from crysformer.building.shaking import shaken
from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.cis_bonds import geometry_with_cis
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.kinematics import Kinematics
from crysformer.peptide.model import PeptideModel

CELL = gemmi.UnitCell(18, 19, 21, 90, 97, 90)
GROUP = gemmi.SpaceGroup("P 1 21 1")


def model(sequence: str, n_waters: int = 2) -> gemmi.Structure:
    peptides = build_peptides([sequence])
    xyz = peptides.xyz - peptides.xyz.mean(axis=0) + [4.0, 5.0, 6.0]
    b = np.linspace(8, 16, len(xyz))
    waters = np.array([[1.0, 1.5, 12.0], [9.0, 12.0, 2.0]])[:n_waters]
    return PeptideModel(
        peptides, xyz, b, CELL, GROUP, np.zeros(0, dtype=complex),
        waters=waters, waters_b=np.full(len(waters), 15.0),
    ).to_structure()  # fmt: skip


def crystal(structure: gemmi.Structure, d_min: float = 1.6) -> CrystalData:
    hkl = gemmi.make_miller_array(CELL, GROUP, d_min).astype(np.int32)
    data = CrystalData(CELL, GROUP, hkl, np.ones(len(hkl)))
    f = np.abs(atomic_structure_factors(in_crystal(structure, data), data))
    return replace(data, f=f, sigf=0.02 * f + 0.1)


def positions(structure: gemmi.Structure) -> np.ndarray:
    return np.array([site.atom.pos.tolist() for site in structure[0].all()])


def test_a_shaken_model_comes_back_and_the_given_one_stays() -> None:
    true = model("Ac-GFA(DAL)LK-NH2")
    data = crystal(true)
    start = shaken(true, 0.3, seed=1)
    before = positions(start)
    refined = OwnRefinement().refine(
        start, data, np.zeros(len(data), dtype=bool), cycles=12, deadline=math.inf
    )
    assert np.array_equal(positions(start), before)
    error = np.linalg.norm(positions(refined.structure) - positions(true), axis=1)
    assert np.sqrt((error**2).mean()) < 0.05
    assert refined.figures["r_work"] < 0.05
    assert [r.name for r in refined.structure[0][0]] == [r.name for r in true[0][0]]


def test_free_reflections_have_no_influence() -> None:
    true = model("GFAK")
    data = crystal(true, 2.0)
    free = np.random.default_rng(0).uniform(size=len(data)) < 0.1
    other = replace(data, f=np.where(free, 3 * data.f[::-1], data.f))
    start = shaken(true, 0.3, seed=2)
    one, two = (
        OwnRefinement().refine(start, d, free, cycles=2, deadline=math.inf) for d in (data, other)
    )
    np.testing.assert_allclose(positions(one.structure), positions(two.structure), atol=1e-5)


def test_restraints_of_a_chain_with_a_break_and_missing_atoms() -> None:
    whole = model("GFAKLS", n_waters=1)
    n = whole[0].count_atom_sites()
    full = structure_restraints(whole)
    assert int(full.first.max()) < n - 1  # the water is free
    broken = whole.clone()
    del broken[0][0][3]
    broken[0][0][1].remove_atom("CZ", "\0", gemmi.Element("C"))
    part = structure_restraints(broken)
    names = [(s.residue.seqid.num, s.atom.name) for s in broken[0].all()]
    for i, j in part.bonds.tolist():
        one, two = names[i], names[j]
        assert abs(one[0] - two[0]) <= 1
        assert {one[0], two[0]} != {3, 5}
    xyz = positions(broken)
    found = np.linalg.norm(xyz[part.first] - xyz[part.second], axis=1)
    np.testing.assert_allclose(found, part.distance, atol=1e-3)
    assert len(part.first) < len(full.first)


def test_a_residue_without_standard_geometry_is_named() -> None:
    odd = model("GFAK")
    odd[0][0][2].name = "XYZ"
    with pytest.raises(RefinementFailed, match=r"XYZ A3 has no restraints.*`dictionary`"):
        structure_restraints(odd)
    for chain in odd[0]:
        for residue in chain:
            residue.name, residue.entity_type = "HOH", gemmi.EntityType.Water
    with pytest.raises(RefinementFailed, match="no chain"):
        structure_restraints(odd)


@pytest.mark.parametrize("cis", [False, True])
def test_peptide_bonds_stay_cis_or_trans(cis: bool) -> None:
    kinematics = Kinematics(build_peptides(["GAPFA"]))
    flags = torch.zeros(len(kinematics.peptides.torsions), dtype=torch.bool)
    for k, torsion in enumerate(kinematics.peptides.torsions):
        flags[k] = cis and torsion.kind == "omega" and torsion.residue == 1
    peptides = replace(kinematics.peptides, xyz=geometry_with_cis(kinematics, flags))
    b_iso = np.full(len(peptides.xyz), 10.0)
    nothing = np.zeros(0, dtype=complex)
    true = PeptideModel(peptides, peptides.xyz, b_iso, CELL, GROUP, nothing).to_structure()
    data = crystal(true)
    refined = OwnRefinement().refine(
        shaken(true, 0.3, seed=1), data, np.zeros(len(data), dtype=bool), cycles=12,
        deadline=math.inf,
    )  # fmt: skip
    chain = refined.structure[0][0]
    omega = math.degrees(gemmi.calculate_omega(chain[1], chain[2]))
    assert abs(omega) == pytest.approx(0.0 if cis else 180.0, abs=10)
    error = np.linalg.norm(positions(refined.structure) - positions(true), axis=1)
    assert np.sqrt((error**2).mean()) < 0.08


def test_a_refinement_that_the_time_limit_cuts_short_is_none() -> None:
    true = model("GFAK")
    data = crystal(true, 2.0)
    with pytest.raises(RefinementFailed, match=r"stopped at the time limit, after 1 of 50 steps"):
        OwnRefinement().refine(
            true, data, np.zeros(len(data), dtype=bool), cycles=5, deadline=time.monotonic()
        )
