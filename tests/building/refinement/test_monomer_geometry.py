"""Residues with dictionaries in our own refinement, on a small crystal of a modified peptide."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np
import pytest

from crysformer.building.dictionaries import Dictionaries, find_dictionaries
from crysformer.building.model_structure_factors import atomic_structure_factors, in_crystal
from crysformer.building.refinement import choice
from crysformer.building.refinement.own import OwnRefinement, structure_restraints
from crysformer.building.settings import BuildSettings
from crysformer.building.shaking import shaken
from crysformer.building.start import Start
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import InputError
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.model import PeptideModel
from crysformer.workflow.build import build_to_folder

COMPONENTS = Path(__file__).parents[1] / "components" / "components.cif.gz"
CELL = gemmi.UnitCell(18, 19, 21, 90, 97, 90)
GROUP = gemmi.SpaceGroup("P 1 21 1")


def modified_peptide() -> gemmi.Structure:
    """Ac-Aib-Phe-Orn-DAla-Leu-NH2 in standard geometry."""
    peptides = build_peptides(["Ac-AFK(DAL)L-NH2"])
    xyz = peptides.xyz - peptides.xyz.mean(axis=0) + [4.0, 5.0, 6.0]
    structure = PeptideModel(
        peptides, xyz, np.linspace(8, 16, len(xyz)), CELL, GROUP, np.zeros(0, dtype=complex)
    ).to_structure()
    residues = {residue.name: residue for residue in structure[0][0]}
    aib, orn = residues["ALA"], residues["LYS"]
    n, ca, c, cb = (np.array(aib.find_atom(x, "*").pos.tolist()) for x in ("N", "CA", "C", "CB"))
    normal = np.cross(n - ca, c - ca)
    normal /= np.linalg.norm(normal)
    second = aib.find_atom("CB", "*").clone()
    second.name, aib.find_atom("CB", "*").name = "CB2", "CB1"
    second.pos = gemmi.Position(*(cb - 2 * ((cb - ca) @ normal) * normal))
    aib.add_atom(second)
    aib.name = "AIB"
    orn.remove_atom("NZ", "\0", gemmi.Element("N"))
    end = orn.find_atom("CE", "*")
    end.name, end.element = "NE", gemmi.Element("N")
    orn.name = "ORN"
    return structure


def crystal(structure: gemmi.Structure, d_min: float) -> CrystalData:
    hkl = gemmi.make_miller_array(CELL, GROUP, d_min).astype(np.int32)
    data = CrystalData(CELL, GROUP, hkl, np.ones(len(hkl)))
    f = np.abs(atomic_structure_factors(in_crystal(structure, data), data))
    return replace(data, f=f, sigf=0.02 * f + 0.1)


def positions(structure: gemmi.Structure) -> np.ndarray:
    return np.array([site.atom.pos.tolist() for site in structure[0].all()])


@pytest.fixture(scope="module")
def dictionaries() -> Dictionaries:
    return find_dictionaries([COMPONENTS], {})


def test_every_residue_is_restrained_and_joined(dictionaries: Dictionaries) -> None:
    true = modified_peptide()
    found = structure_restraints(true, dictionaries)
    names = [f"{s.residue.name}.{s.atom.name}" for s in true[0].all()]
    bonds = {frozenset((names[i], names[j])) for i, j in found.bonds.tolist()}
    assert len(bonds) == len(names) - 1 + 1  # a tree, and the ring of phenylalanine
    for pair in (("ACE.C", "AIB.N"), ("AIB.C", "PHE.N"), ("PHE.C", "ORN.N"), ("ORN.C", "DAL.N"),
                 ("LEU.C", "NH2.N"), ("AIB.CA", "AIB.CB2"), ("ORN.CD", "ORN.NE")):  # fmt: skip
        assert frozenset(pair) in bonds
    xyz = positions(true)
    distance = np.linalg.norm(xyz[found.first] - xyz[found.second], axis=1)
    assert np.abs(distance - found.distance.numpy()).max() < 0.15


def test_a_modified_peptide_comes_back(dictionaries: Dictionaries) -> None:
    true = modified_peptide()
    data = crystal(true, 1.6)
    start = shaken(true, 0.3, seed=1)
    refined = OwnRefinement(dictionaries).refine(
        start, data, np.zeros(len(data), dtype=bool), cycles=12, deadline=math.inf
    )
    error = np.linalg.norm(positions(refined.structure) - positions(true), axis=1)
    assert np.sqrt((error**2).mean()) < 0.06
    assert refined.figures["r_work"] < 0.06


def test_a_ring_of_peptide_bonds_is_closed(dictionaries: Dictionaries) -> None:
    ring = modified_peptide()
    chain = ring[0][0]
    del chain[len(chain) - 1], chain[0]
    last, first = chain[len(chain) - 1], chain[0]
    shift = np.array(first.find_atom("N", "*").pos.tolist()) + np.array([0.0, 0.0, 1.4])
    last.find_atom("C", "*").pos = gemmi.Position(*shift)
    found = structure_restraints(ring, dictionaries)
    names = [f"{s.residue.name}.{s.atom.name}" for s in ring[0].all()]
    bonds = {frozenset((names[i], names[j])) for i, j in found.bonds.tolist()}
    assert frozenset(("LEU.C", "AIB.N")) in bonds


def test_a_modified_peptide_is_built_and_validated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(choice, "find_servalcat", lambda: None)
    monkeypatch.delenv("CLIBD_MON", raising=False)
    true = modified_peptide()
    data = crystal(true, 1.6)
    settings = BuildSettings(cycles=8, more_cycles=0, rebuilds=0, folds=0)
    built, validation, summary = build_to_folder(
        data, tmp_path, None, Start(shaken(true, 0.2, seed=1)), settings=settings,
        dictionary=[COMPONENTS],
    )  # fmt: skip
    assert built.r.r_work < 0.06
    assert any("residue AIB, ORN: no monomer dictionary" in note for note in built.notes)
    assert validation.bonds.rms < 0.02
    assert summary["validation"]["without_ideal_values"] == []
    written = gemmi.read_structure(str(tmp_path / "model.cif"))
    assert [r.name for r in written[0][0]] == ["ACE", "AIB", "PHE", "ORN", "DAL", "LEU", "NH2"]
    own, _, _ = build_to_folder(  # from the definitions that come with the package
        data, tmp_path / "own", None, Start(shaken(true, 0.2, seed=1)), settings=settings
    )
    assert own.r.r_work < 0.06
    true[0][0][1].name = "QQQ"
    with pytest.raises(InputError, match="residue QQQ: no monomer dictionary"):
        build_to_folder(data, tmp_path / "none", None, Start(true), settings=settings)
