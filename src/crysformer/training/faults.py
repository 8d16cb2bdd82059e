"""Faults that a run survives: no compiler, too little memory, a loss that is not finite."""

from __future__ import annotations

import copy
import dataclasses
import math
from typing import Any

import torch
from torch import nn

from crysformer.errors import CrysformerError
from crysformer.models.density_network import DensityNetwork
from crysformer.training.config import TrainingConfig
from crysformer.training.processes import Processes


class CompiledBlocks:
    """Blocks of a network compiled one by one, in place, and the way back to eager execution.

    Blocks of the same shape share their compiled code, so that each grid shape costs the
    compilation of one block. Parameters and their names stay the same.
    """

    def __init__(self, model: DensityNetwork, compiled: bool) -> None:
        self._blocks = list(model.blocks)
        self.active = False
        if compiled:
            self._compile()

    def _compile(self) -> None:
        for block in self._blocks:
            block.compile()
        self.active = True

    def give_up(self) -> None:
        """Run the blocks as they are."""
        for block in self._blocks:
            block._compiled_call_impl = None
        self.active = False


class Snapshot:
    """Weights and optimiser in memory, to return to when the loss is no longer finite."""

    def __init__(
        self, model: nn.Module, averaged: nn.Module, optimizer: torch.optim.Optimizer
    ) -> None:
        self._parts: tuple[Any, ...] = (model, averaged, optimizer)
        self._states = [copy.deepcopy(part.state_dict()) for part in self._parts]

    def restore(self) -> None:
        """Load the states; the snapshot stays usable."""
        for part, state in zip(self._parts, self._states, strict=True):
            part.load_state_dict(copy.deepcopy(state))


@torch.no_grad()
def all_finite(model: nn.Module) -> bool:
    """Check that no parameter is infinite or NaN."""
    norms = torch._foreach_norm(list(model.parameters()))
    return bool(torch.isfinite(torch.stack(norms)).all())


def out_of_memory(error: Exception) -> bool:
    """Check if an error means that memory is short; libraries have errors of their own for it."""
    text = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError)
        and any(words in text for words in ("out of memory", "alloc_failed", "allocate memory"))
    )


def is_short_of_memory(
    error: Exception, run: str, batch_size: int, compiled: bool, processes: Processes
) -> bool:
    """Return whether a step that failed needs less memory or, otherwise, no compilation.

    Parameters
    ----------
    error
        What the step raised; raised again if the step cannot be repeated in another way.
    run
        Name of the run for messages.
    batch_size
        Of the step.
    compiled
        Whether the network was compiled.
    processes
        Where there are several, none can change its steps alone.

    Raises
    ------
    CrysformerError
        If memory is short for one example, or one of several processes failed.
    """
    short, reason = out_of_memory(error), first_line(error)
    if batch_size == 1:
        raise_if_short_of_memory(error, run)
    if not short and not compiled:
        raise error
    if processes.size > 1:
        remedy = "a smaller batch_size" if short else "compile = false"
        raise CrysformerError(
            f"{run}: process {processes.rank} failed ({reason}); resume with {remedy}"
        ) from error
    return short


def halved(config: TrainingConfig) -> TrainingConfig:
    """Halve the batches, and take as many more in each step as that needs."""
    size = max(1, config.batch_size // 2)
    accumulate = math.ceil(config.batch_size * config.accumulate / size)
    return dataclasses.replace(config, batch_size=size, accumulate=accumulate)


def raise_if_short_of_memory(error: Exception, run: str) -> None:
    """Say that a single example does not fit, if that is why it failed.

    Raises
    ------
    CrysformerError
        If memory was short.
    """
    if out_of_memory(error):
        raise CrysformerError(
            f"{run}: not enough memory for a single example ({first_line(error)})"
        ) from error


def first_line(error: BaseException) -> str:
    """Shorten the message of an error."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
