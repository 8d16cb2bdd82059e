"""Model files read back by gemmi, and checked with the PDBx/mmCIF dictionary."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import gemmi
import numpy as np
import pytest

from crysformer.building.validation.validation import validate
from crysformer.building.writing.links import add_links
from crysformer.building.writing.model_cif import model_document, write_model_cif
from crysformer.building.writing.model_pdb import write_model_pdb
from crysformer.building.writing.polymer_entities import set_entities

LONGER = ("GSNQNNFAK",)  # with residues that the model lacks


@pytest.fixture(scope="module")
def document(finished_2ol9: SimpleNamespace) -> gemmi.cif.Document:
    structure = finished_2ol9.scaled.structure
    return model_document(finished_2ol9, LONGER, validate(structure))


@pytest.fixture
def read(document: gemmi.cif.Document) -> gemmi.Structure:
    text = document.as_string()
    return gemmi.make_structure_from_block(gemmi.cif.read_string(text).sole_block())


def test_entities_have_the_full_sequence_and_the_model_its_place_in_it(
    read: gemmi.Structure, document: gemmi.cif.Document
) -> None:
    polymer, water = read.entities
    assert polymer.entity_type == gemmi.EntityType.Polymer
    assert polymer.polymer_type == gemmi.PolymerType.PeptideL
    assert "".join(gemmi.one_letter_code(polymer.full_sequence)) == LONGER[0]
    assert water.entity_type == gemmi.EntityType.Water
    numbers = [residue.label_seq for residue in read[0][0].get_polymer()]
    assert numbers == [2, 3, 4, 5, 6, 7]
    assert [str(r.seqid) for r in read[0][0].get_polymer()] == ["1", "2", "3", "4", "5", "6"]
    block = document.sole_block()
    assert [row.str(0) for row in block.find(["_struct_asym.id"])] == ["A", "B"]
    tags = ["type", "pdbx_seq_one_letter_code_can", "nstd_monomer", "pdbx_strand_id"]
    row = block.find("_entity_poly.", tags)[0]
    assert [row.str(i) for i in range(4)] == ["polypeptide(L)", LONGER[0], "no", "A"]
    tags = ["seq_id", "mon_id", "auth_seq_num", "pdb_strand_id"]
    scheme = [tuple(row) for row in block.find("_pdbx_poly_seq_scheme.", tags)]
    assert len(scheme) == len(LONGER[0])
    assert scheme[:2] == [("1", "GLY", "?", "A"), ("2", "SER", "1", "A")]
    waters = block.find("_pdbx_nonpoly_scheme.", ["asym_id", "mon_id", "auth_seq_num"])
    assert {tuple(row)[:2] for row in waters} == {("B", "HOH")}
    others = block.find("_pdbx_entity_nonpoly.", ["entity_id", "comp_id"])
    assert [(row.str(0), row.str(1)) for row in others] == [("2", "HOH")]
    types = {row.str(0): row.str(1) for row in block.find("_chem_comp.", ["id", "type"])}
    assert types["PHE"] == "L-peptide linking"
    assert types["GLY"] == "peptide linking"
    assert types["HOH"] == "non-polymer"


def test_refinement_and_software_are_told(
    read: gemmi.Structure, document: gemmi.cif.Document, finished_2ol9: SimpleNamespace
) -> None:
    r, data = finished_2ol9.r, finished_2ol9.data
    told = read.meta.refinement[0]
    assert told.r_work == pytest.approx(r.r_work, abs=5e-5)
    assert told.r_free == pytest.approx(r.r_free, abs=5e-5)
    assert (told.work_set_count, told.rfree_set_count) == (r.n_work, r.n_free)
    assert told.resolution_high == pytest.approx(data.d_min, abs=1e-3)
    assert [(s.name, s.version) for s in read.meta.software][-1] == ("servalcat", "0.4.142")
    assert "crysformer" in {s.name for s in read.meta.software}
    block = document.sole_block()
    restraints = block.find("_refine_ls_restr.", ["type", "number", "dev_ideal"])
    assert [(row.str(0), row.str(1)) for row in restraints] == [
        ("f_bond_d", "51"), ("f_angle_d", "68"),
    ]  # fmt: skip
    tags = ["number_reflns_R_free", "R_factor_R_work", "d_res_high"]
    shells = block.find("_refine_ls_shell.", tags)
    assert [int(row[0]) for row in shells] == [shell.n_free for shell in r.shells]
    assert [float(row[1]) for row in shells] == pytest.approx(
        [shell.r_work for shell in r.shells], abs=5e-5
    )
    assert [float(row[2]) for row in shells] == pytest.approx(
        [shell.d_min for shell in r.shells], abs=5e-4
    )
    assert block.find_values("_exptl.method").str(0) == "X-RAY DIFFRACTION"
    assert block.find_values("_refine.details").str(0) == finished_2ol9.free.note
    assert int(block.find_values("_reflns.number_obs")[0]) == data.measured.sum()
    matrix = [
        [float(block.find_value(f"_atom_sites.fract_transf_matrix[{i}][{j}]")) for j in (1, 2, 3)]
        for i in (1, 2, 3)
    ]
    assert matrix == pytest.approx(np.array(data.cell.frac.mat.tolist()), abs=1e-7)


def test_atoms_cell_and_symmetry_are_those_of_the_model(
    read: gemmi.Structure, finished_2ol9: SimpleNamespace
) -> None:
    model = finished_2ol9.scaled.structure
    assert read.cell.parameters == pytest.approx(finished_2ol9.data.cell.parameters)
    assert read.find_spacegroup() == finished_2ol9.data.space_group
    pairs = list(zip(read[0].all(), model[0].all(), strict=True))
    for new, old in pairs:
        assert (new.chain.name, str(new.residue.seqid)) == (old.chain.name, str(old.residue.seqid))
        assert (new.residue.name, new.atom.name) == (old.residue.name, old.atom.name)
        assert new.atom.pos.dist(old.atom.pos) < 0.001
        assert new.atom.b_iso == pytest.approx(old.atom.b_iso, abs=0.006)
        assert new.atom.altloc == old.atom.altloc


def test_d_residues_caps_and_chains_of_one_sequence() -> None:
    structure = gemmi.Structure()
    structure.cell = gemmi.UnitCell(30, 30, 30, 90, 90, 90)
    structure.add_model(gemmi.Model(1))
    names = ["ACE", "ALA", "DAL", "AIB", "NH2"]
    for c, chain_name in enumerate("AB"):
        chain = structure[0].add_chain(gemmi.Chain(chain_name))
        for i, name in enumerate(names):
            residue = gemmi.Residue()
            residue.name, residue.seqid = name, gemmi.SeqId(str(i))
            residue.entity_type = gemmi.EntityType.Polymer
            for k, atom_name in enumerate(("N", "CA", "C", "O")):
                atom = gemmi.Atom()
                atom.name, atom.element = atom_name, gemmi.Element(atom_name[0])
                atom.pos = gemmi.Position(3.0 * i, k + 6.0 * c, 0)
                residue.add_atom(atom)
            chain.add_residue(residue)
    set_entities(structure, ["Ac-A(DAL)(AIB)-NH2"])
    assert [list(e.full_sequence) for e in structure.entities] == [names]
    assert list(structure.entities[0].subchains) == ["A", "B"]
    assert {residue.subchain for residue in structure[0]["B"]} == {"B"}
    assert [residue.label_seq for residue in structure[0]["A"]] == [1, 2, 3, 4, 5]


def test_ligands_of_one_kind_are_one_entity(shared_dir: Path) -> None:
    structure = gemmi.read_structure(str(shared_dir / "experimental" / "1byz.pdb.gz"))
    set_entities(structure, [])
    of_kind: dict[str, set[str]] = {}
    for chain in structure[0]:
        for residue in chain:
            if residue.entity_type != gemmi.EntityType.Polymer:
                of_kind.setdefault(residue.name, set()).add(residue.entity_id)
    assert {"MPD", "HOH"} <= of_kind.keys()
    assert all(len(found) == 1 for found in of_kind.values())
    assert len({next(iter(found)) for found in of_kind.values()}) == len(of_kind)
    peptide = structure.entities[0]
    assert len(peptide.subchains) == 4
    assert peptide.full_sequence[0] == "ACE"


def test_a_chain_that_fits_no_sequence_has_its_own(finished_2ol9: SimpleNamespace) -> None:
    structure = finished_2ol9.scaled.structure.clone()
    set_entities(structure, ["WWWWWWWWWW"])
    assert "".join(gemmi.one_letter_code(structure.entities[0].full_sequence)) == "SNQNNF"


@pytest.mark.parametrize("name", ["2qsk.pdb.gz", "1t2i.pdb.gz", "1ejg.pdb.gz", "1pen.pdb.gz"])
def test_disulphides_and_cis_peptides_are_those_of_the_deposition(
    name: str, shared_dir: Path
) -> None:
    structure = gemmi.read_structure(str(shared_dir / "deposited" / name))

    def described() -> tuple[set[frozenset[str]], set[str]]:
        bridges = {
            frozenset((str(link.partner1.res_id.seqid), str(link.partner2.res_id.seqid)))
            for link in structure.connections
            if link.type == gemmi.ConnectionType.Disulf
        }
        return bridges, {str(cis.partner_c.res_id.seqid) for cis in structure.cispeps}

    stated = described()
    structure.connections.clear()
    add_links(structure)
    assert described() == stated
    assert stated[0] or stated[1]


def test_pdb_file_is_read_back(finished_2ol9: SimpleNamespace, tmp_path: Path) -> None:
    path = tmp_path / "model.pdb"
    write_model_pdb(path, finished_2ol9, LONGER, validate(finished_2ol9.scaled.structure))
    read = gemmi.read_structure(str(path))
    told = read.meta.refinement[0]
    r = finished_2ol9.r
    assert told.r_work == pytest.approx(r.r_work, abs=5e-5)
    assert told.r_free == pytest.approx(r.r_free, abs=5e-5)
    assert told.rfree_set_count == r.n_free
    assert told.resolution_high == pytest.approx(finished_2ol9.data.d_min, abs=0.005)
    assert read.cell.parameters == pytest.approx(finished_2ol9.data.cell.parameters, abs=0.006)
    assert read.spacegroup_hm == "P 1"
    assert "".join(gemmi.one_letter_code(read.entities[0].full_sequence)) == LONGER[0]
    text = path.read_text()
    assert "REMARK   3   BOND LENGTHS" in text
    assert all(len(line) <= 80 for line in text.splitlines())


def test_free_text_of_the_data_cannot_break_the_file(
    finished_2ol9: SimpleNamespace, tmp_path: Path
) -> None:
    hostile = "a 'quoted' \"title\"\n;data_ loop_ \u00e9"
    provenance = replace(finished_2ol9.data.provenance, title=hostile)
    data = replace(finished_2ol9.data, provenance=provenance)
    model = SimpleNamespace(**{**vars(finished_2ol9), "data": data})
    path = tmp_path / "model.cif"
    write_model_cif(path, model)
    block = gemmi.cif.read(str(path)).sole_block()
    title = gemmi.cif.as_string(block.find_value("_struct.title"))
    assert " ".join(title.split()) == " ".join(hostile.split())
    write_model_pdb(tmp_path / "model.pdb", model)
    assert len(gemmi.read_structure(str(tmp_path / "model.pdb"))[0]) == 1


def test_dictionary_of_the_pdb_accepts_the_file(document: gemmi.cif.Document) -> None:
    path = os.environ.get("CRYSFORMER_PDBX_DICTIONARY")
    if not path:
        pytest.skip("needs mmcif_pdbx_v50.dic: set CRYSFORMER_PDBX_DICTIONARY to its path")
    messages: list[str] = []
    ddl = gemmi.cif.Ddl(messages.append, print_unknown_tags=True)
    ddl.read_ddl(gemmi.cif.read(path))
    assert ddl.validate_cif(gemmi.cif.read_string(document.as_string())), messages
    # atoms of components are left to their dictionary; waters have no place in a sequence
    expected = ("_chem_comp_atom", "HOH")
    assert not [m for m in messages if not any(word in m for word in expected)], messages


def test_what_is_not_known_is_not_said(finished_2ol9: SimpleNamespace, tmp_path: Path) -> None:
    given = {**vars(finished_2ol9), "ab_initio": False}
    drawn = {**given, "free": replace(finished_2ol9.free, origin="drawn")}
    file = {**given, "free": replace(finished_2ol9.free, origin="file")}
    block = model_document(SimpleNamespace(**drawn)).sole_block()
    method = block.find_values("_refine.pdbx_method_to_determine_struct")
    assert method.str(0) == "" if len(method) else True
    roles = list(block.find_values("_software.classification"))
    assert "phasing" not in roles
    assert "refinement" in roles
    assert block.find_values("_refine.pdbx_R_Free_selection_details").str(0) == "RANDOM"
    block = model_document(SimpleNamespace(**file)).sole_block()
    assert "RANDOM" not in list(block.find_values("_refine.pdbx_R_Free_selection_details"))
    block = model_document(finished_2ol9).sole_block()
    method = block.find_values("_refine.pdbx_method_to_determine_struct")
    assert method.str(0) == "AB INITIO PHASING"
    assert "phasing" in list(block.find_values("_software.classification"))


def test_r_free_of_a_small_set_is_told_with_that_of_the_folds(
    finished_2ol9: SimpleNamespace, tmp_path: Path
) -> None:
    r = finished_2ol9.r
    fold = replace(r, r_work=0.0512, r_free=0.0678, r_free_error=0.0012, folds=5)
    model = SimpleNamespace(**{**vars(finished_2ol9), "k_fold": fold})
    details = model_document(model).sole_block().find_values("_refine.details").str(0)
    told = "R-work is 0.0512 and R-free 0.0678 +- 0.0012"
    assert f"R-free of {r.n_free} reflections" in details
    assert told in details
    write_model_pdb(tmp_path / "model.pdb", model)
    lines = (tmp_path / "model.pdb").read_text().splitlines()
    remarks = [line[10:].strip() for line in lines if line.startswith("REMARK   3")]
    assert told in " ".join(remarks)
    assert max(map(len, lines)) == 80
