"""Residues of a user's dictionary in sequences and models."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources

import gemmi
import numpy as np
import pytest

from crysformer.errors import UsageError
from crysformer.peptide.chain import parse_chain
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.modified_residues import definitions
from crysformer.peptide.residue_shape import residue_shape
from crysformer.peptide.sequence_file import read_sequences
from crysformer.peptide.user_residues import add_residues

SOURCE = resources.files("crysformer.peptide").joinpath("modified_residues.cif")


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = dict(definitions())
    yield
    definitions().clear()
    definitions().update(before)
    parse_chain.cache_clear()
    residue_shape.cache_clear()


def component(name: str, as_name: str) -> gemmi.cif.Document:
    """One of the package's components under another name."""
    block = gemmi.cif.read_string(SOURCE.read_text("utf-8")).find_block(name)
    block.name = as_name
    block.set_pair("_chem_comp.id", as_name)
    document = gemmi.cif.Document()
    document.add_copied_block(block)
    return document


def monomer_dictionary(name: str, as_name: str, mirrored: bool) -> gemmi.cif.Document:
    """The same as AceDRG writes it: coordinates x, y, z, types of bonds, a chiral centre."""
    component = definitions()[name]
    sign = np.array([1, 1, -1 if mirrored else 1])
    lines = ["data_comp_list", "loop_", "_chem_comp.id", as_name, f"data_comp_{as_name}", "loop_"]
    lines += [f"_chem_comp_atom.{x}" for x in ("comp_id", "atom_id", "type_symbol", "x", "y", "z")]
    for atom, element, xyz in zip(component.atoms, component.element, component.xyz, strict=True):
        lines.append(f"{as_name} {atom} {element} " + " ".join(f"{x:.3f}" for x in sign * xyz))
    lines += ["loop_"]
    lines += [f"_chem_comp_bond.{x}" for x in ("atom_id_1", "atom_id_2", "type", "value_dist")]
    words = {1.0: "single", 2.0: "double", 1.5: "aromatic"}
    for i, j, order in component.bonds:
        lines.append(f"{component.atoms[i]} {component.atoms[j]} {words[order]} 1.5")
    lines += ["loop_", "_chem_comp_chir.id", "_chem_comp_chir.atom_id_centre", "chir_01 CA", ""]
    return gemmi.cif.read_string("\n".join(lines))


def test_a_component_is_known_by_its_name() -> None:
    with pytest.raises(UsageError, match="unknown residue"):
        read_sequences("A(QQ1)A")
    assert add_residues([component("NLE", "QQ1")]) == ("QQ1",)
    assert read_sequences("A(QQ1)A") == ("A(QQ1)A",)
    assert parse_chain("A(QQ1)A").composition() == parse_chain("A(NLE)A").composition()
    found, expected = build_peptides(["A(QQ1)A"]), build_peptides(["A(NLE)A"])
    np.testing.assert_array_equal(found.xyz, expected.xyz)
    assert found.torsions == expected.torsions


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_monomer_dictionary_is_read_with_its_hand(mirrored: bool) -> None:
    assert add_residues([monomer_dictionary("MLE", "QQ2", mirrored)]) == ("QQ2",)
    chain = parse_chain("G(QQ2)")
    assert chain.d_residues == ({1} if mirrored else set())
    assert chain.achiral == {0}
    shape, source = residue_shape("QQ2"), residue_shape("MLE")
    assert (shape.atoms, shape.chi, shape.on_nitrogen) == (
        source.atoms,
        source.chi,
        source.on_nitrogen,
    )
    hand = np.array([1, 1, -1 if mirrored else 1])
    np.testing.assert_allclose(shape.xyz, hand * source.xyz, atol=2e-3)


def test_what_is_no_amino_acid_is_left_aside() -> None:
    ligand = gemmi.cif.read_string(
        "data_LIG\nloop_\n_chem_comp_atom.atom_id\n_chem_comp_atom.type_symbol\n"
        "_chem_comp_atom.x\n_chem_comp_atom.y\n_chem_comp_atom.z\nC1 C 0 0 0\nO1 O 1.2 0 0\n"
        "loop_\n_chem_comp_bond.atom_id_1\n_chem_comp_bond.atom_id_2\n_chem_comp_bond.type\n"
        "C1 O1 double\n"
    )
    assert add_residues([ligand]) == ()
    assert add_residues([component("ABA", "ALA")]) == ()
