"""Keys of partial structures that examples and batches share, against the same without sharing."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from crysformer.models.crysformer import CrysFormer
from crysformer.models.refining import Refining, refining_config
from crysformer.models.registry import make_network
from crysformer.models.shared_keys import SharedKeys, join_shared
from crysformer.testing import random_network, random_patterson_maps, tiny_network


def test_joining_is_gathering_and_concatenation() -> None:
    generator = torch.Generator().manual_seed(2)

    def random(*shape: int) -> Tensor:
        values = torch.randn(*shape, generator=generator, dtype=torch.float64)
        return values.requires_grad_()

    k, v, partial = random(2, 3, 4, 5), random(2, 3, 4, 5), random(3, 2, 30)
    which = torch.tensor([[0, 2], [2, 2]])

    def gathered(k: Tensor, v: Tensor, partial: Tensor) -> tuple[Tensor, Tensor]:
        rows = partial[which].flatten(1, 2).unflatten(2, (2, 3, 5)).permute(2, 0, 3, 1, 4)
        return torch.cat((k, rows[0]), dim=2), torch.cat((v, rows[1]), dim=2)

    def joined(k: Tensor, v: Tensor, partial: Tensor) -> tuple[Tensor, Tensor]:
        return join_shared(k, v, SharedKeys(partial, which))

    for own, expected in zip(joined(k, v, partial), gathered(k, v, partial), strict=True):
        assert torch.equal(own, expected)
    assert torch.autograd.gradcheck(joined, (k, v, partial))


def gradients(
    model: torch.nn.Module, batches: list[tuple[Tensor, ...]], shared: bool
) -> dict[str, Tensor]:
    """Sum of the batches' gradients, in double precision."""
    model.zero_grad()
    together = torch.cat([residues for _, residues, _ in batches])

    def passes() -> None:
        for patterson, residues, lengths in batches:
            model(patterson.double(), residues, lengths.double()).square().mean().backward()

    if shared:
        with model.sharing(together):  # type: ignore[operator]
            passes()
    else:
        passes()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


def two_batches() -> list[tuple[Tensor, ...]]:
    patterson, residues, lengths = random_patterson_maps()
    return [(patterson, residues, lengths), (2 * patterson.flip(0), residues.flip(1), lengths)]


@pytest.mark.parametrize("landmarks", [None, 4])
def test_batches_that_share_keys_have_the_same_gradients(
    landmarks: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = random_network(tiny_network(depth=2, landmarks=landmarks)).double()
    calls = []
    original = CrysFormer.partial_tokens
    monkeypatch.setattr(
        CrysFormer, "partial_tokens", lambda self, r: calls.append(len(r)) or original(self, r)
    )
    alone, together = (gradients(model, two_batches(), shared) for shared in (False, True))
    assert calls == [3, 3, 6]
    assert alone.keys() == together.keys()
    assert "layers.0.norm_partial.weight" in alone
    assert "partial_stem.weight" in alone
    for name, gradient in alone.items():
        torch.testing.assert_close(together[name], gradient, rtol=1e-9, atol=1e-12)


def test_a_refining_network_shares_in_both_of_its_networks() -> None:
    first = random_network(tiny_network())
    model = make_network(refining_config(first.config), first.templates)
    assert isinstance(model, Refining)
    model.start_from(first.state_dict())
    model.double()
    alone, together = (gradients(model, two_batches(), shared) for shared in (False, True))
    for name, gradient in alone.items():
        assert name.startswith("second.")
        torch.testing.assert_close(together[name], gradient, rtol=1e-9, atol=1e-12)


def test_nothing_is_shared_after_an_error() -> None:
    model = random_network(tiny_network())
    patterson, residues, lengths = random_patterson_maps()
    expected = model(patterson, residues, lengths)
    with pytest.raises(KeyError), model.sharing(residues):
        raise KeyError
    with torch.no_grad():
        model.partial_embed.weight.mul_(2)
    assert not torch.equal(model(patterson, residues, lengths), expected)


def test_too_many_residues_and_places_are_not_shared() -> None:
    """The keys of 15-residue batches would take gigabytes."""
    model = random_network(dataclasses.replace(tiny_network(), n_residues=4))
    residues = torch.arange(20).reshape(5, 4)
    with model.sharing(residues):
        assert model._shared is None
    with model.sharing(residues[:4]):
        assert model._shared is not None
