"""Rings of residues: composition, closing of conformations, and their restraints."""

from __future__ import annotations

import gemmi
import pytest
import torch
from torch import Tensor

from crysformer.crystal.matthews import chain_mass
from crysformer.errors import UsageError
from crysformer.peptide import ideal_geometry as ideal
from crysformer.peptide.chain import parse_chain
from crysformer.peptide.cis_bonds import cis_probability
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.kinematics import Kinematics, Pose
from crysformer.peptide.restraints import restraints_of
from crysformer.peptide.ring_closure import RingClosure, closed
from crysformer.peptide.sequence_file import read_sequences
from crysformer.phasing.sequence_search.random_poses import random_poses, random_torsions


def coordinates(kinematics: Kinematics, torsions: Tensor) -> Tensor:
    n = len(torsions)
    return kinematics.coordinates(
        Pose(torsions, torch.eye(3).expand(n, 1, 3, 3), torch.zeros(n, 1, 3))
    )[0]


def test_notation_and_composition() -> None:
    (chain,) = read_sequences("cyclo(Leu-MeLeu-Phe)")
    assert chain == "cyclo-(L(MLE)F)"
    assert parse_chain(chain).composition() == {"C": 22, "N": 3, "O": 3}
    assert chain_mass("GGG") - chain_mass("cyclo-(GGG)") == pytest.approx(18.015, abs=0.01)
    gramicidin_s = "cyclo-((DPN)PV(ORN)L(DPN)PV(ORN)L)"
    assert read_sequences("cyclo-(D-Phe-Pro-Val-Orn-Leu-D-Phe-Pro-Val-Orn-Leu)") == (gramicidin_s,)
    assert parse_chain(gramicidin_s).composition() == {"C": 60, "N": 12, "O": 10}
    for text in ("cyclo-(G)", "cyclo-(Ac-GG)", "cyclo-()"):
        with pytest.raises(UsageError, match="two residues or more"):
            read_sequences(text)


@pytest.mark.parametrize("sequence", ["cyclo-(LPFAG)", "cyclo-(A(MLE)AG(MVA)F)"])
def test_random_conformations_are_closed(sequence: str) -> None:
    kinematics = Kinematics(build_peptides([sequence]))
    torsions = random_torsions(kinematics.peptides, 40, torch.Generator().manual_seed(0))
    closure = RingClosure(kinematics.peptides)

    def gaps(torsions: Tensor) -> Tensor:
        xyz = coordinates(kinematics, torsions)
        found = torch.linalg.vector_norm(xyz[:, closure.first] - xyz[:, closure.second], dim=2)
        return (found - closure.distance).abs().amax(1)

    after = closed(kinematics, torsions)
    assert gaps(torsions).median() > 3
    assert gaps(after).median() < 0.25
    omega = [t.kind == "omega" for t in kinematics.peptides.torsions]
    torch.testing.assert_close(after[:, omega], torsions[:, omega])
    pose = random_poses(kinematics.peptides, 40, torch.eye(3), torch.Generator().manual_seed(0))
    assert gaps(pose.torsions).median() < 0.25


def test_force_is_the_gradient() -> None:
    closure = RingClosure(build_peptides(["cyclo-(AGF)"]))
    xyz = torch.randn(2, 19, 3, dtype=torch.float64, requires_grad=True)
    length = torch.linalg.vector_norm(xyz[:, closure.first] - xyz[:, closure.second], dim=2)
    energy = 0.5 * ((length - closure.distance) ** 2).sum()
    (gradient,) = torch.autograd.grad(energy, xyz)
    torch.testing.assert_close(closure.force(xyz.detach()), -gradient)


def test_restraints_close_a_ring() -> None:
    kinematics = Kinematics(build_peptides(["cyclo-(AGFAG)"]))
    p = kinematics.peptides
    restraints = restraints_of(kinematics)
    ((c, nitrogen),) = p.ring_bonds
    assert (p.names[c], p.names[nitrogen]) == ("C", "N")
    torsions = random_torsions(p, 8, torch.Generator().manual_seed(1))
    x = coordinates(kinematics, closed(kinematics, torsions)).requires_grad_()
    optimiser = torch.optim.Adam([x], lr=0.02)
    for _ in range(300):
        optimiser.zero_grad()
        restraints.chi_squared(x).sum().backward()
        optimiser.step()
    with torch.no_grad():
        best = restraints.chi_squared(x).argmin()
        assert restraints.chi_squared(x)[best] < 0.1 * len(restraints.first)
        bond = torch.linalg.vector_norm(x[best, c] - x[best, nitrogen])
    assert float(bond) == pytest.approx(ideal.C_N, abs=0.01)


def test_small_rings_are_cis() -> None:
    def probabilities(sequence: str) -> set[float]:
        p = build_peptides([sequence])
        chances = zip(p.torsions, cis_probability(p), strict=True)
        return {chance for torsion, chance in chances if torsion.kind == "omega"}

    assert probabilities("cyclo-(FG)") == {1.0}
    assert probabilities("AGF") == {0.0}
    assert probabilities("cyclo-(AGFAG)") == {0.0}
    assert probabilities("AG(MLE)F") == {0.0, 0.15}
    assert probabilities("AGPF") == {0.0, 0.06}


def test_models_record_the_closing_bond() -> None:
    from crysformer.peptide.model import PeptideModel

    p = build_peptides(["cyclo-(AGF)"])
    cell = gemmi.UnitCell(20, 20, 20, 90, 90, 90)
    flat = [20.0] * len(p.names)
    model = PeptideModel(p, p.xyz, flat, cell, gemmi.SpaceGroup("P 1"), [])  # type: ignore[arg-type]
    structure = model.to_structure()
    (bond,) = structure.connections
    assert [str(bond.partner1), str(bond.partner2)] == ["A/PHE 3/C", "A/ALA 1/N"]
    assert [residue.name for residue in structure[0][0]] == ["ALA", "GLY", "PHE"]
    assert not any(atom.name == "OXT" for residue in structure[0][0] for atom in residue)
