"""Losses between predicted and true densities.

Each takes maps of shape (B, 1, U, V, W) and, of a recycling network, which examples began from an
estimate without phases, shape (B,): a Patterson map alone does not determine the hand.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from crysformer.crystal.comparison.compare import pearson
from crysformer.models.orientations import rotate_map

Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def correlation_loss(predicted: Tensor, true: Tensor, blank: Tensor | None = None) -> Tensor:
    """1 - PC, averaged over the batch; independent of the scale of the maps."""
    return (1 - pearson(predicted, true)).mean()


def better_hand_loss(predicted: Tensor, true: Tensor, blank: Tensor | None = None) -> Tensor:
    """1 - PC to the truth or, if that fits better, to its inverse through the cell centre.

    The Patterson map is the same for both hands, so a network that is compared with the truth alone
    learns their mean first. Examples whose estimate has phases (`blank` false) carry a hand, and
    are compared with the truth alone.
    """
    own = 1 - pearson(predicted, true)
    better = torch.minimum(own, 1 - pearson(predicted, inverse(true)))
    if blank is not None:
        better = torch.where(blank.to(own.device), better, own)
    return better.mean()


def relative_mean_squared_error(
    predicted: Tensor, true: Tensor, blank: Tensor | None = None
) -> Tensor:
    """The paper's loss divided by the mean square of the true maps, so that a flat map gives 1."""
    return (predicted - true).square().mean() / true.square().mean()


def inverse(maps: Tensor) -> Tensor:
    """Maps (..., U, V, W) inverted through the origin, which is inversion through the centre too.

    The molecule is at the cell centre, a centre of inversion of the lattice like the origin.
    """
    return rotate_map(maps, (0, 1, 2))


LOSSES: dict[str, Loss] = {
    "correlation": correlation_loss,
    "better-hand": better_hand_loss,
    "mse": relative_mean_squared_error,
}
