"""Optimiser and learning rate."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from crysformer.training.config import TrainingConfig


def learning_rate(
    config: TrainingConfig, examples: int, seconds: float, ends: float | None
) -> float:
    """Learning rate of a one-cycle schedule: linear warm-up, then half a cosine.

    Parameters
    ----------
    config
        Peak rate, warm-up, and schedule (by examples or by time).
    examples, seconds
        Examples and seconds done so far.
    ends
        Seconds at which training ends, if there is a time limit.
    """
    warm = min(1.0, (examples + 1) / max(1, config.warmup))
    if config.schedule == "time" and ends is not None:
        fraction = min(1.0, seconds / ends)
    else:
        fraction = min(1.0, examples / config.examples)
    cosine = 0.5 * (1 + math.cos(math.pi * fraction))
    return config.learning_rate * warm * (config.final_rate + (1 - config.final_rate) * cosine)


def make_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.AdamW:
    """Make AdamW with weight decay on matrices and kernels but not on biases and norms."""
    decayed: list[Tensor] = []
    plain: list[Tensor] = []
    for parameter in model.parameters():
        (decayed if parameter.ndim >= 2 else plain).append(parameter)
    groups = [
        {"params": decayed, "weight_decay": config.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, config.beta2), fused=True)
