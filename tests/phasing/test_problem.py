"""The phase problem: phases of the space group in P1 and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from typing import Any

import gemmi
import numpy as np
import pytest

from crysformer.phasing.problem import phasing_problem

GROUPS = ["P 1", "P -1", "P 1 21 1", "C 1 2 1", "P 41", "P 31", "P 21 21 21"]


def crystal_in(make_crystal: Callable[..., Any], group: str) -> Any:
    cell = gemmi.UnitCell(12, 12, 17, 90, 90, 120 if group == "P 31" else 90)
    frac = np.random.default_rng(1).random((9, 3))
    return make_crystal(cell, group, frac, np.full(9, 7), d_min=1.6)


@pytest.mark.parametrize("group", GROUPS)
def test_average_is_the_inverse_of_expand(group: str, make_crystal: Callable[..., Any]) -> None:
    crystal = crystal_in(make_crystal, group)
    # files list more than was measured, beyond what the grid holds
    data = replace(crystal.data, f=np.where(crystal.data.d < 2.6, np.nan, crystal.data.f))
    problem = phasing_problem(data)
    own = problem.average(problem.expand(crystal.phased))
    used = data.measured
    assert used.any()
    assert np.isnan(own[~used]).all()
    strong = used & (crystal.f_true > 1e-3 * crystal.f_true.max())
    np.testing.assert_allclose(own[strong], crystal.phased[strong], rtol=1e-3)
    assert problem.symmetric == (group != "P 1")
    assert problem.n_operators == len(data.space_group.operations())


@pytest.mark.parametrize("group", GROUPS)
def test_expanded_structure_factors_are_those_of_the_p1_list(
    group: str, make_crystal: Callable[..., Any]
) -> None:
    crystal = crystal_in(make_crystal, group)
    problem = phasing_problem(crystal.data)
    listed = problem.listed(problem.expand(crystal.phased)) * problem.grid.scale
    every = [op.apply_to_xyz(x.tolist()) for op in crystal.data.space_group.operations()
             for x in crystal.frac]  # fmt: skip
    hkl = problem.grid.data.hkl
    table = gemmi.Element("N").it92
    f = np.array([table.calculate_sf(0.25 / d**2) for d in problem.grid.data.d])
    f *= np.exp(-20.0 / 4 / problem.grid.data.d**2)
    expected = f * np.exp(2j * np.pi * (hkl @ np.array(every).T)).sum(1)
    np.testing.assert_allclose(listed, expected, atol=2e-3 * np.abs(expected).max())


def test_what_is_not_measured_is_not_listed(make_crystal: Callable[..., Any]) -> None:
    crystal = crystal_in(make_crystal, "P 1 21 1")
    missing = np.arange(len(crystal.data)) % 5 == 0
    problem = phasing_problem(replace(crystal.data, f=np.where(missing, np.nan, crystal.data.f)))
    listed = problem.listed(problem.expand(crystal.phased))
    np.testing.assert_array_equal(np.isnan(listed), ~problem.grid.data.measured)
    assert np.isnan(listed).any()


def test_nothing_changes_a_problem(make_crystal: Callable[..., Any]) -> None:
    problem = phasing_problem(crystal_in(make_crystal, "P 1").data)
    with pytest.raises(FrozenInstanceError):
        problem.data = problem.grid.data  # type: ignore[misc]
