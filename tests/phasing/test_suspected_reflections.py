"""Reflections left out at the start: restored where the solution explains them, and only there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gemmi
import numpy as np
import pytest
import torch

from crysformer.crystal.quality.outliers import Outliers, wilson_outliers, without_outliers
from crysformer.crystal.reflections import CrystalData
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.merit.figures import DensityFigures
from crysformer.phasing.problem import PhasingProblem, phasing_problem
from crysformer.phasing.solver import solve
from crysformer.phasing.suspected_reflections import Restored, model_amplitudes, restore

CELLS = {"P 1": (11.0, 12.0, 24.0, 90, 95, 100), "P 1 21 1": (11.0, 24.0, 13.0, 90, 95, 90)}
AXIS = {"P 1": 2, "P 1 21 1": 1}
GENERATOR = torch.Generator().manual_seed(0)
FIGURES = DensityFigures(0.1, 0.8, 0.0, 0.6)


@pytest.fixture(scope="module", params=CELLS)
def layered(request: Any, make_crystal: Callable[..., Any]) -> Any:
    """Atoms in six layers, so that one reflection is stronger than Wilson would have it."""
    rng = np.random.default_rng(0)
    frac = rng.random((60, 3))
    axis = AXIS[request.param]
    frac[:, axis] = (np.round(6 * frac[:, axis]) + rng.normal(0, 0.05, 60)) / 6
    cell = gemmi.UnitCell(*CELLS[request.param])
    return make_crystal(cell, request.param, frac, np.full(60, 7), 10.0, 1.4)


def restored_by(crystal: Any, data: CrystalData) -> tuple[Outliers, Restored]:
    """Restore from the true structure factors."""
    suspected = wilson_outliers(data)
    problem = phasing_problem(without_outliers(data, suspected))
    model = problem.expand(crystal.f_true * np.exp(1j * np.deg2rad(crystal.phi_true)))
    candidate = Candidate("test", problem.grid.with_amplitudes(model), model, FIGURES, 0.2)
    return suspected, restore(data, suspected, problem, candidate, GENERATOR)


def layer_rows(crystal: Any) -> set[int]:
    """The reflection of the six layers, and its second order."""
    axis = AXIS[crystal.data.space_group.hm]
    along = np.delete(crystal.data.hkl, axis, axis=1) == 0
    order = np.abs(crystal.data.hkl[:, axis])
    return set(np.flatnonzero(along.all(axis=1) & np.isin(order, (6, 12))).tolist())


def test_layers_are_suspected(layered: Any) -> None:
    assert set(wilson_outliers(layered.data).rows.tolist()) == layer_rows(layered)


def test_a_strong_reflection_of_the_structure_is_restored(layered: Any) -> None:
    data = layered.data
    suspected, restored = restored_by(layered, data)
    assert len(suspected) == 2
    assert not restored.unexplained.any()
    np.testing.assert_array_equal(restored.problem.data.f, data.f)
    assert "the solution explains (" in restored.note
    assert "left out" not in restored.note
    listed = restored.problem.average(restored.candidate.F)
    error = np.angle(listed * np.exp(-1j * np.deg2rad(layered.phi_true)))
    assert np.abs(error).max() < 1e-3
    np.testing.assert_allclose(np.abs(listed), data.f, rtol=1e-6)


def test_a_wild_one_is_not(layered: Any) -> None:
    wild = int(np.flatnonzero(layered.data.hkl.all(axis=1))[40])
    f = layered.data.f.copy()
    f[wild] = f.max()
    suspected, restored = restored_by(layered, replace(layered.data, f=f))
    assert set(suspected.rows.tolist()) == {wild} | layer_rows(layered)
    assert np.flatnonzero(restored.unexplained).tolist() == [wild]
    assert "the solution explains (" in restored.note
    assert "it does not explain (" in restored.note
    # it gets the phase of the model, at the model's amplitude
    assert restored.problem.data.f[wild] == pytest.approx(layered.f_true[wild], rel=0.01)


def test_amplitudes_of_a_model(layered: Any) -> None:
    problem: PhasingProblem = phasing_problem(layered.data)
    model = problem.expand(layered.f_true * np.exp(1j * np.deg2rad(layered.phi_true)))
    found = model_amplitudes(problem, model) * problem.grid.scale
    np.testing.assert_allclose(found, layered.f_true, rtol=1e-4, atol=1e-3)


def test_density_predicts_what_a_model_of_the_measured_reflections_lacks(layered: Any) -> None:
    suspected = wilson_outliers(layered.data)
    problem = phasing_problem(without_outliers(layered.data, suspected))
    model = torch.where(problem.grid.measured, problem.expand(layered.phased), 0)
    candidate = Candidate("test", model, model, FIGURES, 0.0)
    restored = restore(layered.data, suspected, problem, candidate, GENERATOR)
    strongest = int(np.argmax(layered.data.f))
    assert not restored.unexplained[strongest]
    error = np.angle(
        restored.problem.average(restored.candidate.F) * np.exp(-1j * np.deg2rad(layered.phi_true))
    )
    assert abs(error[strongest]) < 0.5


def test_a_crystal_with_a_wild_reflection_is_solved(dipeptide: Callable[..., Any]) -> None:
    """Without the test that reflection would be most of the map."""
    crystal = dipeptide(0)
    f = crystal.data.f.copy()
    wild = int(np.argsort(crystal.data.d)[len(f) // 2])
    f[wild] = 12 * f.max()
    solution = solve(
        replace(crystal.data, f=f), crystal.sequence, method="charge-flipping", time_limit=300.0
    )
    assert solution.solved
    assert solution.fom[wild] == solution.f[wild] == 0
    assert np.isfinite(solution.phi[wild])
    assert crystal.compare_phases(solution.phi).mean_aligned < 20
    index = " ".join(map(str, crystal.data.hkl[wild]))
    assert any(f"it does not explain ({index})" in note for note in solution.notes)
