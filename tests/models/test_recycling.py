"""Recycling and orientations: imposed amplitudes, phase errors, recycling runs, symmetry."""

from __future__ import annotations

import math
from typing import cast

import pytest
import torch
from torch import Tensor

from crysformer.crystal.comparison.compare import pearson
from crysformer.models.crysformer import CrysFormer
from crysformer.models.orientations import (
    ORIENTATIONS,
    predict_averaged,
    rotate_half_grid,
    rotate_map,
)
from crysformer.models.phase_improvement import AmplitudeStep, unit_amplitudes, unit_rms
from crysformer.models.recycling import (
    CONVERGED_CORRELATION,
    amplitude_agreement,
    disturb_phases,
    impose_amplitudes,
    next_estimate,
    recycle_to_convergence,
)

GRID = (-3, -2, -1)


@pytest.fixture
def crystal() -> tuple[Tensor, Tensor]:
    """A density without F(000) and Nyquist terms, and its Patterson map."""
    generator = torch.Generator().manual_seed(1)
    F = torch.fft.rfftn(torch.rand(1, 1, 10, 9, 8, generator=generator), dim=GRID)
    F[..., 0, 0, 0] = 0
    F[..., 5, :, :], F[..., -1] = 0, 0
    density = torch.fft.irfftn(F, s=(10, 9, 8), dim=GRID)
    patterson = torch.fft.irfftn(F.abs().square() + 0j, s=(10, 9, 8), dim=GRID)
    return density, patterson


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


def test_averaging_over_orientations_is_blind_to_the_orientation() -> None:
    def network(
        patterson: Tensor, _: Tensor, __: Tensor, estimate: Tensor | None, measured: None
    ) -> Tensor:
        weight = torch.linspace(0, 1, patterson.numel()).reshape(patterson.shape)
        return patterson * weight + (0 if estimate is None else estimate**2 * weight)

    model = cast(CrysFormer, network)
    patterson, estimate = torch.rand(2, 1, 1, 6, 5, 4).unbind(0)
    residues, lengths = torch.zeros(1, 2).long(), torch.ones(1, 3)
    reference = predict_averaged(model, patterson, residues, lengths, estimate)
    for axes in ORIENTATIONS:
        turned = predict_averaged(
            model, rotate_map(patterson, axes), residues, lengths, rotate_map(estimate, axes)
        )
        torch.testing.assert_close(rotate_map(turned, axes), reference)


@pytest.mark.parametrize("shape", [(10, 9, 8), (6, 8, 7)])
def test_half_grids_turn_with_their_maps(shape: tuple[int, int, int]) -> None:
    density = torch.rand(2, 1, *shape, generator=torch.Generator().manual_seed(3))
    amplitude = torch.fft.rfftn(density, dim=GRID).abs()
    for axes in ORIENTATIONS:
        turned = torch.fft.rfftn(rotate_map(density, axes), dim=GRID).abs()
        torch.testing.assert_close(rotate_half_grid(amplitude, axes), turned)


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


def test_a_step_leaves_free_what_was_not_measured(crystal: tuple[Tensor, Tensor]) -> None:
    density, patterson = crystal
    amplitude = unit_amplitudes(patterson)
    step = AmplitudeStep(1, 2, "gelu")
    last = step.correct[-1]
    assert isinstance(last, torch.nn.Conv3d)
    torch.nn.init.normal_(last.weight, generator=torch.Generator().manual_seed(0))
    none = torch.zeros(amplitude[:, 0].shape, dtype=torch.bool)
    other = unit_rms(torch.rand_like(density))
    with torch.no_grad():
        blind = step(other, amplitude, other, none)
        assert torch.allclose(blind, step(other, 3 * amplitude, other, none))
        seeing = step(other, amplitude, other, ~none)
        assert torch.allclose(seeing, step(other, amplitude, other))
    assert not torch.allclose(seeing, blind)


def test_a_step_starts_as_nothing_and_commutes_with_shifts(crystal: tuple[Tensor, Tensor]) -> None:
    torch.manual_seed(0)
    density, patterson = crystal
    context, amplitude = torch.rand(1, 3, 10, 9, 8), unit_amplitudes(patterson)
    # the amplitudes are those of the density with rms one
    own = torch.fft.rfftn(unit_rms(density), dim=GRID).abs()
    torch.testing.assert_close(amplitude, own, rtol=1e-3, atol=0.03)
    step = AmplitudeStep(3, 4, "gelu")
    assert torch.equal(step(density, amplitude, context), density)
    with torch.no_grad():
        for parameter in step.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    shift = {"shifts": (2, -1, 3), "dims": GRID}
    moved = step(density.roll(**shift), amplitude, context.roll(**shift))
    torch.testing.assert_close(
        moved, step(density, amplitude, context).roll(**shift), rtol=1e-3, atol=1e-4
    )
