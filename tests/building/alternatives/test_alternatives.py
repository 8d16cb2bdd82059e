"""Second conformers of side chains: found where they are, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import gemmi
import numpy as np
import pytest
import torch

from crysformer.building.alternatives.candidates import Candidate, candidates, split_elongated_atoms
from crysformer.building.alternatives.models import (
    occupancies,
    with_conformers,
    without_poor_conformers,
)
from crysformer.building.alternatives.settings import ConformerSettings
from crysformer.building.build import build
from crysformer.building.model_structure_factors import atomic_structure_factors, in_crystal
from crysformer.building.refined_state import RefinedState
from crysformer.building.refinement.servalcat import _occupancy_keywords
from crysformer.building.scaling import ScalingSettings
from crysformer.building.settings import BuildSettings
from crysformer.building.start import Start
from crysformer.building.tracing.rotamer_library import rotamer_library
from crysformer.building.writing.model_cif import model_document
from crysformer.building.writing.shelxl_ins import shelxl_ins
from crysformer.crystal.free_set import free_set
from crysformer.crystal.reflections import CrystalData

CELL = gemmi.UnitCell(14, 16, 20, 90, 95, 90)
GROUP = gemmi.SpaceGroup("P 1 21 1")
SETTINGS = ConformerSettings()
#: Residue of SNQNNF, rotamer that makes no contacts below 2.9 A, and its occupancy.
SECOND = ((0, 0, 0.40), (3, 3, 0.30))


@pytest.fixture(scope="module")
def single(deposited_2ol9: gemmi.Structure) -> gemmi.Structure:
    structure = deposited_2ol9.clone()
    structure.remove_hydrogens()
    structure.remove_alternative_conformations()
    structure.cell, structure.spacegroup_hm = CELL, GROUP.xhm()
    for site in structure[0].all():
        site.atom.aniso, site.atom.occ = gemmi.SMat33f(0, 0, 0, 0, 0, 0), 1.0
        site.atom.b_iso = 5.0 if site.atom.name in ("N", "CA", "C", "O") else 8.0
    return structure


@pytest.fixture(scope="module")
def disordered(single: gemmi.Structure) -> gemmi.Structure:
    structure = single.clone()
    for row, rotamer, occupancy in SECOND:
        residue = structure[0][0][row]
        library = rotamer_library({"SER": "S", "ASN": "N"}[residue.name])
        names = ("N", "CA", "C", "O")
        backbone = [residue.find_atom(name, "*").pos.tolist() for name in names]
        placed = library.placed(torch.tensor([backbone]))[0, rotamer].tolist()
        for name, place in zip(library.names, placed, strict=True):
            if name != "CB":
                first = residue.find_atom(name, "*")
                second = first.clone()
                first.altloc, first.occ = "A", 1 - occupancy
                second.altloc, second.occ = "B", occupancy
                second.pos = gemmi.Position(*place)
                residue.add_atom(second)
    return structure


def crystal(structure: gemmi.Structure, d_min: float = 1.1) -> CrystalData:
    hkl = gemmi.make_miller_array(CELL, GROUP, d_min).astype(np.int32)
    data = CrystalData(CELL, GROUP, hkl, np.ones(len(hkl)))
    f = np.abs(atomic_structure_factors(in_crystal(structure, data), data))
    sigf = 0.03 * f + 0.02 * f.mean()
    noisy = np.maximum(f + sigf * np.random.default_rng(0).standard_normal(len(f)), 0.01)
    return replace(data, f=noisy, sigf=sigf)


def found_in(data: CrystalData, model: gemmi.Structure) -> list[Candidate]:
    state = RefinedState.of(model, data, free_set(data), ScalingSettings())
    generator = torch.Generator().manual_seed(0)
    return candidates(state.structure, state.difference, data.d_min, generator, SETTINGS)


def test_second_conformers_are_found_where_they_are(
    single: gemmi.Structure, disordered: gemmi.Structure
) -> None:
    found = {c.seqid: c for c in found_in(crystal(disordered), single)}
    assert found.keys() == {"1", "4"}
    for row, _, _ in SECOND:
        residue = disordered[0][0][row]
        for name, place in found[str(residue.seqid)].second.items():
            true = residue.find_atom(name, "B").pos.tolist()
            assert np.linalg.norm(place - true) < 0.6


def test_none_is_invented(single: gemmi.Structure) -> None:
    assert found_in(crystal(single), single) == []


def test_no_candidates_beyond_the_resolution(
    single: gemmi.Structure, disordered: gemmi.Structure
) -> None:
    assert found_in(crystal(disordered, 1.3), single) == []


def test_an_elongated_atom_is_split_along_its_axis(single: gemmi.Structure) -> None:
    model = single.clone()
    for site in model[0].all():
        site.atom.aniso = gemmi.SMat33f(0.06, 0.06, 0.06, 0, 0, 0)
    atom = model[0][0][0].find_atom("OG", "*")
    atom.aniso = gemmi.SMat33f(0.06, 0.06, 0.06 + 0.3**2 + 0.18, 0, 0, 0)
    (found,) = split_elongated_atoms(model, SETTINGS)
    assert (found.seqid, list(found.first)) == ("1", ["OG"])
    step = found.first["OG"] - found.second["OG"]
    np.testing.assert_allclose(np.abs(step), [0, 0, 2 * np.sqrt(0.27)], atol=1e-6)
    np.testing.assert_allclose(
        found.first["OG"] + found.second["OG"], 2 * np.array(atom.pos.tolist()), atol=1e-6
    )


def test_conformers_are_written_and_removed_again(single: gemmi.Structure) -> None:
    residue = single[0][0][0]
    place = np.array(residue.find_atom("OG", "*").pos.tolist())
    far = Candidate("A", "1", {"OG": place}, {"OG": place + np.array([0, 0, 1.5])}, 1.0)
    model = with_conformers(single, [far], 0.3)
    assert single[0].count_atom_sites() + 1 == model[0].count_atom_sites()
    (listed,) = occupancies(model)
    assert listed.occupancy == pytest.approx({"A": 0.7, "B": 0.3})
    assert str(listed) == "SER A1 (0.70, 0.30)"
    assert _occupancy_keywords(model) == [
        "--keywords", "occupancy group id 1 chain A resi 1 alt A",
        "occupancy group id 2 chain A resi 1 alt B", "occupancy group alts complete 1 2",
        "occupancy refine",
    ]  # fmt: skip
    assert _occupancy_keywords(single) == []
    assert without_poor_conformers(model, SETTINGS)[1] == 0
    near = Candidate("A", "1", {"OG": place}, {"OG": place + np.array([0, 0, 0.2])}, 1.0)
    for poor in (with_conformers(single, [far], 0.05), with_conformers(single, [near], 0.3)):
        again, removed = without_poor_conformers(poor, SETTINGS)
        assert removed == 1
        assert occupancies(again) == []
        kept = again[0][0][0].find_atom("OG", "*")
        assert (kept.altloc, kept.occ, kept.pos.tolist()) == ("\0", 1.0, place.tolist())


@pytest.mark.external
@pytest.mark.parametrize("second", [True, False])
def test_from_a_model_without_them_to_the_files(
    second: bool, single: gemmi.Structure, disordered: gemmi.Structure
) -> None:
    data = crystal(disordered if second else single)
    settings = BuildSettings(rebuilds=0, hydrogens_d_min=0.5)
    settings = replace(settings, waters=replace(settings.waters, rounds=0))
    built = build(data, None, Start(single), settings)
    alternatives = {found.seqid: found for found in occupancies(built.structure)}
    assert alternatives.keys() == ({"1", "4"} if second else set())
    text = shelxl_ins(built)
    block = model_document(built, ["SNQNNF"]).sole_block()
    letters = list(block.find_values("_atom_site.label_alt_id"))
    assert letters.count("A") == letters.count("B") == (4 if second else 0)
    for row, _, occupancy in SECOND if second else ():
        found = alternatives[str(single[0][0][row].seqid)]
        assert found.occupancy["B"] == pytest.approx(occupancy, abs=0.1)
        assert sum(found.occupancy.values()) == pytest.approx(1.0, abs=1e-3)
    assert text.count("PART 1") == text.count("PART 2") == (2 if second else 0)
