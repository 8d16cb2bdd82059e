"""Circular convolutions and patches."""

from __future__ import annotations

import torch
from torch.nn import functional

from crysformer.models.layers import (
    CircularConv3d,
    CircularPad,
    ResidualBlock,
    from_patches,
    to_patches,
)


def test_padding_and_its_gradient_equal_torch() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 7, 5, 4, dtype=torch.float64, requires_grad=True)
    for width in (1, 3):
        own = CircularPad.apply(x, width)
        reference = functional.pad(x, (width,) * 6, mode="circular")
        torch.testing.assert_close(own, reference)
        weight = torch.randn_like(own)
        mine, theirs = (torch.autograd.grad((y * weight).sum(), x)[0] for y in (own, reference))
        torch.testing.assert_close(mine, theirs)


def test_circular_convolutions_commute_with_cyclic_shifts() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 2, 8, 6, 5, dtype=torch.float64)
    shift = {"shifts": (3, 1, -2), "dims": (2, 3, 4)}
    for module in (CircularConv3d(2, 2, 5), CircularConv3d(2, 2, 1), ResidualBlock(2, 3, "gelu")):
        module = module.double()
        torch.testing.assert_close(module(x.roll(**shift)), module(x).roll(**shift))


def test_zero_padding_would_not_commute() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 1, 6, 6, 6)
    weight = torch.randn(1, 1, 3, 3, 3)
    rolled = functional.conv3d(x.roll(1, 2), weight, padding=1)
    assert not torch.allclose(rolled, functional.conv3d(x, weight, padding=1).roll(1, 2))


def test_patches_hold_cubes_and_go_back() -> None:
    x = torch.randn(2, 3, 8, 12, 4)
    tokens = to_patches(x, 4)
    assert tokens.shape == (2, 2 * 3 * 1, 3 * 64)
    torch.testing.assert_close(tokens[1, 4].reshape(3, 4, 4, 4), x[1, :, 4:8, 4:8, 0:4])
    torch.testing.assert_close(from_patches(tokens, 4, (8, 12, 4)), x)
