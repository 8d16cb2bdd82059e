"""Methyls of Leu and Val get the names of their hand, with hydrogens and conformers."""

import gemmi
import numpy as np
import pytest

from crysformer.building.methyl_names import name_methyls
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.model import PeptideModel


def model(sequence: str) -> gemmi.Structure:
    p = build_peptides([sequence])
    cell, group = gemmi.UnitCell(30, 30, 30, 90, 90, 90), gemmi.SpaceGroup("P 1")
    b_iso = np.full(len(p.xyz), 10.0)
    return PeptideModel(p, p.xyz, b_iso, cell, group, np.zeros(0, complex)).to_structure()


def places(structure: gemmi.Structure) -> dict[tuple[int, str, str], list[float]]:
    return {
        (residue.seqid.num, atom.name, atom.altloc): atom.pos.tolist()
        for residue in structure[0][0]
        for atom in residue
    }


@pytest.mark.parametrize("sequence", ["ALV", "A(DLE)(DVA)"])
def test_exchanged_names_are_put_right(sequence: str) -> None:
    right = model(sequence)
    assert name_methyls(right) == 0
    wrong = right.clone()
    for residue, pair in zip(list(wrong[0][0])[1:], (("CD1", "CD2"), ("CG1", "CG2")), strict=True):
        one, other = (residue.find_atom(name, "*") for name in pair)
        one.name, other.name = pair[::-1]
    assert places(wrong) != places(right)
    assert name_methyls(wrong) == 2
    assert places(wrong) == places(right)


def test_hydrogens_and_conformers_follow() -> None:
    structure = model("ALA")
    leucine = structure[0][0][1]
    for name in ("CD1", "CD2"):
        atom = leucine.find_atom(name, "*")
        atom.altloc = "A"
        second, hydrogen = atom.clone(), atom.clone()
        second.altloc = "B"
        second.name = {"CD1": "CD2", "CD2": "CD1"}[name]
        hydrogen.altloc, hydrogen.name = "B", f"H{second.name[1:]}1"
        leucine.add_atom(second)
        leucine.add_atom(hydrogen)
    before = places(structure)
    assert name_methyls(structure) == 1
    after = places(structure)
    assert {k: v for k, v in after.items() if k[2] != "B"} == {
        k: v for k, v in before.items() if k[2] != "B"
    }
    for number in "12":
        assert after[2, f"CD{number}", "B"] == after[2, f"CD{number}", "A"]
        assert after[2, f"HD{number}1", "B"] == after[2, f"CD{number}", "B"]
