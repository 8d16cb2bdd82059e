"""Dual-space recycling: from erroneous phases to refined atoms."""

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from crysformer.phasing.atoms.recycling import AtomicFit, RecyclingSettings, drop_surplus, fit_atoms
from crysformer.phasing.p1_grid import p1_grid


def fit(
    crystal: Any, errors: list[float], cycles: int, seed: int = 0, **options: float
) -> AtomicFit:
    problem = p1_grid(crystal.data)
    generator = torch.Generator().manual_seed(seed)
    start = crystal.start(problem, errors)
    n = len(crystal.number)
    return fit_atoms(problem, start, n, 20.0, cycles, generator, **options)


@pytest.mark.parametrize("index", [0, 2, 3])
def test_phases_with_errors_become_atoms(dipeptide: Callable[..., Any], index: int) -> None:
    crystal = dipeptide(index)
    found = fit(crystal, [25.0] * 4, cycles=8, good_enough=0.02)
    assert float(found.r[0]) < 0.03
    comparison = crystal.compare(found.F[0])
    assert comparison.mean_aligned < 5
    assert comparison.cosine2_aligned > 0.99


def test_structures_come_best_first_and_match_their_factors(
    dipeptide: Callable[..., Any],
) -> None:
    crystal = dipeptide(3)
    found = fit(crystal, [10.0, 85.0, 30.0], cycles=1)
    assert found.r.tolist() == sorted(found.r.tolist())
    assert float(found.r[0]) < float(found.r[2]) - 0.05
    problem = p1_grid(crystal.data)
    weight = problem.weight
    modulus = found.F.abs()
    for i in range(3):
        k = (weight * modulus[i] * problem.amplitude).sum() / (weight * modulus[i] ** 2).sum()
        misfit = (weight * (k * modulus[i] - problem.amplitude).abs()).sum()
        r = misfit / (weight * problem.amplitude).sum()
        assert float(r) == pytest.approx(float(found.r[i]), abs=1e-4)
    assert (found.F[:, ~problem.measured] == 0).all()
    assert found.atoms.frac.shape == (3, len(crystal.number), 3)


def test_more_cycles_never_make_it_worse(dipeptide: Callable[..., Any]) -> None:
    crystal = dipeptide(2)
    r = [float(fit(crystal, [40.0, 45.0], cycles=n).r[0]) for n in (1, 2, 6)]
    assert r == sorted(r, reverse=True)
    assert r[2] < r[0] - 0.01


def test_after_the_deadline_one_cycle_and_no_atom_less(dipeptide: Callable[..., Any]) -> None:
    crystal = dipeptide(2)
    late = time.monotonic()
    found = fit(crystal, [40.0, 45.0], cycles=6, deadline=late)
    assert found.r.tolist() == fit(crystal, [40.0, 45.0], cycles=1).r.tolist()
    problem = p1_grid(crystal.data)
    slim = drop_surplus(problem, found, late)
    assert slim.atoms.frac.shape[1] == len(crystal.number)


def test_same_seed_same_atoms(dipeptide: Callable[..., Any]) -> None:
    one, same, other = (fit(dipeptide(2), [50.0] * 2, cycles=3, seed=s) for s in (1, 1, 2))
    assert torch.equal(one.atoms.frac, same.atoms.frac)
    assert torch.equal(one.r, same.r)
    assert not torch.equal(one.atoms.frac, other.atoms.frac)


def test_good_enough_ends_the_search(dipeptide: Callable[..., Any]) -> None:
    first = fit(dipeptide(3), [40.0], cycles=1)
    ended = fit(dipeptide(3), [40.0], cycles=10**6, good_enough=float(first.r[0]) + 0.01)
    torch.testing.assert_close(ended.r, first.r)


def test_wrong_phases_do_not_reach_the_r_factor_of_right_ones(
    dipeptide: Callable[..., Any],
) -> None:
    crystal = dipeptide(3)
    random = fit(crystal, [1000.0] * 4, cycles=3)
    assert np.abs(crystal.compare(random.F[0]).cosine2_aligned) < 0.85
    assert float(random.r[0]) > 0.06


@pytest.mark.parametrize("surplus", [0, 1])
def test_atoms_that_are_not_there_are_dropped(dipeptide: Callable[..., Any], surplus: int) -> None:
    crystal = dipeptide(3)
    problem = p1_grid(crystal.data)
    n = len(crystal.number)
    generator = torch.Generator().manual_seed(0)
    start = crystal.start(problem, [10.0] * 4)
    found = fit_atoms(problem, start, n + surplus, 20.0, 6, generator, good_enough=0.02)
    slim = drop_surplus(problem, found)
    assert slim.atoms.frac.shape == (1, n, 3)
    assert float(slim.r[0]) < 0.03
    # one atom for each true one
    difference = slim.atoms.frac[0].numpy()[None] - crystal.frac[:, None]
    difference -= np.round(difference)
    distance = np.linalg.norm(difference * crystal.data.cell.parameters[:3], axis=-1)
    assert (distance.min(1) < 0.15).all()
    assert sorted(distance.argmin(1)) == list(range(n))


def test_settings_limit_what_is_left_out_and_dropped(dipeptide: Callable[..., Any]) -> None:
    crystal = dipeptide(3)
    problem = p1_grid(crystal.data)
    n = len(crystal.number) + 1
    start = crystal.start(problem, [10.0] * 2)

    def fit_with(settings: RecyclingSettings) -> AtomicFit:
        generator = torch.Generator().manual_seed(0)
        return fit_atoms(problem, start, n, 20.0, 2, generator, settings=settings)

    few, many = (fit_with(RecyclingSettings(omitted_fraction=x)) for x in (0.1, 0.5))
    assert not torch.equal(few.atoms.frac, many.atoms.frac)
    kept = drop_surplus(problem, few, settings=RecyclingSettings(surplus_fraction=0.0))
    assert kept.atoms.frac.shape[1] == n
