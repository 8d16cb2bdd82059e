"""The whole network: what may depend on what, batches, sizes, wrong input."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from crysformer.data.examples.residue_densities import residue_templates
from crysformer.errors import UsageError
from crysformer.models.crysformer import CrysFormer, CrysFormerConfig, n_parameters
from crysformer.models.layers import TransformerLayer
from crysformer.models.presets import PRESETS, preset

TINY = CrysFormerConfig(
    width=24, depth=2, heads=2, head_width=12, feedforward=32, partial_patch=12, channels=2,
    partial_channels=1, kernel=3, final_channels=2, final_blocks=1, final_kernel=3, dropout=0.0,
)  # fmt: skip
KINDS = {
    "paper": TINY,
    "nystrom": dataclasses.replace(TINY, landmarks=4),
    "amplitudes": dataclasses.replace(
        TINY, scaling="amplitudes", positions="metric", sample_rate=2.0
    ),
}


def network(config: CrysFormerConfig, seed: int = 0) -> CrysFormer:
    """A network away from its start, where every layer is the identity."""
    torch.manual_seed(seed)
    model = CrysFormer(config, residue_templates()).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def crystals(n: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    """Patterson maps of random densities, sequences, cell edges."""
    generator = torch.Generator().manual_seed(7)
    density = torch.rand(n, 16, 12, 8, generator=generator)
    F = torch.fft.rfftn(density - density.mean((1, 2, 3), keepdim=True), dim=(1, 2, 3))
    patterson = torch.fft.irfftn(F.abs().square(), s=(16, 12, 8), dim=(1, 2, 3))[:, None]
    residues = torch.randint(20, (n, 2), generator=generator)
    lengths = torch.tensor([[11.0, 8.5, 5.5]]) + torch.rand(n, 3, generator=generator)
    return patterson / 1000, residues, lengths


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_equals_its_examples_one_by_one(kind: str) -> None:
    model = network(KINDS[kind])
    inputs = crystals()
    with torch.no_grad():
        together = model(*inputs)
        alone = torch.cat([model(*(x[i : i + 1] for x in inputs)) for i in range(3)])
    assert together.std() > 0
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5 * float(together.std()))


@pytest.mark.parametrize("kind", KINDS)
def test_partial_tokens_are_the_same_for_every_layer_and_blind_to_the_map(kind: str) -> None:
    model = network(KINDS[kind])
    seen: list[Tensor] = []
    for layer in model.layers:
        assert isinstance(layer, TransformerLayer)
        layer.register_forward_pre_hook(lambda _, args: seen.append(args[1].clone()))
    patterson, residues, lengths = crystals()
    with torch.no_grad():
        model(patterson, residues, lengths)
        model(patterson.flip(0) * 3, residues, lengths)
    assert len(seen) == 2 * KINDS[kind].depth
    for u in seen[1:]:
        assert torch.equal(u, seen[0])


def test_a_layer_gives_back_map_tokens_only() -> None:
    layer = TransformerLayer(24, 2, 12, 32, "gelu", None, 0.0)
    assert layer(torch.randn(2, 5, 24), torch.randn(2, 9, 24), None).shape == (2, 5, 24)


@pytest.mark.parametrize("kind", KINDS)
def test_the_densities_of_the_residues_matter(kind: str) -> None:
    model = network(KINDS[kind])
    patterson, residues, lengths = crystals()
    with torch.no_grad():
        before = model(patterson, residues, lengths)
        model.templates[residues[0, 1]] *= -1.0
        after = model(patterson, residues, lengths)
    assert not torch.allclose(before[0], after[0], rtol=1e-3)


def test_sequence_order_matters() -> None:
    model = network(TINY)
    patterson, _, lengths = crystals(1)
    with torch.no_grad():
        one = model(patterson, torch.tensor([[0, 17]]), lengths)
        other = model(patterson, torch.tensor([[17, 0]]), lengths)
    assert not torch.allclose(one, other, rtol=1e-3)


def test_amplitude_scaling_is_blind_to_scale_and_cut_to_the_resolution() -> None:
    model = network(KINDS["amplitudes"])
    patterson, residues, lengths = crystals()
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
    config = dataclasses.replace(TINY, patterson_scale=0.01, density_scale=2.5)
    with torch.no_grad():
        density = network(config)(*crystals())
    assert density.abs().max() <= 2.5


def test_gradient_checkpointing_changes_nothing() -> None:
    model = network(TINY).train()
    inputs = crystals()
    gradients = []
    for checkpointing in (False, True):
        model.checkpointing = checkpointing
        model.zero_grad()
        model(*inputs).square().sum().backward()
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, recomputed)


def test_every_parameter_is_used() -> None:
    for config in KINDS.values():
        model = network(config)
        model(*crystals()).square().sum().backward()
        unused = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
        assert unused == []


def test_parameter_count_of_the_paper_setting() -> None:
    d, ff, cube, channels = 512, 512, 64, 10
    attention = d * 3 * d + 3 * d + d * 2 * d + 2 * d + d * d + d
    layer = 3 * 2 * d + attention + d * ff + ff + ff * d + d
    stems = 2 * (channels * 343 + channels + channels * cube * d + d)
    tables = 3 * 32 * d + 216 * d + 2 * d
    head = 2 * d + d * channels * cube + channels * cube
    final = 2 * 2 * (channels * channels * 125 + channels) + channels * 27 + 1
    expected = 6 * layer + stems + tables + head + final
    with torch.device("meta"):
        model = CrysFormer(preset("dipeptide"))
    assert n_parameters(model) == expected
    # 28 MB in bf16, as published
    assert n_parameters(model) * 2 / 1e6 == pytest.approx(28, abs=1)


def test_presets_build_and_an_unknown_one_is_refused() -> None:
    for config in PRESETS.values():
        with torch.device("meta"):
            assert n_parameters(CrysFormer(config)) > 1e6
    with pytest.raises(UsageError, match="dipeptide-small"):
        preset("tripeptide")


def test_wrong_shapes_are_refused() -> None:
    model = network(TINY)
    patterson, residues, lengths = crystals()
    with pytest.raises(ValueError, match="multiples of 4"):
        model(patterson[..., :6], residues, lengths)
    with pytest.raises(ValueError, match="expected \\(3, 2\\)"):
        model(patterson, residues[:, :1], lengths)
