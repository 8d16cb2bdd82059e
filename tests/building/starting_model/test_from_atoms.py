"""Atoms without names become residues: every kind, across symmetry, with errors in them."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from crysformer.building.model_atoms import polymer_chains
from crysformer.building.starting_model.from_atoms import MatchedModel, model_from_atoms
from crysformer.crystal.operators import operators
from crysformer.crystal.unit_cell import frac_matrix
from crysformer.peptide.geometry import Peptides, build_peptides
from crysformer.peptide.kinematics import Kinematics, Pose
from crysformer.peptide.rotations import random_rotations
from crysformer.phasing.atoms.atomic_structure import AtomicStructure
from crysformer.phasing.sequence_search.random_poses import random_torsions

CELL = gemmi.UnitCell(60, 70, 80, 90, 100, 90)
GROUP = gemmi.SpaceGroup("P 1 21 1")


def molecules(sequences: list[str], seed: int) -> tuple[Peptides, NDArray[np.float64]]:
    """Chains without contacts inside them or between them, Cartesian (n, 3), A."""
    generator = torch.Generator().manual_seed(seed)
    peptides = build_peptides(sequences)
    kinematics = Kinematics(peptides)
    chains = len(sequences)
    place = torch.tensor([[[25.0 * c, 5.0, 5.0] for c in range(chains)]])
    apart = np.full((len(peptides.names),) * 2, True)
    for a, b in peptides.bonds:
        apart[a, b] = apart[b, a] = False
    for _ in range(1000):
        rotation = random_rotations(chains, generator)[None]
        pose = Pose(random_torsions(peptides, 1, generator), rotation, place)
        xyz: NDArray[np.float64] = kinematics.coordinates(pose)[0][0].double().numpy()
        distance = np.linalg.norm(xyz[:, None] - xyz[None], axis=-1)
        if (distance[apart & (distance > 0)] > 2.1).all():
            return peptides, xyz
    raise AssertionError("no conformation without contacts")


def scattered(
    peptides: Peptides, xyz: NDArray[np.float64], rng: np.random.Generator, error: float = 0.03
) -> AtomicStructure:
    """The atoms in any order, each as any of its symmetry mates, with errors of position."""
    frac = (xyz + rng.normal(scale=error, size=xyz.shape)) @ frac_matrix(CELL).T
    ops = list(operators(GROUP, centred=True))
    chosen = rng.integers(len(ops), size=len(frac))
    mates = np.array([ops[k][0] @ x + ops[k][1] for k, x in zip(chosen, frac, strict=True)])
    mates += rng.integers(-2, 3, size=mates.shape)
    order = rng.permutation(len(frac))
    return AtomicStructure(
        mates[order], peptides.number[order], rng.uniform(2, 6, len(frac)), np.ones(len(frac)),
        np.zeros(0, dtype=complex), 0.1, CELL, GROUP,
    )  # fmt: skip


def matched(atoms: AtomicStructure, *sequences: str) -> MatchedModel:
    found = model_from_atoms(atoms, sequences)
    assert found is not None
    return found


def named(structure: gemmi.Structure) -> dict[tuple[int, str, str], NDArray[np.float64]]:
    """Fractional positions by residue number, residue and atom, of all polymer chains."""
    return {
        (residue.seqid.num, residue.name, atom.name): np.array(
            CELL.fractionalize(atom.pos).tolist()
        )
        for chain in polymer_chains(structure)
        for residue in chain
        for atom in residue
    }


def distances(
    peptides: Peptides, xyz: NDArray[np.float64], structure: gemmi.Structure
) -> dict[tuple[int, str], float]:
    """Distance of each named atom from the true one, over symmetry mates, A."""
    ops = list(operators(GROUP, centred=True))
    true = xyz @ frac_matrix(CELL).T
    orth = np.linalg.inv(frac_matrix(CELL))
    found = {(number, atom): x for (number, _, atom), x in named(structure).items()}
    out = {}
    for i, name in enumerate(peptides.names):
        key = (int(peptides.residue[i]) + 1, name)
        if key not in found:
            continue
        steps = [r @ true[i] + t - found[key] for r, t in ops]
        out[key] = min(float(np.linalg.norm(orth @ (s - s.round()))) for s in steps)
    return out


@pytest.mark.parametrize(
    "sequence",
    ["GARNDCQ", "EHILKMF", "PSTWYVG", "AC(DAL)LP(DTH)", "FFGLM", "A(AIB)F", "L(MLE)(SEP)G(ORN)"],
    ids=str,
)
def test_every_residue_gets_its_names(sequence: str) -> None:
    peptides, xyz = molecules([sequence], seed=1)
    atoms = scattered(peptides, xyz, np.random.default_rng(2))
    model = matched(atoms, sequence)
    assert model.scores[0] > 0.8
    errors = distances(peptides, xyz, model.structure)
    assert len(errors) == len(peptides.names)
    # atoms that the graph of bonds makes equal may change places
    swaps = {
        "CB1": "CB2",
        "O1P": "O2P",
        "O3P": "O2P",
        "CD1": "CD2",
        "CE1": "CE2",
        "CG1": "CG2",
        "OD1": "OD2",
        "OE1": "OE2",
        "NH1": "NH2",
    }
    equal = {*swaps, *swaps.values(), "O", "OXT"}
    wrong = [key for key, error in errors.items() if error > 0.3]
    assert all(name in equal for _, name in wrong), wrong


def test_wrong_elements_missing_and_false_atoms_are_overcome() -> None:
    sequence = "ELKWSGFR"
    peptides, xyz = molecules([sequence], seed=3)
    rng = np.random.default_rng(4)
    atoms = scattered(peptides, xyz, rng)
    number = atoms.number.copy()
    changed = rng.choice(len(number), size=len(number) // 6, replace=False)
    number[changed] = np.clip(number[changed] + rng.choice([-1, 1], size=len(changed)), 6, 8)
    names = [(int(r), n) for r, n in zip(peptides.residue, peptides.names, strict=True)]
    lost = [names.index((7, "NH2")), names.index((0, "OE1")), names.index((2, "NZ"))]
    true = xyz @ frac_matrix(CELL).T
    ops = list(operators(GROUP, centred=True))
    kept = np.ones(len(number), dtype=bool)
    for i in lost:
        steps = np.stack([atoms.frac - (r @ true[i] + t) for r, t in ops])
        steps -= steps.round()
        kept[np.linalg.norm(steps, axis=-1).min(axis=0).argmin()] = False
    false = rng.uniform(size=(10, 3))
    frac = np.concatenate((atoms.frac[kept], false))
    damaged = AtomicStructure(
        frac, np.concatenate((number[kept], np.full(10, 6))), np.full(len(frac), 4.0),
        np.ones(len(frac)), atoms.F, 0.1, CELL, GROUP,
    )  # fmt: skip
    model = matched(damaged, sequence)
    errors = distances(peptides, xyz, model.structure)
    backbone = {key: e for key, e in errors.items() if key[1] in ("N", "CA", "C", "CB")}
    assert len(backbone) == 4 * len(sequence) - 1
    assert max(backbone.values()) < 0.3
    assert len(errors) >= len(peptides.names) - len(lost) - 1


def test_copies_and_other_chains_are_all_found() -> None:
    peptides, xyz = molecules(["AFKL", "AFKL", "SWG"], seed=5)
    model = matched(scattered(peptides, xyz, np.random.default_rng(6)), "AFKL", "SWG")
    chains = list(polymer_chains(model.structure))
    found = sorted(["".join(r.name for r in chain) for chain in chains])
    assert found == ["ALAPHELYSLEU", "ALAPHELYSLEU", "SERTRPGLY"]
    assert len({chain.name for chain in chains}) == 3


def test_caps_are_found_with_and_without_the_sequence_stating_them() -> None:
    peptides, xyz = molecules(["Ac-AVLK-NH2"], seed=7)
    atoms = scattered(peptides, xyz, np.random.default_rng(8))
    stated = matched(atoms, "Ac-AVLK-NH2").structure
    (chain,) = polymer_chains(stated)
    assert [residue.name for residue in chain] == ["ACE", "ALA", "VAL", "LEU", "LYS", "NH2"]
    silent = matched(atoms, "AVLK")
    assert "acetyl group was found" in silent.notes[0]
    (chain,) = polymer_chains(silent.structure)
    assert chain[0].name == "ACE"
    assert chain[-1].find_atom("OXT", "*") is not None


def test_a_mirrored_molecule_or_another_sequence_scores_less() -> None:
    peptides, xyz = molecules(["LKVFW"], seed=9)
    rng = np.random.default_rng(10)
    right = matched(scattered(peptides, xyz, rng), "LKVFW").scores[0]
    mirrored = model_from_atoms(scattered(peptides, -xyz, rng), ["LKVFW"])
    other = model_from_atoms(scattered(peptides, xyz, rng), ["RDYSE"])
    assert right > 0.9
    assert mirrored is None or mirrored.scores[0] < right - 0.15
    assert other is None or other.scores[0] < right - 0.15


def test_no_chain_in_scattered_atoms() -> None:
    rng = np.random.default_rng(11)
    frac = rng.uniform(size=(40, 3))
    none = AtomicStructure(
        frac, rng.integers(6, 9, 40), np.full(40, 5.0), np.ones(40), np.zeros(0, dtype=complex),
        0.3, CELL, GROUP,
    )  # fmt: skip
    assert model_from_atoms(none, ["GFLK"]) is None
