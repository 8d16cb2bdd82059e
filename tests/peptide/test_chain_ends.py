"""Peptide models with blocked ends and D residues."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest
import torch

from crysformer.peptide.cis_bonds import cis_bonds, geometry_with_cis
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.kinematics import Kinematics
from crysformer.peptide.model import PeptideModel
from crysformer.peptide.residues import CODES
from crysformer.peptide.restraints import chiral_volumes, restraints_of
from crysformer.peptide.rotatable_bonds import dihedral
from crysformer.phasing.sequence_search.random_poses import random_poses

MIXED = "Ac-AL(D-Ala)W(D-Ile)P-NH2"


def coordinates(sequence: str, n: int = 4) -> tuple[Kinematics, torch.Tensor]:
    kinematics = Kinematics(build_peptides((sequence,)))
    generator = torch.Generator().manual_seed(0)
    pose = random_poses(kinematics.peptides, n, 20 * torch.eye(3), generator)
    return kinematics, kinematics.coordinates(pose)[0]


def test_an_all_d_peptide_is_the_mirror_image() -> None:
    left = build_peptides(("ALWIPT",))
    right = build_peptides(("(DAL)(DLE)(DTR)(DIL)(DPR)(DTH)",))
    distances = [np.linalg.norm(p.xyz[:, None] - p.xyz[None], axis=2) for p in (left, right)]
    assert left.names == right.names
    np.testing.assert_allclose(distances[0], distances[1], atol=1e-9)
    centres = restraints_of(Kinematics(left)).centres
    volumes = [chiral_volumes(torch.as_tensor(p.xyz)[None], centres)[0] for p in (left, right)]
    assert float(volumes[0].abs().max()) > 2
    torch.testing.assert_close(volumes[0], -volumes[1], atol=1e-9, rtol=0)


def test_only_the_d_residues_have_the_other_hand() -> None:
    kinematics, xyz = coordinates(MIXED)
    p = kinematics.peptides
    index = {(int(r), name): i for i, (r, name) in enumerate(zip(p.residue, p.names, strict=True))}
    assert p.d_residues == {2, 4}
    for residue in range(6):
        rows = [index[residue, name] for name in ("CA", "N", "C", "CB")]
        volume = chiral_volumes(xyz, torch.tensor([rows]))[:, 0]
        assert bool((volume > 2).all()) == (residue not in p.d_residues)
        assert bool((volume < -2).all()) == (residue in p.d_residues)


def test_random_torsions_of_d_residues_mirror_those_of_l() -> None:
    def mean_phi(sequence: str) -> float:
        peptides = build_peptides((sequence,))
        torsions = random_poses(
            peptides, 2000, torch.eye(3), torch.Generator().manual_seed(1)
        ).torsions
        k = [t.kind for t in peptides.torsions].index("phi")
        return float(torch.rad2deg(torsions[:, k]).median())

    assert mean_phi("AAA") == pytest.approx(-70, abs=25)
    assert mean_phi("A(D-Ala)A") == pytest.approx(70, abs=25)


def test_ends_have_standard_geometry_and_turn_as_they_should() -> None:
    kinematics, xyz = coordinates(MIXED)
    p = kinematics.peptides
    at = {(int(r), name): i for i, (r, name) in enumerate(zip(p.residue, p.names, strict=True))}

    def length(a: tuple[int, str], b: tuple[int, str]) -> torch.Tensor:
        return torch.linalg.vector_norm(xyz[:, at[a]] - xyz[:, at[b]], dim=1)

    for a, b, expected in (
        ((0, "ACE.C"), (0, "N"), 1.329),
        ((0, "ACE.C"), (0, "ACE.O"), 1.231),
        ((0, "ACE.CH3"), (0, "ACE.C"), 1.511),
        ((5, "C"), (5, "NH2.N"), 1.329),
    ):
        np.testing.assert_allclose(length(a, b), expected, atol=1e-3)
    # trans: methyl and CA across the amide bond
    assert float((length((0, "ACE.CH3"), (0, "CA")) - 3.8).abs().max()) < 0.15
    kinds = [t.kind for t in p.torsions if t.residue == 0]
    assert kinds.count("omega") == 2
    assert "phi" in kinds
    # nothing that restraints hold depends on torsions, but for the spread of omega
    for pattern, one in zip(cis_bonds(p, xyz), xyz, strict=True):
        restraints = restraints_of(kinematics, geometry_with_cis(kinematics, pattern))
        assert float(restraints.chi_squared(one[None])) < 1


def test_written_model_names_ends_and_d_residues() -> None:
    kinematics, xyz = coordinates(MIXED, 1)
    p = kinematics.peptides
    model = PeptideModel(
        p,
        xyz[0].double().numpy(),
        np.full(len(p.names), 10.0),
        gemmi.UnitCell(20, 20, 20, 90, 90, 90),
        gemmi.SpaceGroup("P 1"),
        np.zeros(1, dtype=complex),
    )
    chain = model.to_structure()[0][0]
    assert [r.name for r in chain] == ["ACE", "ALA", "LEU", "DAL", "TRP", "DIL", "PRO", "NH2"]
    assert sorted(a.name for a in chain[0]) == ["C", "CH3", "O"]
    assert [a.name for a in chain[-1]] == ["N"]
    assert sum(len(r) for r in chain) == len(p.names)


@pytest.mark.parametrize(("sequence", "phi"), [("Ac-PG", -65.0), ("Ac-(D-Pro)G", 65.0)])
def test_the_acetyl_of_proline_follows_its_ring(sequence: str, phi: float) -> None:
    """At an extended phi it would lie on CD, and be taken as bonded to it."""
    p = build_peptides((sequence,))
    bonds = {tuple(sorted((p.names[a], p.names[b]))) for a, b in p.bonds}
    assert {b for b in bonds if "ACE.C" in b} == {
        ("ACE.C", "N"), ("ACE.C", "ACE.O"), ("ACE.C", "ACE.CH3")
    }  # fmt: skip
    atoms = [p.names.index(name) for name in ("ACE.C", "N", "CA", "C")]
    assert np.degrees(dihedral(p.xyz, atoms)) == pytest.approx(phi)


def test_every_blocked_chain_has_one_bond_less_than_atoms_but_for_its_rings() -> None:
    rings = {"F": 1, "H": 1, "P": 1, "W": 2, "Y": 1}
    for letter in CODES:
        for sequence in (letter, f"Ac-{letter}", f"{letter}-NH2", f"Ac-{letter}G{letter}-NH2"):
            p = build_peptides((sequence,))
            closed = sum(rings.get(code, 0) for code in p.codes)
            assert len(p.bonds) == len(p.names) - 1 + closed, sequence
