"""Clashes: of contacts made for the purpose, across symmetry, and none where there is a bond."""

from __future__ import annotations

import gemmi
import pytest

from crysformer.building.validation.clashes import clashes
from crysformer.building.validation.settings import ValidationSettings

SETTINGS = ValidationSettings()


def add_water(structure: gemmi.Structure, position: gemmi.Position, occupancy: float = 1.0) -> None:
    chain = structure[0].find_chain("W") or structure[0].add_chain(gemmi.Chain("W"))
    residue = gemmi.Residue()
    residue.name, residue.seqid = "HOH", gemmi.SeqId(str(len(chain) + 1))
    atom = gemmi.Atom()
    atom.name, atom.element, atom.pos, atom.occ = "O", gemmi.Element("O"), position, occupancy
    residue.add_atom(atom)
    chain.add_residue(residue)


def test_a_deposited_peptide_has_no_clashes(deposited_2ol9: gemmi.Structure) -> None:
    assert clashes(deposited_2ol9, SETTINGS) == []


def test_a_water_on_a_carbon_is_found(helix: gemmi.Structure) -> None:
    assert clashes(helix, SETTINGS) == []
    wet = helix.clone()
    target = wet[0][0][7]["CZ"][0].pos  # of a phenylalanine at the surface
    add_water(wet, gemmi.Position(target.x, target.y, target.z + 2.0))
    found = clashes(wet, SETTINGS)
    pairs = {(c.first.name, c.atoms[0], c.second.name, c.atoms[1]): c for c in found}
    named = [c for pair, c in pairs.items() if "HOH" in pair and "CZ" in pair]
    assert len(named) == 1
    assert named[0].distance == pytest.approx(2.0, abs=1e-3)
    assert named[0].overlap == pytest.approx(1.70 + 1.40 - 2.0, abs=1e-3)
    assert not named[0].mate
    assert found[0].overlap == max(c.overlap for c in found)
    summary = named[0].to_summary()
    assert {summary["first"]["atom"], summary["second"]["atom"]} == {"CZ", "O"}


def test_a_clash_with_a_symmetry_mate_is_found(helix: gemmi.Structure) -> None:
    crystal = helix.clone()
    crystal.spacegroup_hm = "P 1 21 1"
    # the mate at (-x, y + 1/2, -z) of a water near the screw axis
    corner = crystal.cell.orthogonalize(gemmi.Fractional(0.5, 0.05, 0.5))
    add_water(crystal, corner)
    mate = crystal.cell.orthogonalize(gemmi.Fractional(0.5, 0.55, 0.5))
    add_water(crystal, gemmi.Position(mate.x + 1.5, mate.y, mate.z))
    found = [c for c in clashes(crystal, SETTINGS) if c.first.name == c.second.name == "HOH"]
    assert [(round(c.distance, 3), c.mate) for c in found] == [(1.5, True)]


def test_the_occupancies_of_alternatives_leave_room(helix: gemmi.Structure) -> None:
    wet = helix.clone()
    for occupancy in (0.5, 0.5):
        x = 1.2 * len(wet[0].find_chain("W") or [])
        add_water(wet, gemmi.Position(18.0 + x, 1.0, 11.0), occupancy)
    assert not [c for c in clashes(wet, SETTINGS) if c.first.name == "HOH"]
    wet[0]["W"][0][0].occ = 0.8
    assert [c for c in clashes(wet, SETTINGS) if c.first.name == c.second.name == "HOH"]


def test_hydrogen_bonds_do_not_clash_and_close_hydrogens_do(
    deposited_2ol9: gemmi.Structure,
) -> None:
    strict = ValidationSettings(hydrogen_bond_overlap=0.0, clash_overlap=0.3)
    polar = clashes(deposited_2ol9, strict)
    assert polar, "the hydrogen bonds of the crystal overlap"
    for clash in polar:
        assert any(name.startswith("H") for name in clash.atoms)
        assert any(name[0] in "NO" for name in clash.atoms)


def test_disulphides_and_listed_links_do_not_clash() -> None:
    structure = gemmi.Structure()
    structure.cell = gemmi.UnitCell(30, 30, 30, 90, 90, 90)
    structure.spacegroup_hm = "P 1"
    structure.add_model(gemmi.Model(1))
    chain = structure[0].add_chain(gemmi.Chain("A"))
    for number, (name, atom_name, element, x) in enumerate(
        [("CYS", "SG", "S", 0.0), ("CYS", "SG", "S", 2.05), ("LYS", "NZ", "N", 10.0),
         ("ASP", "CG", "C", 11.35)], start=1,
    ):  # fmt: skip
        residue = gemmi.Residue()
        residue.name, residue.seqid = name, gemmi.SeqId(str(number))
        atom = gemmi.Atom()
        atom.name, atom.element, atom.occ = atom_name, gemmi.Element(element), 1.0
        atom.pos = gemmi.Position(x, 0, 0)
        residue.add_atom(atom)
        chain.add_residue(residue)
    found = clashes(structure, SETTINGS)
    assert [c.atoms for c in found] == [("NZ", "CG")]
    link = gemmi.Connection()
    link.type = gemmi.ConnectionType.Covale
    link.asu = gemmi.Asu.Same
    link.partner1 = gemmi.AtomAddress("A", gemmi.SeqId("3"), "LYS", "NZ")
    link.partner2 = gemmi.AtomAddress("A", gemmi.SeqId("4"), "ASP", "CG")
    structure.connections.append(link)
    assert clashes(structure, SETTINGS) == []
