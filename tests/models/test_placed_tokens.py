"""Projections of residues at places of a sequence against those of their sums."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from crysformer.models.placed_tokens import PlacedTokens, _projected

SEQUENCES = torch.tensor([[0, 2], [1, 0], [0, 2], [2, 2]])


def random(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return values.requires_grad_()


def test_projections_and_their_gradients_are_those_of_normalised_sums() -> None:
    torch.manual_seed(1)
    norms = [nn.LayerNorm(7, dtype=torch.float64) for _ in range(2)]
    projections = [nn.Linear(7, 6, dtype=torch.float64) for _ in range(2)]
    for norm in norms:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    parameters = [p for module in (*norms, *projections) for p in module.parameters()]
    tokens, places = random(3, 4, 7), random(2, 7, seed=1)
    towards = random(4, 8, 12, seed=2).detach()

    def placed() -> Tensor:
        rows = PlacedTokens.of(tokens, places, SEQUENCES, norms[0].eps)
        layers = zip(norms, projections, strict=True)
        return torch.cat([rows.projected(n, p)[rows.which].flatten(1, 2) for n, p in layers], -1)

    def summed() -> Tensor:
        sums = (tokens[SEQUENCES] + places[:, None]).flatten(1, 2)
        return torch.cat([p(n(sums)) for n, p in zip(norms, projections, strict=True)], -1)

    of = [tokens, places, *parameters]
    (own, to_own), (expected, to_expected) = (
        (made, torch.autograd.grad(made, of, towards)) for made in (placed(), summed())
    )
    torch.testing.assert_close(own, expected, rtol=1e-10, atol=1e-10)
    for gradient, wanted in zip(to_own, to_expected, strict=True):
        torch.testing.assert_close(gradient, wanted, rtol=1e-9, atol=1e-10)


def test_each_residue_is_projected_once() -> None:
    rows = PlacedTokens.of(random(3, 4, 7), random(2, 7), SEQUENCES, 1e-5)
    assert list(zip(rows.residue, rows.place, strict=True)) == [
        (0, 0),
        (0, 1),
        (1, 0),
        (2, 0),
        (2, 1),
    ]
    assert rows.residues.shape == (3, 4, 7)
    assert rows.which.tolist() == [[0, 4], [2, 1], [0, 4], [3, 4]]


def test_gradients_of_the_rows() -> None:
    inputs = random(2, 3, 4), random(2, 4, seed=1), random(3, 3, seed=2).exp(), random(4, seed=3)
    assert torch.autograd.gradcheck(lambda *x: _projected(*x, [0, 1, 1], [1, 0, 1]), inputs)
