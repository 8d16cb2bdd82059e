"""Deviations of models whose displacement is known."""

from __future__ import annotations

import math

import gemmi
import numpy as np
import pytest

from crysformer.data.synthetic.synthetic_crystal import SyntheticCrystal
from crysformer.evaluation.building.deviations import deviations


@pytest.fixture
def truth(crystal: SyntheticCrystal) -> gemmi.Structure:
    return crystal.structure


def moved(structure: gemmi.Structure, by: np.ndarray) -> gemmi.Structure:
    """Copy whose atoms are displaced by rows of `by`, or all by one row; residues from 1."""
    copy = structure.clone()
    copy.setup_entities()
    rows = np.broadcast_to(by, (copy[0].count_atom_sites(), 3))
    for site, shift in zip(copy[0].all(), rows.tolist(), strict=True):
        site.atom.pos += gemmi.Position(*shift)
    for chain in copy[0]:
        for number, residue in enumerate(chain, start=1):
            residue.seqid = gemmi.SeqId(number, " ")
    return copy


def test_the_origin_of_p1_is_free(truth: gemmi.Structure) -> None:
    assert deviations(moved(truth, np.array([3.1, -20.0, 7.7])), truth) == pytest.approx((0, 0))


def test_displacements_are_measured(truth: gemmi.Structure) -> None:
    n = truth[0].count_atom_sites()
    shift = np.random.default_rng(0).normal(0, 0.4, (n, 3))
    names = [site.atom.name for site in truth[0].all()]
    backbone = np.array([name in ("N", "CA", "C", "O") for name in names])
    centred = shift - shift[backbone].mean(0)
    square = (centred**2).sum(1)
    expected = math.sqrt(square[backbone].mean()), math.sqrt(square.mean())
    # exchanges of atoms that are alike can make it a little smaller
    assert deviations(moved(truth, shift), truth) == pytest.approx(expected, rel=0.02)


def test_the_other_hand_is_far(truth: gemmi.Structure) -> None:
    xyz = np.array([site.atom.pos.tolist() for site in truth[0].all()])
    assert deviations(moved(truth, -2 * xyz), truth)[0] > 0.5


def test_atoms_that_are_alike_may_change_places(truth: gemmi.Structure) -> None:
    model = moved(truth, np.zeros(3))
    pairs = {"ASP": ("OD1", "OD2"), "GLU": ("OE1", "OE2"), "ASN": ("OD1", "ND2")}
    residue = gemmi.Residue()
    residue.name, residue.seqid = "ASP", gemmi.SeqId(len(model[0][0]) + 1, " ")
    for i, name in enumerate(("N", "CA", "C", "O", "OD1", "OD2")):
        atom = gemmi.Atom()
        atom.name, atom.element, atom.pos = name, gemmi.Element(name[0]), gemmi.Position(i, 0, 0)
        residue.add_atom(atom)
    model[0][0].add_residue(residue)
    exchanged = model.clone()
    first, second = (exchanged[0][0][-1].find_atom(name, "*") for name in pairs["ASP"])
    first.pos, second.pos = gemmi.Position(second.pos), gemmi.Position(first.pos)
    assert deviations(exchanged, model) == pytest.approx((0, 0), abs=1e-6)
    first.pos, second.pos = gemmi.Position(9, 9, 9), gemmi.Position(first.pos)
    assert deviations(exchanged, model)[1] > 1


def test_symmetry_mates_and_polar_axes() -> None:
    """In P 21 the origin is free along b only."""
    structure = gemmi.Structure()
    structure.cell, structure.spacegroup_hm = gemmi.UnitCell(12, 14, 16, 90, 100, 90), "P 1 21 1"
    chain = gemmi.Chain("A")
    rng = np.random.default_rng(1)
    for number in (1, 2):
        residue = gemmi.Residue()
        residue.name, residue.seqid = "ALA", gemmi.SeqId(number, " ")
        for name in ("N", "CA", "C", "O", "CB"):
            atom = gemmi.Atom()
            atom.name, atom.element = name, gemmi.Element(name[0])
            atom.pos = gemmi.Position(*rng.uniform(0, 10, 3))
            residue.add_atom(atom)
        chain.add_residue(residue)
    structure.add_model(gemmi.Model(1))
    structure[0].add_chain(chain)
    mate = structure.clone()
    op = gemmi.Op("-x,y+1/2,-z")
    for site in mate[0].all():
        frac = structure.cell.fractionalize(site.atom.pos)
        x, y, z = op.apply_to_xyz(frac.tolist())
        site.atom.pos = structure.cell.orthogonalize(gemmi.Fractional(x + 1, y + 0.31, z - 2.5))
    assert deviations(mate, structure) == pytest.approx((0, 0), abs=1e-4)
    along_c = structure.cell.orthogonalize(gemmi.Fractional(0, 0, 0.2))
    assert deviations(moved(structure, np.array(along_c.tolist())), structure)[0] > 1


def test_models_without_a_residue_in_common(truth: gemmi.Structure) -> None:
    other = gemmi.Structure()
    other.cell, other.spacegroup_hm = truth.cell, "P 1"
    other.add_model(gemmi.Model(1))
    assert deviations(other, truth) == (math.inf, math.inf)
