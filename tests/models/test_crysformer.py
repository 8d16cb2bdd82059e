"""The whole network: what may depend on what, batches, sizes, wrong input."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from crysformer.models.layers import TransformerLayer
from crysformer.models.placed_tokens import PlacedTokens
from crysformer.models.presets import preset
from crysformer.models.registry import make_network
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


def tokens_of(u: Tensor | PlacedTokens) -> Tensor:
    """A copy of partial tokens, less their means where residues and places are apart."""
    if isinstance(u, Tensor):
        return u.clone()
    return u.residues[u.residue] + u.places[u.place][:, None]


@pytest.mark.parametrize("kind", KINDS)
def test_partial_tokens_are_the_same_for_every_layer_and_blind_to_the_map(kind: str) -> None:
    model = random_network(KINDS[kind])
    seen: list[Tensor] = []
    for layer in model.layers:
        assert isinstance(layer, TransformerLayer)
        layer.register_forward_pre_hook(lambda _, args: seen.append(tokens_of(args[1])))
    patterson, residues, lengths = random_patterson_maps()
    with torch.no_grad():
        model(patterson, residues, lengths)
        model(patterson.flip(0) * 3, residues, lengths)
    assert len(seen) == 2 * KINDS[kind].depth
    for u in seen[1:]:
        assert torch.equal(u, seen[0])


def test_a_layer_returns_partial_tokens_as_they_came() -> None:
    layer = TransformerLayer(24, 2, 12, 32, "gelu", None, 0.0)
    u = torch.randn(2, 9, 24)
    x, same = layer(torch.randn(2, 5, 24), u, None)
    assert x.shape == (2, 5, 24)
    assert same is u


@pytest.mark.parametrize("positions", ["table", "metric"])
def test_joint_attention_updates_both_kinds_of_tokens(positions: str) -> None:
    model = random_network(dataclasses.replace(TINY, attention="joint", positions=positions))
    seen: list[Tensor] = []
    model.layers[0].register_forward_hook(lambda _, args, out: seen.extend((args[1], out[1])))
    patterson, residues, lengths = random_patterson_maps()
    with torch.no_grad():
        density = model(patterson, residues, lengths)
    assert density.std() > 0
    before, after = seen
    assert before.shape == after.shape
    assert not torch.allclose(before, after, rtol=1e-3)


def test_without_partial_structures_the_sequence_does_not_matter() -> None:
    model = random_network(dataclasses.replace(TINY, partial_structures=False))
    patterson, residues, lengths = random_patterson_maps()
    with torch.no_grad():
        assert torch.equal(
            model(patterson, residues, lengths), model(patterson, residues.flip(1), lengths)
        )


def test_convolutions_padded_with_zeros_see_the_faces_of_the_cell() -> None:
    patterson, _, lengths = random_patterson_maps(1)
    moved = patterson.roll(4, 2)
    for padding, same in (("circular", True), ("zeros", False)):
        model = random_network(dataclasses.replace(TINY, padding=padding))
        with torch.no_grad():
            one, other = (
                model.stem(model.input_maps(p, lengths, None, None)) for p in (patterson, moved)
            )
        assert torch.allclose(one.roll(4, 2), other, atol=1e-6) == same


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


@pytest.mark.parametrize("name", ["dipeptide", "dipeptide-unet"])
def test_the_paper_networks_start_with_flat_maps(name: str) -> None:
    config = dataclasses.replace(preset(name), kernel=3)
    model = make_network(config)
    with torch.no_grad():
        assert float(model(*random_patterson_maps(1)).abs().max()) == 0


@pytest.mark.parametrize("landmarks", [None, 4])
def test_examples_share_the_tokens_of_the_same_residue_at_the_same_place(
    landmarks: int | None,
) -> None:
    torch.manual_seed(0)
    layer = TransformerLayer(24, 2, 12, 32, "gelu", landmarks, 0.0)
    torch.nn.init.normal_(layer.attention.output.weight)
    tokens, places = torch.randn(2, 9, 24), torch.randn(2, 24)
    sequences = torch.tensor([[0, 1], [1, 1], [0, 1]])
    gradients = []
    for shared in (True, False):
        own = tokens.clone().requires_grad_()
        x = torch.randn(3, 5, 24, generator=torch.Generator().manual_seed(1))
        if shared:
            u = PlacedTokens.of(own, places, sequences, layer.norm_partial.eps)
        else:
            u = (own[sequences] + places[:, None]).flatten(1, 2)
        y, _ = layer(x, u, None)
        y.square().sum().backward()
        gradients.append((y.detach(), own.grad))
    for found, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_partial_tokens_are_made_once_for_each_residue_and_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = random_network(TINY)
    residues = torch.tensor([[3, 5], [3, 7], [3, 5], [5, 3]])
    placed = model.partial_tokens(residues)
    assert isinstance(placed, PlacedTokens)
    assert len(placed.residues) == 3
    assert len(placed.deviation) == 5
    monkeypatch.setattr(type(model), "shares_tokens", lambda *_: False)
    tokens = model.partial_tokens(residues)
    assert isinstance(tokens, Tensor)
    centred = (tokens - tokens.mean(-1, keepdim=True)).unflatten(1, (2, -1))
    torch.testing.assert_close(tokens_of(placed)[placed.which], centred, rtol=1e-5, atol=1e-5)
