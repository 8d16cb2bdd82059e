"""Amides are turned where that makes more hydrogen bonds, and deposited ones stay."""

from __future__ import annotations

from pathlib import Path

import gemmi
import pytest

from crysformer.building.amide_flips import turn_amides

ENDS = {"ASN": ("OD1", "ND2"), "GLN": ("OE1", "NE2")}


def turned(structure: gemmi.Structure, *places: tuple[str, int]) -> gemmi.Structure:
    copy = structure.clone()
    for chain, number in places:
        residue = copy[0][chain][str(number)][0]
        one, two = (residue.find_atom(name, "*") for name in ENDS[residue.name])
        one.pos, two.pos = gemmi.Position(two.pos), gemmi.Position(one.pos)
    return copy


def where_different(one: gemmi.Structure, two: gemmi.Structure) -> list[tuple[str, int]]:
    found = []
    for chain in one[0]:
        for residue in chain:
            if residue.name in ENDS:
                other = two[0][chain.name][str(residue.seqid)][0]
                name = ENDS[residue.name][0]
                if residue.find_atom(name, "*").pos.dist(other.find_atom(name, "*").pos) > 1:
                    found.append((chain.name, residue.seqid.num))
    return found


@pytest.mark.parametrize("file", ["1aba.pdb.gz", "1yjp.cif.gz", "5e5z.pdb.gz"])
def test_deposited_amides_stay_and_turned_ones_come_back(shared_dir: Path, file: str) -> None:
    """Also in a small cell, where amides bind to their own mates."""
    true = gemmi.read_structure(str(shared_dir / "experimental" / file))
    true.remove_hydrogens()
    true.remove_alternative_conformations()
    same = true.clone()
    assert turn_amides(same) == 0
    assert where_different(same, true) == []
    places = [(c.name, r.seqid.num) for c in true[0] for r in c if r.name in ENDS]
    back = 0
    for place in places:
        model = turned(true, place)
        turn_amides(model)
        back += where_different(model, true) == []
    # what is left alone has no hydrogen bond that tells
    assert back >= 0.6 * len(places)


def test_a_model_without_amides_is_left_alone() -> None:
    assert turn_amides(gemmi.read_pdb_string("CRYST1   20 20 20 90 90 90 P 1\n")) == 0
