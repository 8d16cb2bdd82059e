"""Mean training loss, read from the device only now and then."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from crysformer.training.processes import ALONE, Processes


class RunningLoss:
    """Losses of the steps since the last validation; they stay on the device until `read`.

    Parameters
    ----------
    processes
        Processes whose losses are averaged.

    Attributes
    ----------
    latest
        Mean over the steps of the last reading, NaN before the first.
    """

    def __init__(self, processes: Processes = ALONE) -> None:
        self._processes = processes
        self.latest = math.nan
        self._waiting: list[Tensor] = []
        self._read: list[float] = []

    @property
    def waiting(self) -> int:
        """Number of steps that have not been read."""
        return len(self._waiting)

    def add(self, loss: Tensor) -> None:
        """Add the loss of a step, a scalar without gradient."""
        self._waiting.append(loss)

    def read(self, together: bool = True) -> bool:
        """Wait for the device, and return whether all losses are finite.

        Parameters
        ----------
        together
            Average over the processes, all of which call this; otherwise this process's alone.
        """
        if self._waiting:
            losses = torch.stack(self._waiting)
            values = (self._processes.mean(losses) if together else losses).tolist()
            self._waiting.clear()
            self._read += values
            self.latest = sum(values) / len(values)
        return math.isfinite(self.latest) or not self._read

    def mean(self) -> float:
        """Mean of all losses read since `restart`."""
        return sum(self._read) / len(self._read)

    def restart(self) -> None:
        """Forget the losses, also those that were not read."""
        self._waiting.clear()
        self._read.clear()

    def __bool__(self) -> bool:
        return bool(self._waiting or self._read)
