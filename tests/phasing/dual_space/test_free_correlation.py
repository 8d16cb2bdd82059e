"""Figures of merit on true and on random phases."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gemmi
import numpy as np
import pytest
import torch
from torch import Tensor

from crysformer.crystal.comparison.alignment import Alignment, apply_alignment
from crysformer.crystal.fourier.grids import grid_to_hkl
from crysformer.crystal.symmetry import expand_to_p1
from crysformer.phasing.dual_space import free_correlation as module
from crysformer.phasing.dual_space.charge_flipping import random_phases
from crysformer.phasing.dual_space.density_modification import eliminate_low_density
from crysformer.phasing.dual_space.free_correlation import free_correlation
from crysformer.phasing.merit.r_factor import noise_floor
from crysformer.phasing.p1_grid import P1Grid, p1_grid


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def correlation(problem: P1Grid, F: Tensor, share: float, seed: int = 0) -> Tensor:
    return free_correlation(problem, F, torch.full((len(F),), share), seeded(seed))


def test_true_phases_of_fifteen_residues_predict_amplitudes(fifteen: Callable[..., Any]) -> None:
    crystal = fifteen(0)
    problem = p1_grid(crystal.data)
    F = torch.cat([crystal.start(problem, [0, 40]), random_phases(problem, 1, seeded())])
    true, near, random = correlation(problem, F, 0.1).tolist()
    assert true > 0.9
    assert near > 0.9
    assert random < 0.35


@pytest.mark.parametrize("index", [1, 3, 5])
def test_true_phases_of_tight_dipeptides_stand_out(
    dipeptide: Callable[..., Any], index: int
) -> None:
    crystal = dipeptide(index)
    problem = p1_grid(crystal.data)
    F = torch.cat([crystal.start(problem), random_phases(problem, 40, seeded())])
    found = correlation(problem, F, 0.25)
    assert (found.abs() <= 1).all()
    random = found[1:]
    assert float(found[0]) > float(random.mean() + 3 * random.std())


def test_held_out_reflections_are_not_given(
    make_crystal: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = gemmi.UnitCell(9, 10, 11, 90, 100, 90)
    frac = np.random.default_rng(0).random((12, 3))
    crystal = make_crystal(cell, "P 1 21 1", frac, np.full(12, 7))
    data, mapping = expand_to_p1(crystal.data)
    problem = p1_grid(data, independent=mapping.parent)
    held_out = []

    def spy(work: P1Grid, start: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
        hidden = problem.measured & ~work.measured
        assert (start[:, hidden] == 0).all()
        assert (start[:, work.measured] != 0).all()
        assert work.floating[hidden].all()
        assert (work.weight[hidden] == 0).all()
        held_out.append(hidden)
        return eliminate_low_density(work, start, *rest)

    monkeypatch.setattr(module, "eliminate_low_density", spy)
    correlation(problem, random_phases(problem, 1, seeded()), 0.25)
    assert len(held_out) == 5
    times = torch.stack(held_out).sum(0)
    assert torch.equal(times, problem.measured.to(times.dtype))
    for hidden in held_out:
        share = float(hidden.sum() / problem.measured.sum())
        assert share == pytest.approx(0.2, abs=0.08)
        # symmetry mates, which have the same amplitude, are held out together
        listed = grid_to_hkl(hidden.float(), torch.from_numpy(data.hkl)).numpy() > 0
        of_parent = np.bincount(mapping.parent, listed)
        assert set(of_parent / np.bincount(mapping.parent)) == {0.0, 1.0}


def test_origin_and_hand_do_not_matter(dipeptide: Callable[..., Any]) -> None:
    crystal = dipeptide(3)
    problem = p1_grid(crystal.data)
    F = crystal.start(problem)
    steps = torch.tensor([[2 / problem.shape[0], 5 / problem.shape[1], -1 / problem.shape[2]]])
    moved = apply_alignment(F, Alignment(steps, torch.tensor([True]), torch.ones(1)))
    expected = correlation(problem, F, 0.25)
    torch.testing.assert_close(correlation(problem, moved, 0.25), expected, atol=2e-3, rtol=0)


def test_same_fifths_same_figure(dipeptide: Callable[..., Any]) -> None:
    crystal = dipeptide(3)
    problem = p1_grid(crystal.data)
    F = crystal.start(problem, [10])
    one, same, other = (correlation(problem, F, 0.25, seed) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_unmeasured_reflections_do_no_harm(dipeptide: Callable[..., Any]) -> None:
    crystal = dipeptide(3)
    data = crystal.data
    partly = p1_grid(replace(data, f=np.where(data.d > 1.7, data.f, np.nan)))
    only = p1_grid(data.select(data.d > 1.7))
    F = partly.with_amplitudes(partly.to_grid(crystal.phased))[None]
    listed, alone = correlation(partly, F, 0.25), correlation(only, F, 0.25)
    # other fifths, otherwise the same
    assert float(listed) == pytest.approx(float(alone), abs=0.15)


def test_noise_floor_of_known_errors(fifteen: Callable[..., Any]) -> None:
    crystal = fifteen(0, amplitude_error=0.1)
    data = crystal.data
    floor = noise_floor(p1_grid(data))
    # <|error|> = sqrt(2 / pi) sigma for normal errors; sigma is a tenth of F
    assert floor == pytest.approx(0.1 * np.sqrt(2 / np.pi), rel=0.02)
    misfit = np.abs(data.f - crystal.f_true).sum() / data.f.sum()
    assert floor == pytest.approx(misfit, rel=0.03)


def test_noise_floor_without_uncertainties(dipeptide: Callable[..., Any]) -> None:
    data = dipeptide(0).data
    assert noise_floor(p1_grid(replace(data, sigf=None))) == 0
    partly = np.where(np.arange(len(data)) % 2 == 0, 0.1 * data.f, np.nan)
    floor = noise_floor(p1_grid(replace(data, sigf=partly)))
    assert floor == pytest.approx(0.1 * np.sqrt(2 / np.pi), rel=1e-6)
