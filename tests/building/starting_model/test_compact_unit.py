"""Chains and waters are moved to mates that touch each other; the crystal stays the same."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest

from crysformer.building.starting_model.compact_unit import compact_unit
from crysformer.crystal.operators import operators
from crysformer.testing import sound_chain


def scattered(name: str, seed: int) -> tuple[gemmi.Structure, gemmi.Structure]:
    """Three chains and waters that touch, and the same with each part as a random mate."""
    group = gemmi.SpaceGroup(name)
    source = sound_chain()[0][0]
    whole = gemmi.Structure()
    whole.cell, whole.spacegroup_hm = gemmi.UnitCell(45, 45, 61, 90, 90, 90), group.xhm()
    model = gemmi.Model(1)
    for c, (start, end) in enumerate(((5, 20), (20, 32), (32, 40))):
        chain = gemmi.Chain("ABC"[c])
        for residue in list(source)[start:end]:
            chain.add_residue(residue)
        model.add_chain(chain)
    waters = gemmi.Chain("W")
    for i in (6, 22, 35):
        water = gemmi.Residue()
        water.name, water.seqid = "HOH", gemmi.SeqId(i, " ")
        oxygen = gemmi.Atom()
        oxygen.name, oxygen.element = "O", gemmi.Element("O")
        at = source[i].find_atom("O", "*").pos
        oxygen.pos = gemmi.Position(at.x + 1.6, at.y + 1.6, at.z + 1.6)
        water.add_atom(oxygen)
        waters.add_residue(water)
    model.add_chain(waters)
    whole.add_model(model)
    whole.setup_entities()
    mixed = whole.clone()
    rng = np.random.default_rng(seed)
    ops = list(operators(group, centred=True))
    parts = [list(chain) for chain in mixed[0]][:3] + [[r] for r in mixed[0]["W"]]
    for part in parts:
        rotation, shift = ops[rng.integers(len(ops))]
        shift = shift + rng.integers(-2, 3, 3)
        for residue in part:
            for atom in residue:
                frac = np.array(whole.cell.fractionalize(atom.pos).tolist())
                moved = gemmi.Fractional(*(rotation @ frac + shift).tolist())
                atom.pos = whole.cell.orthogonalize(moved)
    return whole, mixed


def amplitudes(structure: gemmi.Structure) -> np.ndarray:
    copy = structure.clone()
    copy.setup_cell_images()
    calculator = gemmi.StructureFactorCalculatorX(copy.cell)
    hkl = [(1, 2, 3), (0, 0, 4), (3, 1, 0), (2, 2, 2), (5, 4, 3)]
    return np.array([calculator.calculate_sf_from_model(copy[0], h) for h in hkl])


def spread(structure: gemmi.Structure) -> float:
    """Root mean square distance of the atoms from their centre, A."""
    xyz = np.array([site.atom.pos.tolist() for site in structure[0].all()])
    return float(np.sqrt(((xyz - xyz.mean(axis=0)) ** 2).sum(axis=1).mean()))


@pytest.mark.parametrize("name", ["P 1", "P 1 21 1", "P 21 21 21", "C 1 2 1"])
@pytest.mark.parametrize("seed", [0, 1])
def test_scattered_parts_come_together(name: str, seed: int) -> None:
    whole, mixed = scattered(name, seed)
    compact = compact_unit(mixed)
    assert spread(compact) < 1.15 * spread(whole) < spread(mixed)
    np.testing.assert_allclose(amplitudes(compact), amplitudes(mixed), atol=1e-3)
    assert [chain.name for chain in compact[0]] == [chain.name for chain in mixed[0]]
    before = mixed[0]["A"][0][0].pos.tolist()
    assert mixed[0]["A"][0][0].pos.tolist() == before  # the model that was given stays
