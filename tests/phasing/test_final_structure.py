"""Atoms of a claimed solution, and the conditions under which its phases become theirs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from crysformer.crystal.comparison.compare import compare_phases
from crysformer.crystal.io.read import read_crystal
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.final_structure import FinalStructureSettings, with_final_structure
from crysformer.phasing.merit.figures import AtomFigures, DensityFigures
from crysformer.phasing.origin.crystal_setting import CrystalSetting, weighted_map
from crysformer.phasing.problem import PhasingProblem, phasing_problem

SAMPLES = Path(__file__).parents[1] / "samples"
SETTINGS = FinalStructureSettings()


class Case:
    """A measured hexapeptide with phases that have 40 degrees of error."""

    def __init__(self) -> None:
        data = read_crystal(SAMPLES / "2ol9.mtz.gz")
        model = gemmi.read_structure(str(SAMPLES / "2ol9.pdb.gz"))
        model.cell, model.spacegroup_hm = data.cell, data.space_group.hm
        model.setup_cell_images()
        calculator = gemmi.StructureFactorCalculatorX(data.cell)
        F = [calculator.calculate_sf_from_model(model[0], hkl) for hkl in data.hkl]
        self.truth = np.rad2deg(np.angle(F))
        self.problem: PhasingProblem = phasing_problem(data)
        phi = self.truth + np.random.default_rng(0).normal(0, 40, len(data))
        fom = np.where(data.measured, 0.8, 0.0)
        phi = np.where(data.measured, phi, np.nan)
        density = weighted_map(data, fom, phi)
        self.placed = CrystalSetting(phi, fom, density, 0.5, {}, 1.0, "anywhere", ("a note",))

    def candidate(self, figures: DensityFigures) -> Candidate:
        nothing = torch.zeros(1)
        return Candidate("raar", nothing, nothing, figures, 0.3)

    def error(self, phi: NDArray[np.float64]) -> float:
        d = self.problem.data
        return compare_phases(d.hkl, d.f, phi, self.truth, d.cell, d.space_group).weighted_aligned


@pytest.fixture(scope="module")
def case() -> Case:
    return Case()


DENSITY = DensityFigures(0.05, 0.9, 0.02, 0.5)


def test_phases_weights_and_map_become_those_of_the_atoms(case: Case) -> None:
    placed, atoms = with_final_structure(
        case.problem, case.candidate(DENSITY), case.placed, np.inf, SETTINGS
    )
    assert atoms is not None
    assert case.error(case.placed.phi) > 20
    assert case.error(placed.phi) < 6
    measured = case.problem.data.measured
    np.testing.assert_allclose(placed.phi[measured], np.rad2deg(np.angle(atoms.F[measured])) % 360)
    assert np.isnan(placed.phi[~measured]).all()
    assert (placed.fom[~measured] == 0).all()
    assert placed.fom[measured].mean() > 0.9
    assert not np.array_equal(placed.density.values, case.placed.density.values)
    assert placed.notes[0] == "a note"
    assert f"{len(atoms)} atoms" in placed.notes[1]


def test_a_model_that_fits_better_keeps_its_phases(case: Case) -> None:
    better = AtomFigures(0.05, 0.9, 0.02, 0.5, 50.0)
    quick = replace(SETTINGS, cycles=2, rounds=1)
    placed, atoms = with_final_structure(
        case.problem, case.candidate(better), case.placed, np.inf, quick
    )
    assert atoms is None
    assert placed is case.placed


@pytest.mark.parametrize(
    "settings",
    [
        replace(SETTINGS, d_min=0.8),
        replace(SETTINGS, max_pairs=100_000),
        replace(SETTINGS, max_r=0.01, cycles=1, rounds=1, steps=2),
    ],
)
def test_otherwise_everything_stays_as_it_is(case: Case, settings: FinalStructureSettings) -> None:
    placed, atoms = with_final_structure(
        case.problem, case.candidate(DENSITY), case.placed, np.inf, settings
    )
    assert atoms is None
    assert placed is case.placed


def test_random_phases_give_no_atoms(case: Case) -> None:
    phi = np.random.default_rng(1).uniform(0, 360, len(case.placed.phi))
    random = replace(case.placed, phi=phi)
    quick = replace(SETTINGS, cycles=2, rounds=1)
    assert with_final_structure(case.problem, case.candidate(DENSITY), random, np.inf, quick) == (
        random,
        None,
    )
