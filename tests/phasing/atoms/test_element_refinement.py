"""Atoms and elements from phases: a measured hexapeptide, as it is and with heavier atoms."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path

import gemmi
import numpy as np
import pytest
from numpy.typing import NDArray

from crysformer.crystal.comparison.compare import compare_phases
from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.reflections import CrystalData
from crysformer.phasing.atoms.atomic_structure import (
    AtomicStructure,
    bond_limits,
    connected,
    count_neighbours,
    shortest_distances,
)
from crysformer.phasing.atoms.element_refinement import atoms_with_elements

SAMPLES = Path(__file__).parents[2] / "samples"
B_ISO = 1.6  # A^2
PEPTIDE = {"C": 29, "N": 10, "O": 14}  # and two waters


def hexapeptide() -> tuple[CrystalData, gemmi.Structure]:
    data = read_crystal(SAMPLES / "2ol9.mtz.gz")
    model = gemmi.read_structure(str(SAMPLES / "2ol9.pdb.gz"))
    model.cell, model.spacegroup_hm = data.cell, data.space_group.hm
    model.setup_cell_images()
    return data, model


def structure_factors(data: CrystalData, model: gemmi.Structure) -> NDArray[np.complex128]:
    calculator = gemmi.StructureFactorCalculatorX(data.cell)
    return np.array([calculator.calculate_sf_from_model(model[0], hkl) for hkl in data.hkl])


def with_errors(
    data: CrystalData, F: NDArray[np.complex128], degrees: float
) -> NDArray[np.complex128]:
    error = np.random.default_rng(0).normal(0, math.radians(degrees), len(F))
    return np.where(data.measured, data.f, 0.0) * np.exp(1j * (np.angle(F) + error))


def agreement(found: AtomicStructure, model: gemmi.Structure) -> tuple[int, int, Counter[str]]:
    """Atoms of the model, those found with their element, and the elements that are wrong."""
    sites = [s.atom for s in model[0].all() if not s.atom.is_hydrogen()]
    frac = np.array([model.cell.fractionalize(atom.pos).tolist() for atom in sites])
    step = frac[:, None] - found.frac[None]
    orth = np.array(model.cell.orth.mat.tolist())
    distance = np.linalg.norm((step - step.round()) @ orth.T, axis=-1)
    pairs = [
        (atom.element.name, found.element[row.argmin()] if row.min() < 0.4 else "none")
        for atom, row in zip(sites, distance, strict=True)
    ]
    wrong = Counter(f"{one} is {other}" for one, other in pairs if one != other)
    return len(sites), len(sites) - wrong.total(), wrong


@pytest.mark.parametrize("composition", [None, PEPTIDE])
def test_atoms_and_elements_of_a_measured_hexapeptide(composition: dict[str, int] | None) -> None:
    data, model = hexapeptide()
    F = structure_factors(data, model)
    found = atoms_with_elements(data, with_errors(data, F, 40), 60, B_ISO, composition)
    assert found is not None
    assert found.r < 0.1
    phi, truth = (np.degrees(np.angle(np.nan_to_num(x))) for x in (found.F, F))
    compared = compare_phases(data.hkl, data.f, phi, truth, data.cell, data.space_group)
    assert compared.weighted_aligned < 6
    expected, right, wrong = agreement(found, model)
    assert right >= expected - 3, wrong
    assert abs(len(found) - expected) <= 2
    assert (found.occupancy[count_of_neighbours(found) > 0] == 1).all()


def count_of_neighbours(found: AtomicStructure) -> NDArray[np.int64]:
    return count_neighbours(found.frac, found.number, found.cell, found.space_group)


@pytest.mark.parametrize("known", [True, False])
def test_heavier_atoms_are_found_as_one_atom_each(known: bool) -> None:
    data, model = hexapeptide()
    heavier = {"OG": "S", "CZ": "Br", "OXT": "Cl"}
    for site in model[0].all():
        if site.atom.name in heavier:
            site.atom.element = gemmi.Element(heavier[site.atom.name])
    F = structure_factors(data, model)
    f = np.where(data.measured, np.abs(F), np.nan)
    simulated = CrystalData(data.cell, data.space_group, data.hkl, f, 0.02 * f)
    composition = {"C": 28, "N": 10, "O": 12, "S": 1, "Cl": 1, "Br": 1} if known else None
    found = atoms_with_elements(simulated, with_errors(simulated, F, 30), 60, B_ISO, composition)
    assert found is not None
    _, _, wrong = agreement(found, model)
    # S and Cl with one neighbour each hardly differ where the composition does not tell them apart
    likely = set() if known else {"S is Cl", "Cl is S"}
    assert not {text for text in wrong if any(z in text for z in heavier.values())} - likely
    assert sum(found.formula.get(name, 0) for name in ("S", "Cl")) == 2
    assert found.formula["Br"] == 1


def test_atoms_of_one_molecule_are_brought_together() -> None:
    data, model = hexapeptide()
    group, cell = gemmi.SpaceGroup("P -1"), data.cell
    sites = [s.atom for s in model[0].all() if not s.atom.is_hydrogen() and s.residue.name != "HOH"]
    frac = np.array([cell.fractionalize(atom.pos).tolist() for atom in sites])
    number = np.array([atom.element.atomic_number for atom in sites])
    ops = list(group.operations())
    rng = np.random.default_rng(1)
    scattered = np.array(
        [
            ops[rng.integers(len(ops))].apply_to_xyz((x + rng.integers(-2, 3, 3)).tolist())
            for x in frac
        ]
    )
    together = connected(scattered, cell, group)
    orth = np.array(cell.orth.mat.tolist())
    direct = np.linalg.norm((together[:, None] - together[None]) @ orth.T, axis=-1)
    distance, _ = shortest_distances(scattered, cell, group)
    np.fill_diagonal(direct, np.inf)
    assert ((direct < bond_limits(number)).sum(1) >= 1).all()
    np.testing.assert_allclose(direct.min(1), distance.min(1), atol=0.05)
    assert ((together.mean(0) >= 0) & (together.mean(0) < 1)).all()


def test_mates_count_as_neighbours_and_coinciding_ones_once() -> None:
    cell, group = gemmi.UnitCell(9, 11, 13, 90, 90, 90), gemmi.SpaceGroup("P n m a")
    # in x y z, A, from a sulphur on the mirror plane: two mates of a carbon beside it, and a
    # carbon on the plane; a carbon near the plane bonded to its own mate
    centre = np.array([3.0, 2.75, 4.0])
    xyz = np.array([[0, 0, 0], [0.9, 1.55, 0], [-1.8, 0, 0], [4.0, 0.77, 3.0]]) + centre
    frac = xyz @ np.array(cell.frac.mat.tolist()).T
    number = np.array([16, 6, 6, 6])
    assert count_neighbours(frac, number, cell, group).tolist() == [3, 1, 1, 1]
