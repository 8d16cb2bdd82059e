"""The whole network: what may depend on what, batches, sizes, wrong input."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from crysformer.models.layers import TransformerLayer
from crysformer.testing import random_network, random_patterson_maps, tiny_network

TINY = tiny_network(depth=2)
KINDS = {
    "paper": TINY,
    "nystrom": tiny_network(depth=2, landmarks=4),
    "amplitudes": tiny_network(depth=2, scaling="amplitudes", positions="metric", sample_rate=2.0),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_equals_its_examples_one_by_one(kind: str) -> None:
    model = random_network(KINDS[kind])
    inputs = random_patterson_maps()
    with torch.no_grad():
        together = model(*inputs)
        alone = torch.cat([model(*(x[i : i + 1] for x in inputs)) for i in range(3)])
    assert together.std() > 0
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5 * float(together.std()))


@pytest.mark.parametrize("kind", KINDS)
def test_partial_tokens_are_the_same_for_every_layer_and_blind_to_the_map(kind: str) -> None:
    model = random_network(KINDS[kind])
    seen: list[Tensor] = []
    for layer in model.layers:
        assert isinstance(layer, TransformerLayer)
        layer.register_forward_pre_hook(lambda _, args: seen.append(args[1].clone()))
    patterson, residues, lengths = random_patterson_maps()
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
    model = random_network(KINDS[kind])
    patterson, residues, lengths = random_patterson_maps()
    with torch.no_grad():
        before = model(patterson, residues, lengths)
        model.templates[residues[0, 1]] *= -1.0
        after = model(patterson, residues, lengths)
    assert not torch.allclose(before[0], after[0], rtol=1e-3)


def test_sequence_order_matters() -> None:
    model = random_network(TINY)
    patterson, _, lengths = random_patterson_maps(1)
    with torch.no_grad():
        one = model(patterson, torch.tensor([[0, 17]]), lengths)
        other = model(patterson, torch.tensor([[17, 0]]), lengths)
    assert not torch.allclose(one, other, rtol=1e-3)


def test_gradient_checkpointing_changes_nothing() -> None:
    model = random_network(TINY).train()
    inputs = random_patterson_maps()
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
        model = random_network(config)
        model(*random_patterson_maps()).square().sum().backward()
        unused = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
        assert unused == []


def test_wrong_shapes_are_refused() -> None:
    model = random_network(TINY)
    patterson, residues, lengths = random_patterson_maps()
    with pytest.raises(ValueError, match="multiples of 4"):
        model(patterson[..., :6], residues, lengths)
    with pytest.raises(ValueError, match="expected \\(3, 2\\)"):
        model(patterson, residues[:, :1], lengths)
