"""Bonds, angles and hands against tabulated values, refinement programs, and broken models."""

from __future__ import annotations

from pathlib import Path

import gemmi
import numpy as np
import pytest

from crysformer.building.validation.bonds_and_angles import (
    bond_and_angle_deviations,
    standard_values,
)
from crysformer.building.validation.chirality import wrong_hands
from crysformer.building.validation.conformers import conformers
from crysformer.building.validation.residue_topology import angles, bonds
from crysformer.building.validation.settings import ValidationSettings
from crysformer.peptide import ideal_geometry as ideal
from crysformer.peptide.residues import NAMES

SETTINGS = ValidationSettings()


def test_ideal_values_are_those_of_engh_and_huber() -> None:
    own, link = standard_values("ALA"), standard_values("link any")
    for value, expected in (
        (own["N", "CA"], ideal.N_CA),
        (own["CA", "C"], ideal.CA_C),
        (own["C", "O"], ideal.C_O),
        (link["C", "N+"], ideal.C_N),
        (standard_values("LEU")["CA", "CB"], ideal.CA_CB),
        (standard_values("PRO")["N", "CD"], ideal.PROLINE_CD_N),
    ):
        assert value[0] == pytest.approx(expected, abs=0.008)
    for value, expected in (
        (own["N", "CA", "C"], ideal.N_CA_C),
        (own["CA", "C", "O"], ideal.CA_C_O),
        (link["CA", "C", "N+"], ideal.CA_C_N),
        (link["C", "N+", "CA+"], ideal.C_N_CA),
        (standard_values("LEU")["N", "CA", "CB"], ideal.N_CA_CB),
    ):
        assert value[0] == pytest.approx(expected, abs=0.8)


@pytest.mark.parametrize("name", NAMES)
def test_every_bond_and_angle_has_an_ideal_value(name: str) -> None:
    values = {frozenset(atoms): atoms for atoms in standard_values(name)}
    for atoms in (*bonds(name), *angles(name)):
        assert "OXT" in atoms or frozenset(atoms) in values
    for atoms in angles(name):
        if "OXT" not in atoms:
            assert values[frozenset(atoms)][1] == atoms[1]


def test_a_displaced_atom_is_found(helix: gemmi.Structure) -> None:
    before, _, without = bond_and_angle_deviations(list(conformers(helix[0])), SETTINGS)
    assert not without
    assert before.rms < 0.03
    broken = helix.clone()
    atom = broken[0][0][5]["CB"][0]
    atom.pos.x += 0.4
    after, of_angles, _ = bond_and_angle_deviations(list(conformers(broken[0])), SETTINGS)
    assert {outlier.site.residue for outlier in of_angles.outliers} >= {"6"}
    assert after.n == before.n
    assert after.rms > before.rms
    assert after.outliers[0].site.residue == "6"
    assert "CB" in after.outliers[0].atoms
    summary = after.outliers[0].to_summary()
    assert summary["name"] == helix[0][0][5].name
    assert abs(summary["value"] - summary["ideal"]) > 0.1


def test_residues_without_ideal_values_are_named_and_take_those_of_a_dictionary() -> None:
    structure = gemmi.Structure()
    structure.add_model(gemmi.Model(1))
    chain = structure[0].add_chain(gemmi.Chain("A"))
    residue = gemmi.Residue()
    residue.name, residue.seqid = "EOH", gemmi.SeqId("1")
    for name, x, y in (("C1", 0.0, 0.0), ("C2", 1.55, 0.0), ("O", -0.5, 1.35)):
        atom = gemmi.Atom()
        atom.name, atom.element = name, gemmi.Element(name[0])
        atom.pos = gemmi.Position(x, y, 0)
        residue.add_atom(atom)
    chain.add_residue(residue)
    found = list(conformers(structure[0]))
    n, _, without = bond_and_angle_deviations(found, SETTINGS)
    assert (n.n, without) == (0, ("EOH",))
    assert np.isnan(n.rms)
    block = gemmi.cif.read_string(ETHANOL)[0]
    library = gemmi.MonLib()
    library.monomers["EOH"] = gemmi.make_chemcomp_from_block(block)
    of_bonds, of_angles, without = bond_and_angle_deviations(found, SETTINGS, library)
    assert (of_bonds.n, of_angles.n, without) == (2, 1, ())
    length = np.hypot(0.5, 1.35)
    expected = np.sqrt(((1.55 - 1.513) ** 2 + (length - 1.429) ** 2) / 2)
    assert of_bonds.rms == pytest.approx(expected, abs=1e-6)


ETHANOL = """
data_comp_EOH
loop_
_chem_comp_atom.comp_id
_chem_comp_atom.atom_id
_chem_comp_atom.type_symbol
EOH C1 C
EOH C2 C
EOH O O
loop_
_chem_comp_bond.comp_id
_chem_comp_bond.atom_id_1
_chem_comp_bond.atom_id_2
_chem_comp_bond.type
_chem_comp_bond.value_dist
_chem_comp_bond.value_dist_esd
EOH C1 C2 single 1.513 0.02
EOH C1 O single 1.429 0.02
loop_
_chem_comp_angle.comp_id
_chem_comp_angle.atom_id_1
_chem_comp_angle.atom_id_2
_chem_comp_angle.atom_id_3
_chem_comp_angle.value_angle
_chem_comp_angle.value_angle_esd
EOH C2 C1 O 109.0 3.0
"""


def test_wrong_hands_are_found(helix: gemmi.Structure) -> None:
    assert wrong_hands(list(conformers(helix[0]))) == []
    renamed = helix.clone()
    renamed[0][0][3].name = "DLE"  # an L residue under the name of D-leucine
    threonine = renamed[0][0][12]
    methyl, hydroxyl = threonine["CG2"][0], threonine["OG1"][0]
    methyl.pos, hydroxyl.pos = (
        gemmi.Position(*hydroxyl.pos.tolist()),
        gemmi.Position(*methyl.pos.tolist()),
    )
    found = wrong_hands(list(conformers(renamed[0])))
    assert [(site.residue, site.name, atom) for site, atom in found] == [
        ("4", "DLE", "CA"),
        ("13", "THR", "CB"),
    ]


def test_as_many_bonds_as_phenix_counted(shared_dir: Path) -> None:
    path = shared_dir / "experimental" / "5e5z.pdb.gz"
    structure = gemmi.read_structure(str(path))
    stated = {row.name: row.count for row in structure.meta.refinement[0].restr_stats}
    of_bonds, of_angles, _ = bond_and_angle_deviations(list(conformers(structure[0])), SETTINGS)
    assert (of_bonds.n, of_angles.n) == (46, 62)
    assert set(stated.values()) >= {46, 62} or not stated
    assert of_bonds.rms < 0.008  # phenix: 0.004 A, 0.975 degrees with its own restraints
    assert of_angles.rms < 1.6


@pytest.mark.parametrize(
    ("name", "n_bonds", "n_angles"),
    # the CCP4 monomer library, by gemmi.prepare_topology, without hydrogens and waters
    [("1t2i.pdb.gz", 774, 1062), ("3u7t.cif.gz", 335, 462), ("1pen.pdb.gz", 115, 160)],
)
def test_as_many_bonds_and_angles_as_in_the_monomer_library(
    name: str, n_bonds: int, n_angles: int, shared_dir: Path
) -> None:
    structure = gemmi.read_structure(str(shared_dir / "deposited" / name))
    structure.remove_waters()
    structure.remove_alternative_conformations()
    of_bonds, of_angles, _ = bond_and_angle_deviations(list(conformers(structure[0])), SETTINGS)
    assert (of_bonds.n, of_angles.n) == (n_bonds, n_angles)
    assert of_bonds.rms < 0.012
    assert of_angles.rms < 2.0
