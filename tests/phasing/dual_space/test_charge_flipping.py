"""Charge flipping against its definition, its symmetries, and crystals with known phases."""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from crysformer.crystal.comparison.alignment import Alignment, apply_alignment
from crysformer.crystal.comparison.compare import SOLVED_COSINE
from crysformer.phasing.dual_space.charge_flipping import charge_flipping, random_phases
from crysformer.phasing.dual_space.density_modification import eliminate_low_density
from crysformer.phasing.merit.r_factor import grid_r_factor
from crysformer.phasing.p1_grid import P1Grid, p1_grid

SHARE, SHARPENING = 0.253, 12.0


@pytest.fixture(scope="module")
def crystal(dipeptide: Callable[..., Any]) -> Any:
    return dipeptide(0)


@pytest.fixture(scope="module")
def problem(crystal: Any) -> P1Grid:
    return p1_grid(crystal.data)


@pytest.fixture(scope="module")
def incomplete(dipeptide: Callable[..., Any]) -> P1Grid:
    return p1_grid(dipeptide(0, completeness=0.7).data)


def starts(problem: P1Grid, n: int, seed: int = 0) -> Tensor:
    return random_phases(problem, n, torch.Generator().manual_seed(seed))


def full(n: int, value: float) -> Tensor:
    return torch.full((n,), value)


def flip(problem: P1Grid, F: Tensor, iterations: int) -> Tensor:
    n = len(F)
    return charge_flipping(problem, F, iterations, full(n, SHARE), full(n, SHARPENING))


def sharpened(problem: P1Grid) -> Tensor:
    amplitude = problem.amplitude * torch.exp(0.25 * SHARPENING * problem.d_star_sq)
    power = (problem.weight * amplitude**2).sum() / problem.weight.sum()
    return amplitude / power.sqrt()


def whole_sphere(half: Tensor, shape: tuple[int, int, int]) -> np.ndarray:
    """All indices from a half grid, by Friedel's law."""
    half = half.numpy()
    u, v, w = np.indices(shape)
    mate = w >= half.shape[2]
    u, v, w = (np.where(mate, -x % n, x) for x, n in zip((u, v, w), shape, strict=True))
    return np.where(mate, half[u, v, w].conj(), half[u, v, w])


def flipped_by_definition(
    problem: P1Grid, start: Tensor, iterations: int, share: float
) -> np.ndarray:
    """Oszlanyi & Suto's cycle on whole complex grids in double precision."""
    shape = problem.shape
    amplitude = whole_sphere(sharpened(problem), shape).astype(np.float64)
    measured, floating = (
        whole_sphere(mask, shape).real.astype(bool) for mask in (problem.measured, problem.floating)
    )
    F = whole_sphere(start, shape).astype(np.complex128)
    F = np.where(measured, amplitude * np.exp(1j * np.angle(F)), 0)
    for i in range(iterations):
        rho = np.fft.fftn(F).real / math.prod(shape)
        if i % 10 == 0:
            threshold = np.sort(rho, axis=None)[int((1 - share) * rho.size)]
        F = np.fft.ifftn(np.where(rho < threshold, -rho, rho)) * math.prod(shape)
        F = np.where(measured, amplitude * np.exp(1j * np.angle(F)), np.where(floating, F, 0))
    return F


def consistent(problem: P1Grid, F: Tensor) -> Tensor:
    """Random starts made conjugate on l = 0, as every half grid of a real map is."""
    rho = torch.fft.irfftn(F.conj(), s=problem.shape, dim=(-3, -2, -1))
    return problem.with_amplitudes(torch.fft.rfftn(rho, dim=(-3, -2, -1)).conj())


@pytest.mark.parametrize("iterations", [1, 12])
def test_flipping_follows_its_definition(incomplete: P1Grid, iterations: int) -> None:
    start = consistent(incomplete, starts(incomplete, 1))
    found = flip(incomplete, start, iterations)[0]
    expected = flipped_by_definition(incomplete, start[0], iterations, SHARE)
    expected = expected[..., : found.shape[2]]
    assert incomplete.floating.sum() > 50
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-3)


def test_measured_amplitudes_stay_and_the_others_float(incomplete: P1Grid) -> None:
    F = flip(incomplete, starts(incomplete, 3), 25)
    modulus = F.abs()
    used, free = incomplete.measured, incomplete.floating
    for one in modulus:
        torch.testing.assert_close(one[used], sharpened(incomplete)[used])
    assert (modulus[:, ~(used | free)] == 0).all()
    # all of the floating ones live, and each start has its own
    assert (modulus[:, free] > 0).all()
    assert modulus[:, free].std(0).min() > 0


def test_without_sharpening_the_amplitudes_are_exact(problem: P1Grid) -> None:
    F = charge_flipping(problem, starts(problem, 2), 5, full(2, SHARE), full(2, 0.0))
    torch.testing.assert_close(
        F.abs()[:, problem.measured], starts(problem, 2).abs()[:, problem.measured]
    )


def test_a_start_moved_by_whole_voxels_stays_moved(problem: P1Grid) -> None:
    start = consistent(problem, starts(problem, 1))
    shift = torch.tensor([[3 / problem.shape[0], -5 / problem.shape[1], 2 / problem.shape[2]]])
    move = Alignment(shift, torch.tensor([False]), torch.ones(1))
    found = flip(problem, apply_alignment(start, move), 20)
    torch.testing.assert_close(
        found, apply_alignment(flip(problem, start, 20), move), rtol=1e-3, atol=5e-3
    )


def test_the_mirror_image_of_a_start_stays_one(problem: P1Grid) -> None:
    start = consistent(problem, starts(problem, 1))
    found = flip(problem, start.conj(), 20)
    torch.testing.assert_close(found, flip(problem, start, 20).conj(), rtol=1e-3, atol=5e-3)


def test_a_batch_equals_its_members(problem: P1Grid) -> None:
    start = starts(problem, 3)
    share, sharpening = torch.tensor([0.15, 0.2, 0.25]), torch.tensor([0.0, 10.0, 20.0])
    # few iterations: a voxel at the threshold that rounding flips makes long runs part
    together = charge_flipping(problem, start, 3, share, sharpening)
    modified_together = eliminate_low_density(problem, start, 5, share, sharpening)[1]
    for i in range(3):
        row = slice(i, i + 1)
        alone = charge_flipping(problem, start[row], 3, share[row], sharpening[row])
        torch.testing.assert_close(together[row], alone, rtol=1e-3, atol=5e-3)
        _, modified = eliminate_low_density(problem, start[row], 5, share[row], sharpening[row])
        torch.testing.assert_close(modified_together[row], modified, rtol=1e-3, atol=5e-3)


def test_a_deadline_in_the_past_changes_no_phase(problem: P1Grid) -> None:
    start = starts(problem, 2)
    share, sharpening = full(2, SHARE), full(2, SHARPENING)
    over = charge_flipping(problem, start, 10**9, share, sharpening, deadline=time.monotonic() - 1)
    used = problem.measured
    torch.testing.assert_close(over[:, used].angle(), start[:, used].angle())
    ahead = charge_flipping(problem, start, 10, share, sharpening, deadline=time.monotonic() + 3600)
    torch.testing.assert_close(ahead, charge_flipping(problem, start, 10, share, sharpening))


def test_random_phases_are_random_and_repeat(problem: P1Grid) -> None:
    one, same, other = starts(problem, 2, 7), starts(problem, 2, 7), starts(problem, 2, 8)
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert not torch.equal(one[0], one[1])
    torch.testing.assert_close(one.abs(), problem.amplitude.expand_as(one.abs()))
    many = starts(problem, 100)[:, problem.measured]
    unit = many / many.abs()
    # the mean of n random unit vectors has an rms length of 1 / sqrt(n)
    assert unit.mean().abs() < 4 / math.sqrt(unit.numel())
    assert (unit**2).mean().abs() < 4 / math.sqrt(unit.numel())


def test_amplitude_r_of_a_known_misfit(crystal: Any, problem: P1Grid) -> None:
    rng = np.random.default_rng(3)
    f = crystal.data.f
    model = f * (1 + 0.2 * rng.standard_normal(len(f)))
    k = (model @ f) / (model @ model)
    expected = np.abs(k * np.abs(model) - f).sum() / f.sum()
    F = torch.stack([problem.to_grid(37 * model), problem.to_grid(0.01 * f)]).to(torch.complex64)
    found = grid_r_factor(problem, F)
    assert found.tolist() == pytest.approx([expected, 0], abs=1e-4)
    assert expected > 0.1


def test_tight_dipeptide_is_solved(crystal: Any, problem: P1Grid) -> None:
    n = 16
    F = charge_flipping(problem, starts(problem, n), 300, full(n, 0.25), full(n, 15.0))
    F, model = eliminate_low_density(problem, F, 15, full(n, 0.25), full(n, 5.0))
    best = int(grid_r_factor(problem, model).argmin())
    found = crystal.compare(F[best])
    assert found.cosine2_aligned > SOLVED_COSINE
    assert found.mean_aligned < 25


@pytest.mark.parametrize("completeness", [1.0, 0.8])
def test_fifteen_residues_are_solved(fifteen: Callable[..., Any], completeness: float) -> None:
    crystal = fifteen(0, completeness=completeness)
    problem = p1_grid(crystal.data)
    iterations = 150 if completeness == 1 else 300
    for seed in range(6):  # about every second start leads there
        F = charge_flipping(
            problem, starts(problem, 1, seed), iterations, full(1, 0.08), full(1, 10.0)
        )
        F, model = eliminate_low_density(problem, F, 10, full(1, 0.08), full(1, 5.0))
        if float(grid_r_factor(problem, model)) < 0.1:
            break
    found = crystal.compare(F[0])
    assert found.cosine2_aligned > SOLVED_COSINE
    assert found.mean_aligned < 15


def test_missing_reflections_held_at_zero_prevent_the_solution(
    fifteen: Callable[..., Any],
) -> None:
    crystal = fifteen(0, completeness=0.8)
    problem = p1_grid(crystal.data)
    forced = replace(problem, floating=torch.zeros_like(problem.floating))
    F = charge_flipping(forced, starts(problem, 1), 300, full(1, 0.08), full(1, 10.0))
    assert crystal.compare(F[0]).cosine2_aligned < SOLVED_COSINE


def test_elimination_settles_phases(fifteen: Callable[..., Any]) -> None:
    crystal = fifteen(0)
    problem = p1_grid(crystal.data)
    start = crystal.start(problem, [30, 50])
    share, sharpening = full(2, 0.1), full(2, 5.0)
    F, modified = eliminate_low_density(problem, start, 15, share, sharpening)
    for i, (error, left) in enumerate([(30, 8), (50, 8)]):
        assert crystal.compare(start[i]).mean == pytest.approx(error, abs=1)
        assert crystal.compare(F[i]).mean_aligned < left
    # amplitudes as measured, zero elsewhere; the modified density on their scale
    torch.testing.assert_close(F.abs(), problem.amplitude.expand_as(F.abs()))
    weight = problem.weight * modified.abs()
    scale = (weight * problem.amplitude).sum((1, 2, 3)) / (weight * modified.abs()).sum((1, 2, 3))
    torch.testing.assert_close(scale, torch.ones(2), rtol=1e-4, atol=0)
    assert grid_r_factor(problem, modified).max() < 0.08
    outside = ~(problem.measured | problem.floating)
    assert (modified[:, outside] == 0).all()
    # the last phases are those of the modified density
    phased = problem.with_amplitudes(modified)
    torch.testing.assert_close(phased, F, rtol=1e-3, atol=1e-3)


def test_elimination_makes_tight_cells_better_too(crystal: Any, problem: P1Grid) -> None:
    start = crystal.start(problem, [30])
    F, _ = eliminate_low_density(problem, start, 5, full(1, 0.25), full(1, 5.0))
    assert crystal.compare(F[0]).weighted_aligned < 0.8 * crystal.compare(start[0]).weighted_aligned
