"""Missing atoms, ends of chains and turned side chains are found in the map."""

from __future__ import annotations

from dataclasses import replace

import gemmi
import numpy as np
import pytest
import torch

from crysformer.building.completion import Completion, CompletionSettings
from crysformer.building.map_values import MapValues
from crysformer.building.model_structure_factors import atomic_structure_factors, in_crystal
from crysformer.crystal.reflections import CrystalData
from crysformer.testing import sound_chain

CELL = gemmi.UnitCell(32, 33, 34, 90, 96, 90)
GROUP = gemmi.SpaceGroup("P 1 21 1")
FIRST, LENGTH = 30, 8


def fragment() -> gemmi.Structure:
    """Eight residues of a deposited chain, numbered from 1."""
    source = list(sound_chain()[0][0])[FIRST : FIRST + LENGTH]
    structure = gemmi.Structure()
    structure.cell, structure.spacegroup_hm = CELL, GROUP.xhm()
    model, chain = gemmi.Model(1), gemmi.Chain("A")
    for i, residue in enumerate(source, start=1):
        copy = residue.clone()
        copy.seqid = gemmi.SeqId(i, " ")
        for atom in copy:
            atom.b_iso = 12.0
        chain.add_residue(copy)
    model.add_chain(chain)
    structure.add_model(model)
    return structure


def map_of(structure: gemmi.Structure, d_min: float = 1.6) -> MapValues:
    hkl = gemmi.make_miller_array(CELL, GROUP, d_min).astype(np.int32)
    data = CrystalData(CELL, GROUP, hkl, np.ones(len(hkl)))
    F = atomic_structure_factors(in_crystal(structure, data), data)
    return MapValues.of_coefficients(replace(data, f=np.abs(F)), F)


@pytest.fixture(scope="module")
def true() -> gemmi.Structure:
    return fragment()


@pytest.fixture(scope="module")
def density(true: gemmi.Structure) -> MapValues:
    return map_of(true)


def sequence_of(structure: gemmi.Structure) -> str:
    return "".join(gemmi.find_tabulated_residue(r.name).one_letter_code for r in structure[0][0])


def errors(found: gemmi.Structure, true: gemmi.Structure) -> dict[tuple[int, str], float]:
    out = {}
    for residue, other in zip(found[0][0], true[0][0], strict=True):
        for atom in residue:
            place = other.find_atom(atom.name, "*")
            out[residue.seqid.num, atom.name] = atom.pos.dist(place.pos)
    return out


def completion(structure: gemmi.Structure, density: MapValues) -> Completion:
    generator = torch.Generator().manual_seed(0)
    return Completion(structure, density, generator, CompletionSettings())


def test_missing_side_chain_atoms_are_put_into_the_map(
    true: gemmi.Structure, density: MapValues
) -> None:
    model = true.clone()
    removed = []
    for residue in model[0][0]:
        for atom in [a.name for a in residue if a.name not in ("N", "CA", "C", "O", "CB")]:
            residue.remove_atom(atom, "\0", residue.find_atom(atom, "*").element)
            removed.append((residue.seqid.num, atom))
    assert completion(model, density).fill() == len(removed) > 20
    found = errors(model, true)
    near = [found[key] < 1.0 for key in removed]
    assert np.mean(near) > 0.8  # refinement does the rest; equal atoms may have changed places
    assert completion(model, density).fill() == 0


def test_residues_are_added_to_both_ends_and_none_where_there_is_no_density(
    true: gemmi.Structure, density: MapValues
) -> None:
    sequence = sequence_of(true)
    model = true.clone()
    for i in (LENGTH - 1, 0):
        del model[0][0][i]
    completer = completion(model, density)
    assert completer.extend([sequence]) == 2
    assert [r.seqid.num for r in model[0][0]] == list(range(1, LENGTH + 1))
    ends = {key: e for key, e in errors(model, true).items() if key[0] in (1, LENGTH)}
    backbone = [e for (_, name), e in ends.items() if name in ("N", "CA", "C")]
    assert max(backbone) < 1.0
    # of a sequence that goes on, the map shows nothing more
    assert completer.extend([sequence + "AAA"]) == 0
    # and a chain of another sequence is left alone
    assert completer.extend(["W" * LENGTH]) == 0


def test_a_wrong_rotamer_is_turned_and_right_ones_stay(
    true: gemmi.Structure, density: MapValues
) -> None:
    right = true.clone()
    assert completion(right, density).turn_side_chains() == 0
    assert max(errors(right, true).values()) == 0
    wrong = true.clone()
    residue = next(r for r in wrong[0][0] if r.name == "LYS")
    axis = [residue.find_atom(name, "*").pos for name in ("CA", "CB")]
    u = np.array((axis[1] - axis[0]).tolist())
    u /= np.linalg.norm(u)
    for atom in residue:
        if atom.name in ("N", "CA", "C", "O", "CB"):
            continue
        v = np.array((atom.pos - axis[1]).tolist())
        turned = v * np.cos(2.1) + np.cross(u, v) * np.sin(2.1) + u * (u @ v) * (1 - np.cos(2.1))
        atom.pos = axis[1] + gemmi.Position(*turned.tolist())
    assert max(errors(wrong, true).values()) > 1.5
    assert completion(wrong, density).turn_side_chains() == 1
    assert max(errors(wrong, true).values()) < 1.2


def test_a_second_oxygen_without_density_is_removed(
    true: gemmi.Structure, density: MapValues
) -> None:
    model = true.clone()
    last = model[0][0][LENGTH - 1]
    oxygen = gemmi.Atom()
    oxygen.name, oxygen.element = "OXT", gemmi.Element("O")
    carbon = last.find_atom("C", "*").pos
    away = carbon - last.find_atom("CA", "*").pos
    oxygen.pos = carbon + away
    last.add_atom(oxygen)
    with_end = map_of(model)
    none = MapValues(0 * density.values, CELL)
    assert completion(model, with_end).remove_unseen_ends(none) == 0
    hole = MapValues(0 * density.values - 4, CELL)
    assert completion(model.clone(), with_end).remove_unseen_ends(hole) == 1
    assert completion(model, density).remove_unseen_ends(none) == 1
    assert model[0].count_atom_sites() == true[0].count_atom_sites()
