"""Recycling: imposed amplitudes, phase errors, recycling runs."""

from __future__ import annotations

import math
from typing import cast

import pytest
import torch
from torch import Tensor

from crysformer.crystal.comparison.compare import pearson
from crysformer.models.crysformer import CrysFormer
from crysformer.models.recycling import (
    CONVERGED_CORRELATION,
    amplitude_agreement,
    disturb_phases,
    impose_amplitudes,
    next_estimate,
    recycle_to_convergence,
)

GRID = (-3, -2, -1)


def test_imposing_amplitudes_on_the_truth_changes_nothing(crystal: tuple[Tensor, Tensor]) -> None:
    density, patterson = crystal
    imposed = impose_amplitudes(density, patterson)
    torch.testing.assert_close(imposed, density, rtol=1e-3, atol=1e-4)
    # and on anything else it gives the measured amplitudes with that map's phases
    other = torch.rand_like(density)
    F = torch.fft.rfftn(impose_amplitudes(other, patterson), dim=GRID)
    measured = torch.fft.rfftn(density, dim=GRID)
    torch.testing.assert_close(F.abs(), measured.abs(), rtol=1e-3, atol=1e-2)
    product = F * torch.fft.rfftn(other, dim=GRID).conj()
    kept = measured.abs() > 0.1
    assert product.angle()[kept].abs().max() < 1e-2
    assert float(amplitude_agreement(imposed, patterson)) == pytest.approx(1, abs=1e-4)
    assert float(amplitude_agreement(other, patterson)) < 0.95


def test_disturbed_phases_have_the_error_asked_for(crystal: tuple[Tensor, Tensor]) -> None:
    generator = torch.Generator().manual_seed(0)
    density = crystal[0].expand(400, -1, -1, -1, -1)
    for sigma in (0.5, 1.2):
        noisy = disturb_phases(density, torch.full((400,), sigma), generator)
        assert amplitude_agreement(
            noisy, crystal[1].expand(400, -1, -1, -1, -1)
        ).min() == pytest.approx(1, abs=1e-3)
        # <cos> of normal errors; the correlation of the maps is its F^2-weighted mean
        expected = math.exp(-(sigma**2) / 2)
        assert float(pearson(noisy, density).mean()) == pytest.approx(expected, abs=0.02)


def test_the_next_estimate_moves_from_the_old_to_the_prediction(
    crystal: tuple[Tensor, Tensor],
) -> None:
    density, patterson = crystal
    old = impose_amplitudes(torch.rand_like(density), patterson)
    torch.testing.assert_close(
        next_estimate(7 * density, old, patterson, 1.0), density, rtol=1e-3, atol=1e-4
    )
    likeness = [
        float(pearson(next_estimate(density, old, patterson, fraction), density))
        for fraction in (0.0, 0.5, 1.0)
    ]
    assert likeness[0] < likeness[1] < likeness[2]


class Oracle:
    """A network that recognises an estimate once it is close enough, else answers the same blur."""

    def __init__(self, truth: Tensor, reach: float) -> None:
        self.truth, self.reach = truth, reach
        self.blur = torch.rand(truth.shape, generator=torch.Generator().manual_seed(5))
        self.calls = 0

    def __call__(
        self, patterson: Tensor, _: Tensor, __: Tensor, estimate: Tensor, measured: None
    ) -> Tensor:
        self.calls += 1
        near = pearson(estimate, self.truth.expand_as(estimate)) > self.reach
        return torch.where(near[:, None, None, None, None], self.truth, self.blur)


@pytest.mark.parametrize(("reach", "converges"), [(-1.0, True), (0.999, False)])
def test_runs_stop_when_one_has_converged(
    crystal: tuple[Tensor, Tensor], reach: float, converges: bool
) -> None:
    density, patterson = crystal
    oracle = Oracle(density, reach)
    first = torch.rand(density.shape, generator=torch.Generator().manual_seed(2))
    found, agreement = recycle_to_convergence(
        cast(CrysFormer, oracle), first, patterson, torch.zeros(1, 2).long(), torch.ones(1, 3),
        torch.Generator().manual_seed(0),
    )  # fmt: skip
    assert (agreement >= CONVERGED_CORRELATION) == converges
    assert torch.allclose(found, density) == converges
    assert oracle.calls == (16 if converges else 5 * 16)


def test_amplitudes_that_were_not_measured_stay_the_maps_own(
    crystal: tuple[Tensor, Tensor],
) -> None:
    density, patterson = crystal
    amplitude = torch.fft.rfftn(density, dim=GRID).abs()[:, 0]
    measured = (amplitude > amplitude.median()).clone()
    other = torch.rand_like(density)
    own = torch.fft.rfftn(other, dim=GRID).abs()[:, 0]
    F = torch.fft.rfftn(impose_amplitudes(other, patterson, measured), dim=GRID).abs()[:, 0]
    torch.testing.assert_close(F[measured], amplitude[measured], rtol=1e-3, atol=1e-2)
    ratio = (F / own)[~measured]
    assert float(ratio.max() / ratio.min()) == pytest.approx(1, abs=1e-2)
    # a map that is right where it was measured agrees fully, whatever it is elsewhere
    assert float(amplitude_agreement(other, patterson, measured)) < 0.99
    mixed = torch.where(measured, torch.fft.rfftn(density, dim=GRID), 0.0)
    half = torch.fft.irfftn(mixed, s=(10, 9, 8), dim=GRID)
    assert float(amplitude_agreement(half, patterson, measured)) == pytest.approx(1, abs=1e-3)
