"""Dropout on CPUs."""

from __future__ import annotations

import pytest
import torch

from crysformer.models.dropout import Dropout


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("shape", [(1000, 1001), (3,)])
def test_the_fraction_that_is_kept_and_its_scale(rate: float, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    y = Dropout(rate)(torch.full(shape, 2.0))
    assert y.shape == shape
    kept = y[y != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 2 / (1 - rate)), rtol=2e-4, atol=0)
    if y.numel() > 1000:
        deviation = (rate * (1 - rate) / y.numel()) ** 0.5
        assert float((y == 0).double().mean()) == pytest.approx(rate, abs=5 * deviation)


def test_neighbours_are_independent_and_seeds_repeat() -> None:
    torch.manual_seed(1)
    first = Dropout(0.5)(torch.ones(400_000))
    torch.manual_seed(1)
    assert torch.equal(Dropout(0.5)(torch.ones(400_000)), first)
    for step in (1, 2, 3, 4):
        both = torch.stack((first[:-step], first[step:]))
        assert abs(float(torch.corrcoef(both)[0, 1])) < 0.01


def test_the_gradient_is_that_of_the_elements_kept() -> None:
    torch.manual_seed(2)
    x = torch.randn(50, 7, requires_grad=True)
    y = Dropout(0.3)(x)
    y.sum().backward()
    assert x.grad is not None
    torch.testing.assert_close(y, x * x.grad)


def test_nothing_is_dropped_in_evaluation_or_at_rate_zero() -> None:
    x = torch.randn(5)
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x)
