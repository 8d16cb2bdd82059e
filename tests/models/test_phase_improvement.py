"""Steps of phase improvement: amplitudes that were not measured stay free."""

from __future__ import annotations

import torch
from torch import Tensor

from crysformer.models.phase_improvement import AmplitudeStep, unit_amplitudes, unit_rms

GRID = (-3, -2, -1)


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
