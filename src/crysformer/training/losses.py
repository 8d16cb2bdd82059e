"""Losses between predicted and true densities."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from crysformer.crystal.comparison.compare import pearson


def correlation_loss(predicted: Tensor, true: Tensor) -> Tensor:
    """1 - PC averaged over the batch, independent of the scale of the maps."""
    return (1 - pearson(predicted, true)).mean()


def mean_squared_error(predicted: Tensor, true: Tensor) -> Tensor:
    """The paper's loss, relative to the mean square of the true maps so that 1 is a flat map."""
    return (predicted - true).square().mean() / true.square().mean()


LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "correlation": correlation_loss,
    "mse": mean_squared_error,
}
