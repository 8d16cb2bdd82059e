"""Monomer dictionaries: the order of places, and what is unusable."""

from __future__ import annotations

from pathlib import Path

import gemmi
import pytest

from crysformer.building import dictionaries
from crysformer.building.dictionaries import describes_residues, find_dictionaries
from crysformer.errors import InputError

MONOMER = """data_comp_list
loop_
_chem_comp.id
_chem_comp.three_letter_code
AIB AIB

data_comp_AIB
loop_
_chem_comp_atom.comp_id
_chem_comp_atom.atom_id
AIB N
AIB CA
loop_
_chem_comp_bond.comp_id
_chem_comp_bond.atom_id_1
_chem_comp_bond.atom_id_2
_chem_comp_bond.value_dist
AIB N CA 1.46
"""


def library(folder: Path, *names: str) -> Path:
    (folder / "list").mkdir(parents=True)
    (folder / "list" / "mon_lib_list.cif").write_text("data_\n")
    (folder / "ener_lib.cif").write_text("data_\n")
    for name in names:
        (folder / name[0].lower()).mkdir(exist_ok=True)
        (folder / name[0].lower() / f"{name}.cif").write_text("data_\n")
    return folder


@pytest.fixture(autouse=True)
def _without_coot(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dictionaries.importlib.util, "find_spec", lambda name: None)


def test_a_given_file_counts_before_the_library_of_the_environment(tmp_path: Path) -> None:
    given = tmp_path / "aib.cif"
    given.write_text(MONOMER)
    stated = library(tmp_path / "ccp4", "ALA", "HOH")
    found = find_dictionaries([given], {"CLIBD_MON": str(stated)})
    assert (found.library, found.origin) == (stated, "$CLIBD_MON")
    assert found.files == (given,)
    assert found.monomers == {"AIB"}
    assert found.missing(["ALA", "AIB", "DAL", "HOH"]) == ("DAL",)


def test_coot_is_looked_up_beside_the_program_and_not_imported(tmp_path: Path) -> None:
    package = tmp_path / "lib" / "python3.11" / "site-packages" / "coot_headless_api"
    place = library(package / "share" / "coot" / "lib" / "data" / "monomers", "ALA")
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    program = tmp_path / "bin" / "servalcat"
    program.parent.mkdir()
    program.write_text("")
    found = find_dictionaries(environment={}, beside=program)
    assert found.library == place
    assert "coot-headless-api" in found.origin
    other = library(tmp_path / "ccp4")
    assert find_dictionaries(environment={"CLIBD_MON": str(other)}, beside=program).library == other


def test_an_incomplete_library_is_told_and_passed_over(tmp_path: Path) -> None:
    (tmp_path / "ener_lib.cif").write_text("data_\n")
    found = find_dictionaries(environment={"CLIBD_MON": str(tmp_path)})
    assert found.library is None
    assert found.missing(["ALA"]) == ("ALA",)
    assert found.notes == (f"CLIBD_MON={tmp_path} is not used: it lacks list/mon_lib_list.cif",)


@pytest.mark.parametrize("text", ["not a dictionary", "data_AIB\n", MONOMER[:150], ""])
def test_a_file_without_restraints_is_refused(tmp_path: Path, text: str) -> None:
    given = tmp_path / "aib.cif"
    given.write_text(text)
    with pytest.raises(InputError, match=r"aib\.cif: .*(restraints|read|empty)"):
        find_dictionaries([given], {})
    with pytest.raises(InputError, match="no such file"):
        find_dictionaries([tmp_path / "none.cif"], {})


COMPONENTS = Path(__file__).parent / "components" / "components.cif.gz"


def test_components_count_after_dictionaries_and_the_library(tmp_path: Path) -> None:
    given = tmp_path / "aib.cif"
    given.write_text(MONOMER)
    stated = library(tmp_path / "ccp4", "ALA")
    found = find_dictionaries([COMPONENTS, given], {"CLIBD_MON": str(stated)})
    names = ["ALA", "AIB", "ORN", "XYZ"]
    assert found.files == (given,)
    assert found.without_dictionary(names) == ("ORN", "XYZ")
    assert (found.made(names), found.missing(names)) == (("ORN",), ("XYZ",))
    read = [found.restraints(name) for name in ("AIB", "ORN", "XYZ")]
    assert [None if monomer is None else len(monomer.rt.bonds) for monomer in read] == [1, 19, None]
    text = gemmi.cif.read_string(found.made_dictionary(names))
    assert [block.name for block in text] == ["comp_list", "comp_ORN"]
    again = gemmi.make_chemcomp_from_block(text[1])
    assert len(again.rt.angles) == len(found.restraints("ORN").rt.angles)
    assert found.made_dictionary(["ALA"]) == ""


def test_a_model_file_with_restraints_is_recognised() -> None:
    assert describes_residues(MONOMER)
    assert not describes_residues("data_x\nloop_\n_chem_comp_atom.atom_id\nN\n")
    assert not describes_residues("ATOM      1  N   GLY A   1")
