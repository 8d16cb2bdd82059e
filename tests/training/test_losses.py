"""Losses on known maps."""

from __future__ import annotations

import pytest
import torch

from crysformer.training.losses import (
    better_hand_loss,
    correlation_loss,
    inverse,
    relative_mean_squared_error,
)


def test_losses_on_known_maps() -> None:
    torch.manual_seed(0)
    true = torch.randn(3, 1, 8, 8, 8)
    assert float(correlation_loss(5 * true + 2, true)) == pytest.approx(0, abs=1e-5)
    assert float(correlation_loss(-true, true)) == pytest.approx(2, abs=1e-5)
    assert float(relative_mean_squared_error(torch.zeros_like(true), true)) == pytest.approx(1)
    assert float(relative_mean_squared_error(2 * true, true)) == pytest.approx(1)


def test_either_hand_will_do_where_the_estimate_has_none() -> None:
    torch.manual_seed(1)
    true = torch.randn(3, 1, 8, 6, 8)
    blank = torch.tensor([True, False, True])
    assert torch.equal(inverse(inverse(true)), true)
    # the voxel at the origin and those half-way along every edge stay where they are
    assert torch.equal(inverse(true)[..., 0, 0, 0], true[..., 0, 0, 0])
    assert torch.equal(inverse(true)[..., 4, 3, 4], true[..., 4, 3, 4])
    assert float(better_hand_loss(inverse(true), true)) == pytest.approx(0, abs=1e-5)
    assert float(better_hand_loss(true, true)) == pytest.approx(0, abs=1e-5)
    # the hand of the second example is known: its inverse is wrong
    plain = float(correlation_loss(inverse(true)[1:2], true[1:2]))
    found = float(better_hand_loss(inverse(true), true, blank))
    assert found == pytest.approx(plain / 3, abs=1e-5)
    assert plain > 0.5


def test_the_patterson_map_does_not_know_the_hand() -> None:
    torch.manual_seed(2)
    true = torch.randn(2, 1, 8, 6, 8)
    powers = [torch.fft.rfftn(x, dim=(-3, -2, -1)).abs() for x in (true, inverse(true))]
    torch.testing.assert_close(powers[0], powers[1])
