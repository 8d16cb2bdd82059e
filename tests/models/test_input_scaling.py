"""Scaling of maps: independent of the scale of the data, or bounded by constants."""

from __future__ import annotations

import torch

from crysformer.models.input_scaling import AmplitudeScaling
from crysformer.testing import random_network, random_patterson_maps, tiny_network


def test_amplitude_scaling_is_blind_to_scale_and_cut_to_the_resolution() -> None:
    model = random_network(
        tiny_network(depth=2, scaling="amplitudes", positions="metric", sample_rate=2.0)
    )
    patterson, residues, lengths = random_patterson_maps()
    with torch.no_grad():
        density = model(patterson, residues, lengths)
        scaled = model(9 * patterson, residues, lengths)
    torch.testing.assert_close(scaled, 3 * density, rtol=1e-3, atol=1e-4)
    F = torch.fft.rfftn(density[:, 0], dim=(1, 2, 3))
    h = torch.fft.fftfreq(16, 1 / 16)[None, :, None, None] / lengths[:, 0].reshape(-1, 1, 1, 1)
    assert F[(h.abs() > 1 / 1.49).expand_as(F)].abs().max() < 1e-3 * F.abs().max()
    assert F[:, 0, 0, 0].abs().max() < 1e-3 * F.abs().max()
    # Parseval: the rms that the amplitudes prescribe, which is on the Patterson's origin
    rms = (patterson[:, 0, 0, 0, 0] / lengths.prod(1)).sqrt()
    torch.testing.assert_close(density.square().mean((1, 2, 3, 4)).sqrt(), rms, rtol=1e-3, atol=0)


def test_constant_scaling_stays_within_the_constant() -> None:
    config = tiny_network(depth=2, patterson_scale=0.01, density_scale=2.5)
    with torch.no_grad():
        density = random_network(config)(*random_patterson_maps())
    assert density.abs().max() <= 2.5


def test_autocast_changes_no_scaling() -> None:
    scaling = AmplitudeScaling(1.5, 20.0)
    patterson, _, lengths = random_patterson_maps()
    shape = (16, 12, 8)
    mask = scaling.sphere(lengths, shape)
    exact = (
        scaling.inputs(patterson, lengths),
        scaling.point_spread(mask, shape),
        scaling.output(patterson, patterson, lengths),
    )
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(scaling.sphere(lengths, shape), mask)
        found = (
            scaling.inputs(patterson, lengths),
            scaling.point_spread(mask, shape),
            scaling.output(patterson, patterson, lengths),
        )
    for one, other in zip(exact, found, strict=True):
        assert one.dtype == other.dtype == torch.float32
        assert torch.equal(one, other)
