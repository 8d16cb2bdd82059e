"""Losses on known maps."""

from __future__ import annotations

import pytest
import torch

from crysformer.training.losses import correlation_loss, mean_squared_error


def test_losses_on_known_maps() -> None:
    torch.manual_seed(0)
    true = torch.randn(3, 1, 8, 8, 8)
    assert float(correlation_loss(5 * true + 2, true)) == pytest.approx(0, abs=1e-5)
    assert float(correlation_loss(-true, true)) == pytest.approx(2, abs=1e-5)
    assert float(mean_squared_error(torch.zeros_like(true), true)) == pytest.approx(1)
    assert float(mean_squared_error(2 * true, true)) == pytest.approx(1)
