"""Differentiable sums in pieces, computed again in the backward pass instead of kept.

`torch.utils.checkpoint` does the same for any function; its first call imports dynamo and sympy,
two seconds of CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def recomputed(function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """`function(*tensors)`, of which only the arguments are kept for the backward pass.

    Parameters
    ----------
    function
        Deterministic and differentiable in the tensors that require a gradient; its result is
        complex.
    tensors
        Its arguments.
    """
    result: Tensor = _Recomputed.apply(function, *tensors)
    return result


class _Recomputed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, function: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
        ctx.function = function
        ctx.save_for_backward(*tensors)
        return function(*tensors)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        leaves = [
            tensor.detach().requires_grad_(needed)
            for tensor, needed in zip(ctx.saved_tensors, ctx.needs_input_grad[1:], strict=True)
        ]
        wanted = [leaf for leaf in leaves if leaf.requires_grad]
        with torch.enable_grad():
            result = ctx.function(*leaves)
            # a scalar, because gradients given for tensors make torch import sympy
            scalar = (result.real * gradient.real + result.imag * gradient.imag).sum()
        found = iter(torch.autograd.grad(scalar, wanted))
        return None, *(next(found) if leaf.requires_grad else None for leaf in leaves)
