"""Shapes of residues beside the twenty, from their definitions."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest

from crysformer.peptide.chain import parse_chain
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.ideal_geometry import CHIRAL_VOLUME
from crysformer.peptide.modified_residues import definitions, modified_composition
from crysformer.peptide.residue_shape import residue_shape

NAMES = sorted(definitions())


@pytest.mark.parametrize("name", NAMES)
def test_every_definition_gives_a_shape_with_all_its_atoms_bonded(name: str) -> None:
    shape = residue_shape(name)
    assert shape.atoms[:4] == ("N", "CA", "C", "O")
    counts: dict[str, int] = {}
    for number in shape.number:
        element = gemmi.Element(number).name
        counts[element] = counts.get(element, 0) + 1
    assert counts == modified_composition(name)
    p = build_peptides([f"A({name})A"])
    reached, waiting = {0}, [0]
    for atom in waiting:
        for pair in p.bonds:
            if atom in pair and sum(pair) - atom not in reached:
                reached.add(sum(pair) - atom)
                waiting.append(sum(pair) - atom)
    assert len(reached) == len(p.names)
    first, second = np.array(p.bonds).T
    length = np.linalg.norm(p.xyz[first] - p.xyz[second], axis=1)
    assert length.min() > 1.15
    assert length.max() < 2.2  # C-I


@pytest.mark.parametrize("name", NAMES)
def test_the_hand_of_the_alpha_carbon_is_that_of_the_residue(name: str) -> None:
    """An L residue has C, the side chain and N in that order around CA, seen from its hydrogen."""
    shape = residue_shape(name)
    row = {atom: i for i, atom in enumerate(shape.atoms)}
    of_ca = [a if b == "CA" else b for a, b in shape.bonds or () if "CA" in (a, b)]
    side = [x for x in of_ca if x not in ("N", "C")]
    chain = parse_chain(f"({name})")
    if len(side) != 1 or chain.achiral:
        assert chain.achiral or name == "DIV"
        return
    n, c, beta = (shape.xyz[row[x]] - shape.xyz[row["CA"]] for x in ("N", "C", side[0]))
    sign = -1 if chain.d_residues else 1
    assert sign * n @ np.cross(c, beta) == pytest.approx(CHIRAL_VOLUME, abs=0.35)


@pytest.mark.parametrize(
    ("name", "chi"),
    [
        ("NLE", ["CA-CB", "CB-CG", "CG-CD"]),
        ("ORN", ["CA-CB", "CB-CG", "CG-CD"]),
        ("MLE", ["CA-CB", "CB-CG"]),
        ("MEA", ["CA-CB", "CB-CG"]),  # the ring is rigid
        ("HYP", []),
        ("AIB", []),
        ("ALY", ["CA-CB", "CB-CG", "CG-CD", "CD-CE", "CE-NZ"]),  # the amide is rigid
        ("SEP", ["CA-CB", "CB-OG", "OG-P"]),
    ],
)
def test_rotatable_bonds(name: str, chi: list[str]) -> None:
    assert ["-".join(bond) for bond in residue_shape(name).chi] == chi


def test_methyls_on_nitrogen_lie_in_the_plane_of_the_peptide_bond() -> None:
    p = build_peptides(["A(MLE)G"])
    row = {(int(r), name): i for i, (r, name) in enumerate(zip(p.residue, p.names, strict=True))}
    plane = p.xyz[[row[0, "CA"], row[0, "C"], row[0, "O"], row[1, "N"], row[1, "CA"]]]
    methyl = p.xyz[row[1, "CN"]]
    normal = np.linalg.svd(plane - plane.mean(0))[2][-1]
    assert abs((methyl - plane.mean(0)) @ normal) < 0.02
    assert np.linalg.norm(methyl - p.xyz[row[0, "CA"]]) < 3.0  # on the side of CA, away from O
    assert np.linalg.norm(methyl - p.xyz[row[0, "O"]]) > 3.4
    assert residue_shape("MLE").on_nitrogen == ("CN",)
    assert residue_shape("HYP").ring
    assert residue_shape("PRO").ring


def test_residues_without_a_definition_have_no_shape() -> None:
    assert parse_chain("G(BAL)(AIB)").unmodelled == ("BAL",)
    with pytest.raises(KeyError):
        build_peptides(["G(BAL)G"])
