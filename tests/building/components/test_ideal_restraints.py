"""Restraints made from components of the wwPDB dictionary, against monomer libraries."""

from __future__ import annotations

from pathlib import Path

import gemmi
import numpy as np
import pytest

from crysformer.building.components.ideal_restraints import ideal_restraints
from crysformer.building.dictionaries import find_dictionaries
from crysformer.building.refinement.servalcat import find_servalcat
from crysformer.building.validation import bonds_and_angles
from crysformer.peptide.component import Component, component_of
from crysformer.peptide.residues import NAME_OF

#: Twenty residues and AIB, ACE, NH2, PCA, ORN, DAL of the wwPDB's dictionary (CC0).
COMPONENTS = Path(__file__).with_name("components.cif.gz")


def components() -> dict[str, gemmi.cif.Block]:
    return {block.name: block for block in gemmi.cif.read(str(COMPONENTS))}


def component(name: str) -> Component:
    found = component_of(components()[name])
    assert found is not None
    return found


def deviations(
    made: gemmi.ChemComp, bonds: dict[frozenset[str], float], angles: dict[tuple, float]
) -> tuple[list[float], list[float]]:
    """Differences of bonds, A, and of angles, degrees, that both have."""
    of_bonds = [
        bond.value - bonds[key]
        for bond in made.rt.bonds
        if (key := frozenset((bond.id1.atom, bond.id2.atom))) in bonds
    ]
    of_angles = [
        angle.value - angles[key]
        for angle in made.rt.angles
        if (key := (angle.id2.atom, frozenset((angle.id1.atom, angle.id3.atom)))) in angles
    ]
    return of_bonds, of_angles


def rms(values: list[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def test_the_twenty_residues_agree_with_deposited_models() -> None:
    all_bonds, all_angles = [], []
    for name in NAME_OF.values():
        known = bonds_and_angles._tables()[name]
        bonds = {frozenset(k): v[0] for k, v in known.items() if len(k) == 2}
        angles = {(k[1], frozenset((k[0], k[2]))): v[0] for k, v in known.items() if len(k) == 3}
        found = deviations(ideal_restraints(component(name)), bonds, angles)
        assert len(found[0]) >= 3
        all_bonds += found[0]
        all_angles += found[1]
    assert rms(all_bonds) < 0.03
    assert rms(all_angles) < 3.0


def test_the_twenty_residues_agree_with_a_monomer_library() -> None:
    dictionaries = find_dictionaries(beside=find_servalcat())
    if dictionaries.library is None:
        pytest.skip("no monomer library (CLIBD_MON, or coot-headless-api beside servalcat)")
    all_bonds, all_angles = [], []
    for name in NAME_OF.values():
        library = dictionaries.restraints(name)
        assert library is not None
        heavy = {atom.id for atom in library.atoms if not atom.is_hydrogen()}
        bonds = {
            frozenset((b.id1.atom, b.id2.atom)): b.value
            for b in library.rt.bonds
            if {b.id1.atom, b.id2.atom} <= heavy
        }
        angles = {
            (a.id2.atom, frozenset((a.id1.atom, a.id3.atom))): a.value
            for a in library.rt.angles
            if {a.id1.atom, a.id3.atom} <= heavy
        }
        made = ideal_restraints(component(name))
        found = deviations(made, bonds, angles)
        assert len(found[0]) == len(bonds)
        all_bonds += found[0]
        all_angles += found[1]
        assert len(made.rt.planes) >= 1
    assert rms(all_bonds) < 0.03  # measured: 0.015
    assert rms(all_angles) < 3.0  # measured: 1.4


def test_planes_and_chirality() -> None:
    tyrosine = ideal_restraints(component("TYR"))
    ring = {"CB", "CG", "CD1", "CD2", "CE1", "CE2", "CZ", "OH"}
    assert any(ring <= {i.atom for i in plane.ids} for plane in tyrosine.rt.planes)
    tryptophan = ideal_restraints(component("TRP"))
    both = {"CB", "CG", "CD1", "NE1", "CE2", "CZ2", "CH2", "CZ3", "CE3", "CD2"}
    assert any(both <= {i.atom for i in plane.ids} for plane in tryptophan.rt.planes)

    of = {
        name: next(c for c in ideal_restraints(component(name)).rt.chirs if c.id_ctr.atom == "CA")
        for name in ("ALA", "DAL")
    }
    order = {n: [c.id1.atom, c.id2.atom, c.id3.atom] for n, c in of.items()}
    same = order["ALA"] == order["DAL"]
    assert (of["ALA"].sign == of["DAL"].sign) != same  # mirror images
    valine = {c.id_ctr.atom: c.sign for c in ideal_restraints(component("VAL")).rt.chirs}
    assert valine["CB"] == gemmi.ChiralityType.Both
    assert len(ideal_restraints(component("AIB")).rt.chirs) == 0


def test_a_carboxylate_is_symmetrical_and_has_no_hydrogen() -> None:
    made = ideal_restraints(component("GLU"))
    atoms = {atom.id: atom for atom in made.atoms}
    assert not {"HE2", "HXT"} & atoms.keys()
    assert sum(atom.charge for atom in made.atoms) == -2
    lengths = {frozenset((b.id1.atom, b.id2.atom)): b.value for b in made.rt.bonds}
    assert lengths[frozenset(("CD", "OE1"))] == lengths[frozenset(("CD", "OE2"))]


def test_hydrogens_have_the_distance_that_x_rays_see() -> None:
    bonds = {
        frozenset((b.id1.atom, b.id2.atom)): b for b in ideal_restraints(component("AIB")).rt.bonds
    }
    methyl = bonds[frozenset(("CB1", "HB11"))]
    assert methyl.value == pytest.approx(0.97)
    assert methyl.value_nucleus == pytest.approx(1.09, abs=0.02)


@pytest.mark.parametrize(
    "change",
    [
        ("-1.298", "?"),
        ("pdbx_model_Cartn_x_ideal", "pdbx_model_Cartn_q_ideal"),
        ("AIB CA C", "AIB N C"),
    ],
)
def test_a_definition_that_lacks_something_is_none(change: tuple[str, str]) -> None:
    text = components()["AIB"].as_string()
    assert change[0] in text
    broken = gemmi.cif.read_string(text.replace(*change, 1)).sole_block()
    assert component_of(broken) is None
