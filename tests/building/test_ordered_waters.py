"""Waters at peaks of the difference map, by their distances."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest

from crysformer.building.map_values import MapValues
from crysformer.building.model_atoms import count_waters
from crysformer.building.ordered_waters import (
    OrderedWaterSettings,
    with_new_waters,
    without_poor_waters,
)
from crysformer.crystal.peak_picking import symmetric_shape
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.unit_cell import orth_matrix
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.model import PeptideModel

CELL = gemmi.UnitCell(20, 22, 24, 90, 95, 90)
GROUP = gemmi.SpaceGroup("P 1 21 1")
SETTINGS = OrderedWaterSettings()


@pytest.fixture(scope="module")
def data() -> CrystalData:
    hkl = gemmi.make_miller_array(CELL, GROUP, 1.5).astype(np.int32)
    return CrystalData(CELL, GROUP, hkl, np.ones(len(hkl)))


@pytest.fixture(scope="module")
def model() -> gemmi.Structure:
    peptides = build_peptides(["GAS"])
    xyz = peptides.xyz - peptides.xyz.mean(axis=0) + [8.0, 8.0, 8.0]
    return PeptideModel(
        peptides, xyz, np.full(len(xyz), 10.0), CELL, GROUP, np.zeros(0, dtype=complex)
    ).to_structure()


def peaks(data: CrystalData, *sites: tuple[np.ndarray, float]) -> MapValues:
    """A map of zero with Gaussian peaks of given heights at Cartesian sites and their mates."""
    shape = symmetric_shape(data, 4.0)
    grid = np.stack(np.meshgrid(*[np.arange(n) / n for n in shape], indexing="ij"), axis=-1)
    values = np.zeros(shape)
    for xyz, height in sites:
        for op in GROUP.operations():
            mate = np.array(op.apply_to_xyz(CELL.fractionalize(gemmi.Position(*xyz)).tolist()))
            step = grid - mate
            step -= step.round()
            distance = np.linalg.norm(step @ orth_matrix(CELL).T, axis=-1)
            values += height * np.exp(-((distance / 0.6) ** 2))
    return MapValues(values, CELL)


def near_oxygen(model: gemmi.Structure, distance: float) -> np.ndarray:
    """A point at some distance from the last oxygen, away from the other atoms."""
    xyz = np.array([site.atom.pos.tolist() for site in model[0].all()])
    oxygen = np.array(model[0][0][2].find_atom("OG", "*").pos.tolist())
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(500, 3))
    points = oxygen + distance * steps / np.linalg.norm(steps, axis=1, keepdims=True)
    room = np.linalg.norm(points[:, None] - xyz[None], axis=-1).min(axis=1)
    return np.asarray(points[room.argmax()])


def test_a_peak_at_hydrogen_bond_distance_becomes_a_water(
    data: CrystalData, model: gemmi.Structure
) -> None:
    site = near_oxygen(model, 2.8)
    both = peaks(data, (site, 6.0))
    wet, n = with_new_waters(model, data, both, both, SETTINGS)
    assert (n, count_waters(wet), count_waters(model)) == (1, 1, 0)
    water = wet[0]["W"][0][0]
    here = CELL.fractionalize(water.pos).tolist()
    there = CELL.fractionalize(gemmi.Position(*site)).tolist()
    steps = [np.array(op.apply_to_xyz(there)) - here for op in GROUP.operations()]
    distance = [np.linalg.norm(orth_matrix(CELL) @ (step - step.round())) for step in steps]
    assert min(distance) < 0.4
    assert water.b_iso == pytest.approx(15.0)
    again, m = with_new_waters(wet, data, both, both, SETTINGS)
    assert (m, count_waters(again)) == (0, 1)


@pytest.mark.parametrize(
    ("distance", "difference", "density"), [(2.0, 6, 6), (4.5, 6, 6), (2.8, 3, 6), (2.8, 6, 0.5)]
)
def test_other_peaks_become_none(
    data: CrystalData, model: gemmi.Structure, distance: float, difference: float, density: float
) -> None:
    site = near_oxygen(model, distance)
    maps = peaks(data, (site, difference)), peaks(data, (site, density))
    assert with_new_waters(model, data, *maps, SETTINGS)[1] == 0


def test_waters_that_the_map_does_not_show_are_removed(
    data: CrystalData, model: gemmi.Structure
) -> None:
    sites = near_oxygen(model, 2.8), near_oxygen(model, 3.1) + np.array([0.0, 0.0, 6.0])
    both = peaks(data, (sites[0], 6.0))
    wet, _ = with_new_waters(model, data, both, both, SETTINGS)
    kept, removed = without_poor_waters(wet, both, SETTINGS)
    assert (count_waters(kept), removed) == (1, 0)
    none, removed = without_poor_waters(wet, peaks(data, (sites[1], 6.0)), SETTINGS)
    assert (count_waters(none), removed) == (0, 1)
    assert [chain.name for chain in none[0]] == ["A"]
