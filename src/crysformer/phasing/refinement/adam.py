"""Adam for the small problems of phasing (Kingma & Ba, ICLR 2015).

`torch.optim.Adam` gives the same numbers, but constructing the first one imports dynamo and sympy:
1.4 s of CPU, more than most refinements here take.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


class Adam:
    """Running moments of the gradients of some parameters.

    Parameters
    ----------
    parameters
        Tensors of any shapes; moments have the same shapes.
    betas
        Decay rates of the first and the second moment, 0 to 1.
    eps
        Added to the root of the second moment, in units of the gradient.
    """

    def __init__(
        self,
        parameters: Sequence[Tensor],
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        self.mean = [torch.zeros_like(p) for p in parameters]
        self.square = [torch.zeros_like(p) for p in parameters]
        self.betas, self.eps = betas, eps
        self.count = 0

    @torch.no_grad()
    def descent(self, gradients: Sequence[Tensor], rates: Sequence[float]) -> list[Tensor]:
        """Changes of the parameters that descend their gradients, each at its own rate."""
        self.count += 1
        first, second = self.betas
        norm, root_norm = 1 - first**self.count, math.sqrt(1 - second**self.count)
        moves = []
        for mean, square, gradient, rate in zip(
            self.mean, self.square, gradients, rates, strict=True
        ):
            mean.lerp_(gradient, 1 - first)
            square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
            moves.append(mean * (-rate / norm) / (square.sqrt() / root_norm + self.eps))
        return moves


def cosine_decay(
    rates: Sequence[float], final_rates: Sequence[float], step: int, steps: int
) -> list[float]:
    """Step sizes that fall from `rates` (step 0) to `final_rates` (`steps`) along half a cosine."""
    left = 0.5 * (1 + math.cos(math.pi * step / steps))
    return [last + (rate - last) * left for rate, last in zip(rates, final_rates, strict=True)]


def minimise(
    parameters: Sequence[Tensor],
    gradients: Callable[[], Sequence[Tensor]],
    rates: Sequence[float],
    steps: int,
    *,
    final_rates: Sequence[float] | None = None,
    warm_up: int = 1,
    limits: Sequence[tuple[float, float] | None] | None = None,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    least: int = 0,
    deadline: float = math.inf,
) -> int:
    """Minimise a function of some parameters by Adam, in place; returns the steps taken.

    Parameters
    ----------
    parameters
        Tensors of any shapes.
    gradients
        Returns the gradient with respect to each parameter at their present values.
    rates
        Step size of each parameter, in its own unit.
    steps
        Number of steps.
    final_rates
        Step sizes to which the rates decay along a cosine; constant rates if omitted.
    warm_up
        Steps over which the rates rise linearly to their full size.
    limits
        Least and largest value of each parameter; None for a parameter without limits.
    betas, eps
        As in `Adam`.
    least
        Steps that are taken even after `deadline`.
    deadline
        `time.monotonic` after which no further step begins.
    """
    adam = Adam(parameters, betas, eps)
    for step in range(steps):
        if step >= least and time.monotonic() > deadline:
            return step
        now = cosine_decay(rates, final_rates or rates, step, steps)
        rise = min(1.0, (step + 1) / warm_up)
        moves = adam.descent(gradients(), [rise * rate for rate in now])
        with torch.no_grad():
            for i, (parameter, move) in enumerate(zip(parameters, moves, strict=True)):
                parameter.add_(move)
                if limits is not None and (limit := limits[i]) is not None:
                    parameter.clamp_(*limit)
    return steps
