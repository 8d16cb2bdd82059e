"""RAAR against its definition, the properties of projections, and crystals with known phases."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from crysformer.crystal.comparison.compare import SOLVED_COSINE
from crysformer.phasing.dual_space.charge_flipping import random_phases
from crysformer.phasing.dual_space.density_modification import eliminate_low_density
from crysformer.phasing.dual_space.projections import impose, sharpened, to_half_grid, to_map
from crysformer.phasing.dual_space.raar import raar, relax, shrink_wrap, within
from crysformer.phasing.merit.r_factor import grid_r_factor
from crysformer.phasing.p1_grid import P1Grid, p1_grid

SHARE, WIDTH, SHARPENING = 0.2, 0.8, 12.0


@pytest.fixture(scope="module")
def crystal(dipeptide: Callable[..., Any]) -> Any:
    return dipeptide(0, completeness=0.7)


@pytest.fixture(scope="module")
def problem(crystal: Any) -> P1Grid:
    return p1_grid(crystal.data)


def starts(problem: P1Grid, n: int, seed: int = 0) -> Tensor:
    return random_phases(problem, n, torch.Generator().manual_seed(seed))


def full(n: int, value: float) -> Tensor:
    return torch.full((n,), value)


def run(problem: P1Grid, F: Tensor, iterations: int, **options: Any) -> Tensor:
    n = len(F)
    return raar(
        problem, F, iterations, full(n, SHARE), full(n, WIDTH), full(n, SHARPENING), **options
    )[0]


def some_maps(problem: P1Grid, n: int, seed: int = 0) -> Tensor:
    return torch.randn(n, *problem.shape, generator=torch.Generator().manual_seed(seed))


def modulus_projection(problem: P1Grid, rho: Tensor) -> Tensor:
    amplitude = sharpened(problem, full(len(rho), SHARPENING))
    return to_map(problem, impose(problem, to_half_grid(rho), amplitude))


def some_support(problem: P1Grid, n: int) -> Tensor:
    return some_maps(problem, n, seed=9) > 0.8


def test_projections_are_idempotent(problem: P1Grid) -> None:
    rho = some_maps(problem, 3)
    support = some_support(problem, 3)
    once = within(rho, support)
    assert torch.equal(within(once, support), once)
    phased = modulus_projection(problem, rho)
    torch.testing.assert_close(
        modulus_projection(problem, phased), phased, atol=1e-6 * float(phased.max()), rtol=1e-4
    )
    assert (once - rho).abs().max() > 0.1
    assert (phased - rho).abs().max() > 0.1


def test_projections_go_to_the_nearest(problem: P1Grid) -> None:
    """Any other member of the set is farther away."""
    rho = some_maps(problem, 1)
    support = some_support(problem, 1)
    own = (within(rho, support) - rho).square().sum()
    other = modulus_projection(problem, rho)
    farther = modulus_projection(problem, some_maps(problem, 1, seed=1))
    for seed in range(5):
        member = within(some_maps(problem, 1, seed), support) + 1e-3 * support
        assert (member - rho).square().sum() > own
    assert (farther - rho).square().sum() > (other - rho).square().sum()


@pytest.mark.parametrize("beta", [0.5, 0.87, 1.0])
def test_a_step_follows_its_definition(problem: P1Grid, beta: float) -> None:
    rho = some_maps(problem, 2)
    phased = modulus_projection(problem, rho)
    support = some_support(problem, 2)
    reflected = 2 * phased - rho
    twice = 2 * within(reflected, support) - reflected
    expected = beta / 2 * (twice + rho) + (1 - beta) * phased
    outside = torch.where(support, 0.0, torch.inf)
    torch.testing.assert_close(relax(rho, phased, outside, beta), expected)


def test_a_solution_is_a_fixed_point_with_reflections_missing(problem: P1Grid) -> None:
    """A positive map in its support, a third of whose structure factors are not measured.

    Nothing may pull at those: the iteration is to stay where it is, F(000) included.
    """
    inner = tuple(slice(2, n // 2) for n in problem.shape)
    rho = torch.zeros(1, *problem.shape)
    rho[0][inner] = some_maps(problem, 1).abs()[0][inner]
    F = to_half_grid(rho)
    generator = torch.Generator().manual_seed(4)
    missing = torch.rand(problem.measured.shape, generator=generator) < 1 / 3
    missing[..., 0] = True  # where mates would have to be missing together
    multiplicity = torch.where(missing, 0.0, 2.0)
    F = F / ((F.abs() ** 2 * multiplicity).sum() / multiplicity.sum()).sqrt()
    whole = replace(
        problem, amplitude=F[0].abs(), measured=~missing, floating=missing, weight=multiplicity
    )
    room = full(1, 0.6)
    assert (shrink_wrap(whole, F, room, full(1, WIDTH)) >= (rho > 0)).all()
    found = raar(whole, F, 30, room, full(1, WIDTH), full(1, 0.0))[0]
    torch.testing.assert_close(found, F, rtol=1e-3, atol=1e-3 * float(F.abs().max()))


def test_a_support_holds_its_share_and_the_density(crystal: Any, problem: P1Grid) -> None:
    F = crystal.start(problem).expand(3, -1, -1, -1)
    share = torch.tensor([0.1, 0.2, 0.4])
    support = shrink_wrap(problem, F, share, full(3, WIDTH))
    held = support.flatten(1).double().mean(1)
    torch.testing.assert_close(held, share.double(), atol=2e-3, rtol=0)
    # ever larger ones contain the smaller, and more of the atoms than of anything else
    assert (support[0] <= support[1]).all()
    assert (support[1] <= support[2]).all()
    nearest = np.round(crystal.frac * problem.shape).astype(int) % problem.shape
    within_each = support[:, *nearest.T].double().mean(1)
    assert within_each[2] > 0.8
    assert (within_each > 2 * share).all()


def test_a_wider_filter_gives_a_simpler_support(crystal: Any, problem: P1Grid) -> None:
    F = crystal.start(problem).expand(2, -1, -1, -1)
    support = shrink_wrap(problem, F, full(2, SHARE), torch.tensor([0.4, 2.0]))
    border = sum((support != support.roll(1, axis)).flatten(1).sum(1) for axis in (1, 2, 3))
    assert border[1] < 0.8 * border[0]


def test_measured_amplitudes_stay_and_the_others_float(problem: P1Grid) -> None:
    F = run(problem, starts(problem, 3), 25)
    modulus = F.abs()
    used, free = problem.measured, problem.floating
    expected = sharpened(problem, full(1, SHARPENING))[0]
    for one in modulus:
        torch.testing.assert_close(one[used], expected[used])
    assert free.sum() > 50
    assert (modulus[:, ~(used | free)] == 0).all()
    # all of the floating ones live, F(000) among them, and each start has its own
    assert free[0, 0, 0]
    assert (modulus[:, free] > 0).all()
    assert modulus[:, free].std(0).min() > 0


def test_a_batch_equals_its_members(problem: P1Grid) -> None:
    start = starts(problem, 3)
    share, width = torch.tensor([0.15, 0.2, 0.25]), torch.tensor([0.5, 1.0, 1.5])
    sharpening = torch.tensor([0.0, 10.0, 20.0])
    # few iterations: a voxel at the rim that rounding moves makes long runs part
    together = raar(problem, start, 3, share, width, sharpening)[0]
    for i in range(3):
        row = slice(i, i + 1)
        alone = raar(problem, start[row], 3, share[row], width[row], sharpening[row])[0]
        torch.testing.assert_close(together[row], alone, rtol=1e-3, atol=5e-3)


def test_a_deadline_in_the_past_changes_no_phase(problem: P1Grid) -> None:
    start = starts(problem, 2)
    over = run(problem, start, 10**9, deadline=time.monotonic() - 1)
    used = problem.measured
    torch.testing.assert_close(over[:, used].angle(), start[:, used].angle())
    ahead = run(problem, start, 12, deadline=time.monotonic() + 3600)
    torch.testing.assert_close(ahead, run(problem, start, 12))


def test_it_solves_noisy_and_incomplete_data_of_low_resolution(fifteen: Callable[..., Any]) -> None:
    crystal = fifteen(0, d_min=2.5, amplitude_error=0.1, completeness=0.6)
    problem = p1_grid(crystal.data)
    F = raar(problem, starts(problem, 2), 200, full(2, 0.1), full(2, 1.5), full(2, 10.0))[0]
    F, model = eliminate_low_density(problem, F, 15, full(2, 0.13), full(2, 5.0))
    best = int(grid_r_factor(problem, model).argmin())
    found = crystal.compare(F[best])
    assert found.cosine2_aligned > SOLVED_COSINE


def test_iterations_end_when_a_start_converges(problem: P1Grid) -> None:
    options = (full(2, SHARE), full(2, WIDTH), full(2, SHARPENING))
    random = starts(problem, 2)
    F, misfit = raar(problem, random, 40, *options, converged=0.1)
    assert (misfit > 0.1).all()
    torch.testing.assert_close(F, raar(problem, random, 40, *options)[0])
    # the tenth iteration itself fulfils this: the last ten follow, and no more
    early, misfit = raar(problem, random, 10**9, *options, converged=1.5)
    assert (misfit == 1).all()
    assert early.isfinite().all()


def test_the_misfit_tells_which_start_has_found_the_solution(fifteen: Callable[..., Any]) -> None:
    crystal, n = fifteen(0, d_min=2.0), 4
    whole = p1_grid(crystal.data)
    options = (full(n, 0.1), full(n, 1.5), full(n, 10.0))
    F, misfit = raar(whole, starts(whole, n), 60, *options, converged=0.5)
    cosines = [crystal.compare(one).cosine2_aligned for one in F]
    assert misfit.min() < 0.5
    assert int(misfit.argmin()) == int(np.argmax(cosines))
    assert max(cosines) > SOLVED_COSINE

    shuffled = np.random.default_rng(0).permutation(crystal.data.f)
    nothing = p1_grid(replace(crystal.data, f=shuffled))
    _, misfit = raar(nothing, starts(nothing, n), 60, *options, converged=0.5)
    assert misfit.min() > 0.8
