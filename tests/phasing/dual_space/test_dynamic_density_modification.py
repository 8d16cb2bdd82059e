"""Phases too poor for low-density elimination, made better at weights."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import torch

from crysformer.phasing.dual_space.density_modification import eliminate_low_density
from crysformer.phasing.dual_space.dynamic_density_modification import (
    DynamicSettings,
    modify_dynamically,
)
from crysformer.phasing.p1_grid import P1Grid, p1_grid


@pytest.fixture(scope="module")
def crystal(dipeptide: Callable[..., Any]) -> Any:
    return dipeptide(3, d_min=1.1)


@pytest.fixture(scope="module")
def grid(crystal: Any) -> P1Grid:
    return p1_grid(crystal.data)


def test_phases_are_improved_from_further_away_than_by_elimination(
    crystal: Any, grid: P1Grid
) -> None:
    start = 0.4 * crystal.start(grid, [65.0, 75.0])
    found = modify_dynamically(grid, start)
    b, fraction = torch.tensor([20.0] * 2), torch.tensor([0.2] * 2)
    eliminated, _ = eliminate_low_density(grid, start, 100, fraction, b)
    near, far = (crystal.compare(F).weighted_aligned for F in found)
    assert near < 25
    assert far < 25
    # elimination reaches the solution from the nearer start alone, and then with all amplitudes
    near, far = (crystal.compare(F).weighted_aligned for F in eliminated)
    assert near < 10
    assert far > 40


def test_measured_amplitudes_stay_and_starts_do_not_mix(crystal: Any, grid: P1Grid) -> None:
    start = crystal.start(grid, [30.0, 70.0])
    settings = DynamicSettings(iterations=5)
    both = modify_dynamically(grid, start, settings=settings)
    alone = modify_dynamically(grid, start[1:], settings=settings)
    torch.testing.assert_close(both[1:], alone, atol=2e-4, rtol=0)
    torch.testing.assert_close(both.abs(), grid.amplitude.expand_as(both.abs()), atol=1e-4, rtol=0)
    # only the phases of the start and its relative weights count
    scaled = modify_dynamically(grid, 7 * start[1:], settings=settings)
    torch.testing.assert_close(scaled, alone, atol=2e-4, rtol=0)


def test_without_time_two_iterations_are_done(crystal: Any, grid: P1Grid) -> None:
    start = crystal.start(grid, [40.0])
    late = modify_dynamically(grid, start, time.monotonic() - 1)
    two = modify_dynamically(grid, start, settings=DynamicSettings(iterations=2))
    torch.testing.assert_close(late, two)
