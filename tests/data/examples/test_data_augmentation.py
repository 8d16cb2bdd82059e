"""Imperfectly measured examples: what is missing, noisy and cut, and what stays."""

from __future__ import annotations

import gemmi
import numpy as np
import pytest
import torch
from torch import Tensor

from crysformer.crystal.fourier.grids import d_star_sq_grid, half_grid_indices
from crysformer.data import DIPEPTIDE, FragmentStore
from crysformer.data.examples.data_augmentation import AugmentationRanges, measured_batch
from crysformer.data.examples.stream import Batch, fixed_batches

GRID = (-3, -2, -1)


@pytest.fixture(scope="module")
def batch(dipeptides: FragmentStore) -> Batch:
    return next(fixed_batches(dipeptides.table("train"), DIPEPTIDE, batch_size=8))


def measure(batch: Batch, ranges: AugmentationRanges, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    return measured_batch(batch, ranges, 1.5, DIPEPTIDE.b_iso, generator)


def intensity(batch: Batch) -> Tensor:
    return torch.fft.rfftn(batch.patterson[:, 0], dim=GRID).real


def mask(batch: Batch) -> Tensor:
    assert batch.measured is not None
    return batch.measured


def sphere(batch: Batch, d_min: float = 1.5) -> Tensor:
    shape = batch.patterson.shape[2], batch.patterson.shape[3], batch.patterson.shape[4]
    d_star_sq = d_star_sq_grid(torch.diag_embed(batch.lengths), shape)
    return (d_star_sq > 0) & (d_star_sq <= d_min**-2 * (1 + 1e-6))


def test_exact_examples_stay_as_they_are(batch: Batch) -> None:
    found = measure(batch, AugmentationRanges(exact=1.0))
    assert torch.equal(mask(found), sphere(batch))
    torch.testing.assert_close(
        found.patterson, batch.patterson, rtol=1e-4, atol=1e-5 * float(batch.patterson.max())
    )
    assert torch.equal(found.density, batch.density)


def test_friedel_mates_are_measured_together(batch: Batch) -> None:
    plane = mask(measure(batch, AugmentationRanges(exact=0.0)))[..., 0]
    assert torch.equal(plane, plane.flip(1, 2).roll((1, 1), (1, 2)))


def test_completeness_resolution_and_errors_stay_within_their_ranges(batch: Batch) -> None:
    complete, coarse, errors = [], [], []
    full, exact = sphere(batch), intensity(batch)
    limits = d_star_sq_grid(torch.diag_embed(batch.lengths), tuple(batch.patterson.shape[2:]))
    for seed in range(40):
        found = measure(batch, AugmentationRanges(exact=0.0, b_error=0.0), seed)
        measured = mask(found)
        assert not (measured & ~full).any()
        edge = torch.where(measured, limits, 0.0).amax(GRID).rsqrt()
        inside = limits <= edge.reshape(-1, 1, 1, 1) ** -2 * (1 + 1e-6)
        complete.append(measured.sum(GRID) / (inside & full).sum(GRID))
        coarse.append(edge)
        ratio = torch.where(measured, intensity(found) / exact.clamp_min(1e-6), 1.0)
        errors.append(((ratio.clamp_min(0).sqrt() - 1) * measured).square().sum(GRID).sqrt())
        errors[-1] /= measured.sum(GRID).sqrt()
    fractions, edges, sigmas = (torch.cat(x) for x in (complete, coarse, errors))
    assert 0.55 < fractions.min() < 0.7
    assert (fractions > 0.99).float().mean() > 0.25
    assert 2.3 < edges.max() < 2.65
    assert (edges < 1.6).float().mean() > 0.4
    assert 0.15 < sigmas.max() < 0.25
    assert (sigmas < 0.01).float().mean() > 0.15


def test_a_wedge_is_one_of_directions(batch: Batch) -> None:
    # with no other reason to be missing, reflections along one line share their fate
    only_gaps = AugmentationRanges(exact=0.0, d_min=1.5, amplitude_error=0.0, b_error=0.0)
    h, k, l = half_grid_indices(tuple(batch.patterson.shape[2:]))  # type: ignore[arg-type] # noqa: E741
    agree, doubled = [], sphere(batch, 3.0)
    b, u, v, w = doubled.nonzero(as_tuple=True)
    for seed in range(60):
        measured = mask(measure(batch, only_gaps, seed))
        double = measured[b, 2 * h[u], 2 * k[v], 2 * l[w]]
        for i in range(len(batch)):
            own = measured[b, u, v, w][b == i]
            agree.append(float((own == double[b == i]).float().mean()))
    fractions = torch.tensor(agree)
    # complete ones and wedges agree wholly, random gaps hardly ever
    assert 0.5 < float((fractions > 0.97).float().mean()) < 0.8


def test_missing_intensities_are_filled_with_what_is_expected(batch: Batch) -> None:
    only_gaps = AugmentationRanges(exact=0.0, d_min=1.5, amplitude_error=0.0, b_error=0.0)
    found = measure(batch, only_gaps, 3)
    measured, filled = mask(found), intensity(found)
    missing = sphere(batch) & ~measured
    limits = d_star_sq_grid(torch.diag_embed(batch.lengths), tuple(batch.patterson.shape[2:]))
    assert missing.any()
    for i in range(len(batch)):
        # that of carbon atoms with the recipe's B, as many as scatter like what was measured
        stol_sq = limits[i].double().numpy() / 4
        table = np.vectorize(gemmi.Element("C").it92.calculate_sf)(stol_sq)
        atom = torch.from_numpy((table * np.exp(-DIPEPTIDE.b_iso * stol_sq)) ** 2)
        n_atoms = filled[i][measured[i]].sum() / atom[measured[i]].sum()
        expected = (n_atoms * atom)[missing[i]].float()
        torch.testing.assert_close(filled[i][missing[i]], expected, rtol=2e-3, atol=1e-3)


def test_the_generator_decides(batch: Batch) -> None:
    one, again, other = (measure(batch, AugmentationRanges(), seed) for seed in (1, 1, 2))
    assert torch.equal(one.patterson, again.patterson)
    assert torch.equal(mask(one), mask(again))
    assert not torch.equal(one.patterson, other.patterson)
