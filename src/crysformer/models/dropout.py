"""Dropout that draws its random numbers four at a time, for CPUs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

#: Values of a random number of 16 bits; dropout rates are multiples of 1 / `_LEVELS`.
_LEVELS = 2**16


class Dropout(nn.Dropout):
    """Zero elements at random in training, and scale the others so that means stay.

    On a CPU each element takes a quarter of a random number of 64 bits, where PyTorch's own draws
    one number for each, most of the time of its dropout. The rate is rounded to 1/65536.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return elements of x that are kept, scaled; x itself in evaluation."""
        dropped = round(self.p * _LEVELS)
        if x.device.type != "cpu" or not self.training or not 0 < dropped < _LEVELS:
            return super().forward(x)
        y: Tensor = _Dropped.apply(x, dropped)
        return y


class _Dropped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, dropped: int) -> Tensor:
        """Draw and multiply by the factors, 0 or 1 / (1 - rate)."""
        n = x.numel()
        numbers = torch.empty(-(-n // 4), dtype=torch.int64).random_(-(2**63), None)
        kept = numbers.view(torch.int16)[:n] >= dropped - _LEVELS // 2
        factors = kept.to(x.dtype).mul_(_LEVELS / (_LEVELS - dropped)).view(x.shape)
        ctx.save_for_backward(factors)
        return x * factors

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        """Multiply the gradient by the same factors."""
        (factors,) = ctx.saved_tensors
        return grads[0] * factors, None
