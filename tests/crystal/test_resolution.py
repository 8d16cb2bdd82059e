from __future__ import annotations

import gemmi
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crysformer.crystal.resolution import resolution_shells, within_resolution


@pytest.mark.parametrize("d_min", [0.8, 1.0 / 3, 1.7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_reflection_on_the_limit_is_inside_and_the_origin_is_not(
    d_min: float, dtype: torch.dtype
) -> None:
    d_star_sq = torch.tensor([0.0, 1e-9, d_min**-2, 1.0001 * d_min**-2], dtype=dtype)
    expected = [False, True, True, False]
    assert within_resolution(d_star_sq, d_min).tolist() == expected
    assert within_resolution(d_star_sq.double().numpy(), d_min).tolist() == expected
    assert within_resolution(d_star_sq, torch.tensor(d_min, dtype=dtype)).tolist() == expected


def test_the_sphere_equals_that_of_gemmi() -> None:
    cell, d_min = gemmi.UnitCell(7, 9, 11, 80, 95, 103), 1.5
    grid = np.stack(np.meshgrid(*[np.arange(-9, 10)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    inside = within_resolution(cell.calculate_1_d2_array(grid.astype(np.int32)), d_min)
    friedel_half = gemmi.make_miller_array(cell, gemmi.SpaceGroup("P 1"), d_min)
    assert inside.sum() == 2 * len(friedel_half)


@given(st.lists(st.sampled_from(np.linspace(0.01, 1, 23).tolist()), min_size=1, max_size=120))
def test_shells_are_equally_filled_and_ordered(values: list[float]) -> None:
    d_star_sq = np.array(values)
    shells = resolution_shells(d_star_sq, per_shell=10, most=5)
    assert len(shells) == max(1, min(5, len(values) // 10))
    sizes = [len(shell) for shell in shells]
    assert max(sizes) - min(sizes) <= 1
    np.testing.assert_array_equal(d_star_sq[np.concatenate(shells)], np.sort(d_star_sq))


def test_shells_of_some_reflections_and_of_a_given_number() -> None:
    d_star_sq = np.array([0.3, 0.1, 0.4, 0.2, 0.5])
    used = np.array([True, True, False, True, True])
    shells = resolution_shells(d_star_sq, per_shell=1, most=9, used=used, n_shells=2)
    assert [shell.tolist() for shell in shells] == [[1, 3], [0, 4]]
    assert len(resolution_shells(d_star_sq, per_shell=50, most=9, least=3)) == 3
