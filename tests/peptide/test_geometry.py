"""Peptides in standard geometry: lengths, angles, hand, and real fragments built again."""

from pathlib import Path

import gemmi
import numpy as np
import pytest
import torch

from crysformer.crystal.cell_composition import composition
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.kinematics import Kinematics, Pose
from crysformer.peptide.residues import CODES, INDEX
from crysformer.peptide.rotatable_bonds import dihedral
from crysformer.peptide.rotations import random_rotations, rotate

SAMPLES = Path(__file__).parents[1] / "samples"
ALL = "ACDEFGHIKLMNPQRSTVWY"


def random_pose(kinematics: Kinematics, n: int, seed: int = 0) -> Pose:
    generator = torch.Generator().manual_seed(seed)
    chains = kinematics.n_chains
    return Pose(
        (2 * torch.rand(n, len(kinematics.peptides.torsions), generator=generator) - 1) * np.pi,
        random_rotations(n * chains, generator).view(n, chains, 3, 3),
        torch.randn(n, chains, 3, generator=generator),
    )


def test_atoms_and_bonds_are_those_of_the_sequence() -> None:
    peptides = build_peptides((ALL, "GG"))
    assert sorted(set(CODES)) == sorted(ALL)
    counts = {z: int((peptides.number == z).sum()) for z in (6, 7, 8, 16)}
    expected = [composition(s) for s in (ALL, "GG")]
    for z, element in ((6, "C"), (7, "N"), (8, "O"), (16, "S")):
        assert counts[z] == sum(e.get(element, 0) for e in expected)
    # rings close: one bond more than a tree for P, H, F, Y and two for W; two chains
    assert len(peptides.bonds) == len(peptides.names) - 2 + 6


def test_backbone_has_the_lengths_of_engh_and_huber() -> None:
    peptides = build_peptides(("AVG",))
    at = {
        (int(r), n): x
        for r, n, x in zip(peptides.residue, peptides.names, peptides.xyz, strict=True)
    }
    for i in range(3):
        assert np.linalg.norm(at[i, "N"] - at[i, "CA"]) == pytest.approx(1.458, abs=1e-6)
        assert np.linalg.norm(at[i, "C"] - at[i, "O"]) == pytest.approx(1.231, abs=1e-6)
    assert np.linalg.norm(at[0, "C"] - at[1, "N"]) == pytest.approx(1.329, abs=1e-6)
    # CA to CA across a trans peptide bond
    assert np.linalg.norm(at[0, "CA"] - at[1, "CA"]) == pytest.approx(3.80, abs=0.02)


def test_torsions_come_out_as_they_are_set_and_agree_with_gemmi() -> None:
    kinematics = Kinematics(build_peptides((ALL,)))
    pose = random_pose(kinematics, 3)
    xyz = kinematics.coordinates(pose)[0].double().numpy()
    for k, torsion in enumerate(kinematics.peptides.torsions):
        for b in range(3):
            expected = float(pose.torsions[b, k])
            found = dihedral(xyz[b], torsion.atoms)
            assert np.cos(found - expected) > 1 - 1e-5
            points = [gemmi.Position(*xyz[b, i].tolist()) for i in torsion.atoms]
            assert np.cos(found - gemmi.calculate_dihedral(*points)) > 1 - 1e-9


def test_turning_bonds_changes_no_bond_and_no_hand() -> None:
    kinematics = Kinematics(build_peptides((ALL,)))
    p = kinematics.peptides
    xyz = kinematics.coordinates(random_pose(kinematics, 4))[0].double().numpy()
    first, second = np.array(p.bonds).T
    length = np.linalg.norm(xyz[:, first] - xyz[:, second], axis=2)
    reference = np.linalg.norm(p.xyz[first] - p.xyz[second], axis=1)
    np.testing.assert_allclose(length, np.broadcast_to(reference, length.shape), atol=1e-4)
    at = {(int(r), n): i for i, (r, n) in enumerate(zip(p.residue, p.names, strict=True))}
    for i, letter in enumerate(ALL):
        if letter != "G":
            n, ca, c, cb = (xyz[:, at[i, name]] for name in ("N", "CA", "C", "CB"))
            volume = np.einsum("bi,bi->b", n - ca, np.cross(c - ca, cb - ca))
            assert (volume > 2.0).all()
            assert (volume < 3.0).all()


def test_gradients_are_those_of_finite_differences() -> None:
    kinematics = Kinematics(build_peptides(("GLY", "WP")))
    pose = random_pose(kinematics, 2)
    weight = torch.randn(2, len(kinematics.peptides.names), 3)
    xyz, frames, origins = kinematics.coordinates(pose)
    torsion, turn, shift = kinematics.gradient(xyz, frames, origins, weight)

    def energy(p: Pose) -> torch.Tensor:
        return (kinematics.coordinates(p)[0] * weight).sum((1, 2))

    h = 1e-2
    for k in range(torsion.shape[1]):
        step = torch.zeros_like(pose.torsions)
        step[:, k] = h
        ahead = Pose(pose.torsions + step, pose.rotation, pose.translation)
        behind = Pose(pose.torsions - step, pose.rotation, pose.translation)
        torch.testing.assert_close(
            (energy(ahead) - energy(behind)) / (2 * h), torsion[:, k], atol=0.02, rtol=2e-3
        )
    for chain in range(2):
        step = torch.zeros(2, 2, 3)
        step[:, chain, 1] = h
        ahead = Pose(pose.torsions, rotate(pose.rotation, step), pose.translation)
        behind = Pose(pose.torsions, rotate(pose.rotation, -step), pose.translation)
        torch.testing.assert_close(
            (energy(ahead) - energy(behind)) / (2 * h), turn[:, chain, 1], atol=0.02, rtol=2e-3
        )
        moved = Pose(pose.torsions, pose.rotation, pose.translation + step)
        torch.testing.assert_close(
            (energy(moved) - energy(pose)) / h, shift[:, chain, 1], atol=0.02, rtol=2e-3
        )


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*_15mer.pdb")), ids=lambda p: p.stem)
def test_a_real_fragment_is_built_again_from_its_torsions(path: Path) -> None:
    chain = [r for r in gemmi.read_structure(str(path))[0][0] if r.name in INDEX][:6]
    sequence = gemmi.one_letter_code([r.name for r in chain])
    kinematics = Kinematics(build_peptides((sequence,)))
    p = kinematics.peptides
    kept = [i for i, name in enumerate(p.names) if name != "OXT"]
    real = np.zeros((len(p.names), 3))
    for i in kept:
        real[i] = chain[p.residue[i]][p.names[i]][0].pos.tolist()
    last = [i for i, name in enumerate(p.names) if name == "O"][-1]
    angles = []
    for torsion in p.torsions:
        if "OXT" in [p.names[i] for i in torsion.atoms]:  # opposite of the O that was observed
            atoms = (*torsion.atoms[:3], last)
            angles.append(dihedral(real, atoms) + np.pi)
        else:
            angles.append(dihedral(real, torsion.atoms))
    pose = Pose(
        torch.tensor([angles], dtype=torch.float32), torch.eye(3)[None, None], torch.zeros(1, 1, 3)
    )
    built = kinematics.coordinates(pose)[0][0].double().numpy()[kept]
    fit = gemmi.superpose_positions(
        [gemmi.Position(*x) for x in real[kept].tolist()],
        [gemmi.Position(*x) for x in built.tolist()],
    )
    assert fit.rmsd < 0.5
