"""Sequences proposed from atoms: all residues, isomers, ends, hands, copies and rings."""

from __future__ import annotations

import json
from dataclasses import replace

import gemmi
import numpy as np
import pytest

from crysformer.building.proposed_sequence.proposal import (
    ProposedSequence,
    proposal_line,
    propose_sequence,
)
from crysformer.building.start import Start
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import InputError
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.residues import CODES
from crysformer.phasing.atoms.atomic_structure import AtomicStructure
from crysformer.workflow.proposed_sequence import with_proposed_sequence

CELL = gemmi.UnitCell(120, 120, 120, 90, 95, 90)
GROUP = gemmi.SpaceGroup("P 1 21 1")


def structure(xyz: np.ndarray, number: np.ndarray) -> AtomicStructure:
    """Atoms in random order, with errors of 0.01 A."""
    random = np.random.default_rng(0)
    order = random.permutation(len(xyz))
    noisy = xyz + 0.01 * random.standard_normal(xyz.shape)
    frac = np.array([CELL.fractionalize(gemmi.Position(*x)).tolist() for x in noisy])[order]
    n = len(xyz)
    return AtomicStructure(
        frac, number[order], np.full(n, 5.0), np.ones(n), np.zeros(0, complex), 0.1, CELL, GROUP
    )


def atoms_of(*sequences: str, mirrored: bool = False) -> AtomicStructure:
    peptides = build_peptides(sequences)
    xyz = peptides.xyz.copy()
    for i in range(len(sequences)):
        xyz[peptides.chain == i] += [20.0, 40.0, 20.0 + 20.0 * i]
    return structure(xyz * ([-1, 1, 1] if mirrored else [1, 1, 1]), peptides.number)


def proposed(atoms: AtomicStructure, d_min: float = 0.9) -> ProposedSequence:
    found = propose_sequence(atoms, d_min)
    assert found is not None
    json.dumps(found.to_summary())
    return found


def test_every_residue_is_recognised() -> None:
    found = proposed(atoms_of(CODES))
    assert found.sequence == CODES
    assert min(found.chains[0].of_letters) > 0.7
    assert not found.inverted


def test_measured_atoms(deposited_2ol9: gemmi.Structure) -> None:
    model = deposited_2ol9.clone()
    model.remove_hydrogens()
    model.remove_alternative_conformations()
    atoms = [site.atom for site in model[0].all()]
    n = len(atoms)
    found = proposed(
        AtomicStructure(
            np.array([model.cell.fractionalize(atom.pos).tolist() for atom in atoms]),
            np.array([atom.element.atomic_number for atom in atoms]),
            np.array([atom.b_iso for atom in atoms]), np.ones(n), np.zeros(0, complex), 0.1,
            model.cell, gemmi.SpaceGroup(model.spacegroup_hm),
        ),
        0.85,
    )  # fmt: skip
    assert found.sequence == "SNQNNF"
    line = proposal_line(found.to_summary())
    assert line.startswith("proposed sequence: SNQNNF (probability 0.9")
    assert "6 F 0.9" in line


@pytest.mark.parametrize("letter", ["N", "D", "Q", "E"])
def test_bond_lengths_tell_isomers_whose_elements_are_mistaken(letter: str) -> None:
    atoms = atoms_of(f"A{letter}A")
    names = build_peptides([f"A{letter}A"]).names
    ends = [i for i, name in enumerate(names) if name in ("OD1", "ND2", "OD2", "OE1", "NE2", "OE2")]
    order = np.random.default_rng(0).permutation(len(atoms))
    number = atoms.number.copy()
    number[np.isin(order, ends)] = 7  # all alike, as where the scale of elements is uncertain
    found = proposed(replace(atoms, number=number))
    assert found.chains[0].chain.letters == f"A{letter}A"


@pytest.mark.parametrize("letter", ["T", "V"])
def test_bond_lengths_tell_thr_from_val(letter: str) -> None:
    atoms = atoms_of(f"A{letter}A")
    names = build_peptides([f"A{letter}A"]).names
    ends = [i for i, name in enumerate(names) if name in ("OG1", "CG1")]
    order = np.random.default_rng(0).permutation(len(atoms))
    number = atoms.number.copy()
    number[np.isin(order, ends)] = 7  # between the two
    found = proposed(replace(atoms, number=number))
    assert found.chains[0].chain.letters == f"A{letter}A"


@pytest.mark.parametrize("sequence", ["Ac-EL(DAL)K-NH2", "AGF", "(DPN)AL-NH2"])
def test_ends_and_d_residues(sequence: str) -> None:
    assert proposed(atoms_of(sequence)).sequence == sequence


def test_atoms_of_the_other_hand() -> None:
    found = proposed(atoms_of("ELFK(DAL)", mirrored=True))
    assert found.inverted
    assert found.sequence == "ELFK(DAL)"
    assert "other hand" in proposal_line(found.to_summary())


def test_part_of_a_copy_counts_with_the_whole_ones() -> None:
    found = proposed(atoms_of("ELFKGYTV", "FKGYT", "GY"))
    assert [(str(c.chain), c.copies) for c in found.chains] == [("ELFKGYTV", 2), ("GY", 1)]
    alone = proposed(atoms_of("ELFKGYTV"))
    odds = [
        np.array(x.chains[0].of_letters) / (1 - np.array(x.chains[0].of_letters))
        for x in (found, alone)
    ]
    gain = np.log(odds[0] / odds[1])
    assert gain[2:7].min() > max(gain[0], gain[1], gain[7])


def test_copies_are_one_sequence_and_others_are_not() -> None:
    found = proposed(atoms_of("GWKA", "GWKA", "FT"))
    assert [(str(c.chain), c.copies) for c in found.chains] == [("GWKA", 2), ("FT", 1)]
    assert found.sequence == "GWKA,FT"


def test_a_copy_with_a_disordered_side_chain_agrees_with_the_other() -> None:
    atoms = atoms_of("GKFA", "GKFA")
    peptides = build_peptides(["GKFA", "GKFA"])
    chain = [i for i, name in enumerate(peptides.names)
             if peptides.chain[i] == 0 and name in ("CD", "CE", "NZ")]  # fmt: skip
    order = np.random.default_rng(0).permutation(len(atoms))
    kept = ~np.isin(order, chain)
    part = replace(
        atoms, frac=atoms.frac[kept], number=atoms.number[kept], b_iso=atoms.b_iso[kept],
        occupancy=atoms.occupancy[kept],
    )  # fmt: skip
    (found,) = proposed(part).chains
    assert (str(found.chain), found.copies) == ("GKFA", 2)


def test_a_residue_that_is_none_of_the_twenty_is_unknown() -> None:
    atoms = atoms_of("AFA")
    peptides = build_peptides(["AFA"])
    order = np.random.default_rng(0).permutation(len(atoms))
    number = atoms.number.copy()
    rows = [i for i, name in enumerate(peptides.names) if name in ("CZ", "CE1")]
    number[np.isin(order, rows)] = 17  # a chlorinated ring
    (found,) = proposed(replace(atoms, number=number)).chains
    assert str(found.chain) == "A(UNK)A"


def test_nothing_is_proposed_without_resolution_or_chains() -> None:
    atoms = atoms_of("GFA")
    assert propose_sequence(atoms, 1.3) is None
    waters = structure(np.array([[5.0, 5, 5], [9, 9, 9], [20, 20, 20]]), np.array([8, 8, 8]))
    assert propose_sequence(waters, 0.9) is None


def test_building_begins_with_the_proposal() -> None:
    atoms = atoms_of("GFA")
    hkl = gemmi.make_miller_array(CELL, GROUP, 3.0).astype(np.int32)
    s_sq = np.array([CELL.calculate_1_d2(list(h)) for h in hkl])
    f = np.abs(np.random.default_rng(0).normal(size=len(hkl))) * 50 * np.exp(-2.5 * s_sq)
    data = CrystalData(CELL, GROUP, hkl, f, source="data.mtz")
    with pytest.raises(InputError, match=r"data\.mtz: no sequence can be proposed at 3\.\d+ A"):
        with_proposed_sequence(data, Start(atoms=atoms), None, None, 10.0)
    with pytest.raises(InputError, match="leave out `copies`"):
        with_proposed_sequence(data, Start(atoms=atoms), None, 2, 10.0)
