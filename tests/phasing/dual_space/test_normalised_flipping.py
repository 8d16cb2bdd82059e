"""Charge flipping of normalised amplitudes: its definition, and a measured crystal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest
import torch

from crysformer.crystal.comparison.compare import SOLVED_COSINE, compare_phases
from crysformer.crystal.io.read import read_crystal
from crysformer.phasing.dual_space.charge_flipping import random_phases
from crysformer.phasing.dual_space.normalised_flipping import (
    OnePeaked,
    OneSettled,
    normalised_amplitudes,
    normalised_flipping,
)
from crysformer.phasing.dual_space.polishing import polish_by_density_modification
from crysformer.phasing.problem import PhasingProblem, phasing_problem
from crysformer.phasing.solver import solve

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture(scope="module")
def crystal(dipeptide: Callable[..., Any]) -> Any:
    return dipeptide(0, d_min=0.9, completeness=0.9)


@pytest.fixture(scope="module")
def problem(crystal: Any) -> PhasingProblem:
    return phasing_problem(crystal.data, (crystal.sequence,))


def starts(problem: PhasingProblem, n: int, seed: int = 0) -> torch.Tensor:
    return random_phases(problem.grid, n, torch.Generator().manual_seed(seed))


def test_amplitudes_have_a_mean_square_of_one_at_every_resolution(problem: PhasingProblem) -> None:
    amplitude, grid = normalised_amplitudes(problem), problem.grid
    assert (amplitude[~grid.measured] == 0).all()
    order = grid.d_star_sq[grid.measured].argsort()
    squares = amplitude[grid.measured][order] ** 2
    for shell in squares.tensor_split(5):
        assert float(shell.mean()) == pytest.approx(1, abs=0.15)


def test_symmetry_mates_have_the_same_amplitude(make_crystal: Callable[..., Any]) -> None:
    cell = gemmi.UnitCell(9, 10, 11, 90, 100, 90)
    frac = np.random.default_rng(0).random((12, 3))
    problem = phasing_problem(make_crystal(cell, "P 1 21 1", frac, np.full(12, 7), d_min=1.0).data)
    listed = problem.listed(normalised_amplitudes(problem).to(torch.complex64)).real
    mean = np.bincount(problem.mapping.parent, listed) / np.bincount(problem.mapping.parent)
    np.testing.assert_allclose(listed, mean[problem.mapping.parent], rtol=1e-4, atol=1e-4)


def test_an_iteration_is_the_one_that_is_defined(problem: PhasingProblem) -> None:
    grid, amplitude = problem.grid, normalised_amplitudes(problem)
    start = starts(problem, 2)
    one, two = (
        normalised_flipping(problem, start, amplitude, n, threshold=1.1, weak_fraction=0.2)
        for n in (0, 1)
    )
    measured, floating = grid.measured.numpy(), grid.floating.numpy()
    E = amplitude.numpy()
    weak = measured & (np.sort(E[measured])[int(0.2 * measured.sum())] > E)
    for i in range(2):
        rho = np.fft.irfftn(one[i].conj().resolve_conj().numpy(), s=grid.shape, axes=(0, 1, 2))
        flipped = np.where(rho < 1.1 * rho.std(ddof=1), -rho, rho)
        G = np.fft.rfftn(flipped).conj()
        expected = np.where(floating, G, np.exp(1j * np.angle(G)) * E)
        expected = np.where(weak, 1j * np.exp(1j * np.angle(G)) * E, expected)
        np.testing.assert_allclose(two[i].numpy(), expected, atol=2e-3 * np.abs(expected).max())


def test_measured_amplitudes_are_kept(problem: PhasingProblem) -> None:
    amplitude = normalised_amplitudes(problem)
    found = normalised_flipping(problem, starts(problem, 3), amplitude, 5, 1.1, 0.2)
    measured = problem.grid.measured
    expected = amplitude.expand_as(found.abs())[:, measured]
    torch.testing.assert_close(found.abs()[:, measured], expected)
    assert (found[:, problem.grid.floating].abs() > 0).float().mean() > 0.9
    assert (found[:, ~(measured | problem.grid.floating)] == 0).all()


def test_random_phases_become_right_ones(crystal: Any, problem: PhasingProblem) -> None:
    amplitude = normalised_amplitudes(problem)
    found = normalised_flipping(problem, starts(problem, 8), amplitude, 200, 1.1, 0.2)
    right = [crystal.compare(F).cosine2_aligned > 0.6 for F in found]
    assert sum(right) >= 2


def test_no_iteration_begins_after_the_deadline(problem: PhasingProblem) -> None:
    amplitude, start = normalised_amplitudes(problem), starts(problem, 1)
    late = normalised_flipping(problem, start, amplitude, 100, 1.1, 0.2, deadline=0.0)
    none = normalised_flipping(problem, start, amplitude, 0, 1.1, 0.2)
    assert torch.equal(late, none)


def test_a_group_stops_soon_after_its_first_start_has_converged() -> None:
    problem = phasing_problem(read_crystal(SAMPLES / "2ol9.mtz.gz"))
    amplitude, stop = normalised_amplitudes(problem), OneSettled()
    looked: list[int] = []

    def counted(done: int, rho: torch.Tensor) -> bool:
        looked.append(done)
        return stop(done, rho)

    found = normalised_flipping(problem, starts(problem, 4), amplitude, 200, 1.2, 0.2, stop=counted)
    assert 40 < len(looked) < 190
    F = problem.grid.with_amplitudes(found)
    one = polish_by_density_modification(
        problem, "test", F, torch.full((4,), 0.2), 4, torch.Generator().manual_seed(0)
    )[0]
    assert one.confidence > 0.98


@pytest.mark.parametrize(
    ("atoms", "stops"),
    [
        ([[9, 9, 9, 9], [9, 9, 9, 9], [4, 9, 9, 9], [4, 9, 9, 9]], 4),  # one converges
        ([[9, 9, 9, 9], [9, 9, 9, 9], [4, 9, 9, 9], [9, 9, 9, 9], [9, 4, 9, 9]], None),  # passing
        ([[9, 9, 9, 9], [4, 4, 4, 4], [4, 4, 4, 4]], 3),  # all converge at once
        ([[9, 9, 9, 9]] * 6, None),
    ],
)
def test_a_long_run_stops_once_a_map_stays_peaked(
    atoms: list[list[int]], stops: int | None
) -> None:
    stop, stopped = OnePeaked(), list[int]()
    for look, numbers in enumerate(atoms, start=1):
        rho = torch.zeros(len(numbers), 10, 10, 10)
        for one, n in zip(rho, numbers, strict=True):  # the fewer, the more peaked
            one.view(-1)[: n * 10] = 1.0
        if stop(100 * look - 1, rho):
            stopped.append(look)
        assert not stop(100 * look - 50, rho)
    assert stopped == ([stops] if stops else [])


def test_a_group_of_random_amplitudes_does_not_stop(problem: PhasingProblem) -> None:
    shuffled = normalised_amplitudes(problem)
    measured = problem.grid.measured
    order = torch.randperm(int(measured.sum()), generator=torch.Generator().manual_seed(1))
    shuffled = shuffled.masked_scatter(measured, shuffled[measured][order])
    stop, stopped = OneSettled(), list[bool]()

    def watched(done: int, rho: torch.Tensor) -> bool:
        stopped.append(stop(done, rho))
        return stopped[-1]

    normalised_flipping(problem, starts(problem, 4), shuffled, 200, 1.2, 0.2, stop=watched)
    assert len(stopped) == 200
    assert not any(stopped)


@pytest.mark.parametrize("sequence", ["SNQNNF", pytest.param(None, marks=pytest.mark.slow)])
def test_a_measured_hexapeptide_at_atomic_resolution_is_solved_and_claimed(
    sequence: str | None,
) -> None:
    data = read_crystal(SAMPLES / "2ol9.mtz.gz")
    model = gemmi.read_structure(str(SAMPLES / "2ol9.pdb.gz"))
    model.cell, model.spacegroup_hm = data.cell, data.space_group.hm
    model.setup_cell_images()
    calculator = gemmi.StructureFactorCalculatorX(data.cell)
    truth = [calculator.calculate_sf_from_model(model[0], hkl) for hkl in data.hkl]
    found = solve(data, sequence, time_limit=60.0)
    assert found.solved
    assert found.hand_probability > 0.9
    phi = np.rad2deg(np.angle(truth))
    compared = compare_phases(data.hkl, data.f, found.phi, phi, data.cell, data.space_group)
    assert compared.cosine2_aligned > SOLVED_COSINE
    # the phases are those of all atoms, waters among them, also where the sequence leaves them out
    assert compared.weighted_aligned < 6
    assert found.atoms is not None
    assert found.atoms.r < 0.1
    assert 54 <= len(found.atoms) <= 58
    assert abs(found.atoms.formula["N"] - 10) <= 2
    assert not compared.inverted
