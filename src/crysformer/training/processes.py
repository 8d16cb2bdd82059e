"""The processes of a training run, as torchrun starts them: one for each GPU."""

from __future__ import annotations

import contextlib
import datetime
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from crysformer.errors import CrysformerError, UsageError

#: Time that processes wait for one another: the first one validates and writes for all.
_PATIENCE = datetime.timedelta(hours=1)
#: Between the seeds of the processes of one run.
_APART = 7_368_787


@dataclass(frozen=True)
class Processes:
    """Place of this process among those that train one network together.

    All of them draw the same batches, and each makes and trains on its own part of every batch.
    Gradients are averaged by `DistributedDataParallel`. The first process keeps the time,
    validates, and writes the files. `agree`, `mean`, `collect` and `share` are
    collective: all processes call them at the same point of the run.

    Attributes
    ----------
    rank
        Number of this process, from 0.
    size
        Number of processes.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process validates and writes."""
        return self.rank == 0

    def own_seed(self, seed: int) -> int:
        """Seed of this process's own random numbers; the first one's is the seed itself."""
        return seed + _APART * self.rank

    def check_shares(self, batch_size: int) -> None:
        """Check that the processes get parts of the same size of every batch.

        Raises
        ------
        UsageError
            If they do not.
        """
        if batch_size % self.size:
            fitting = self.size * max(1, round(batch_size / self.size))
            raise UsageError(
                f"batches of {batch_size} examples for {self.size} processes: expected a multiple "
                f"of {self.size}; set batch_size = {fitting}"
            )

    def agree(self, values: Sequence[float]) -> list[float]:
        """Return the first process's numbers, so that all take the same decisions by them."""
        if self.size == 1:
            return list(values)
        shared = torch.tensor(values, dtype=torch.float64)
        try:
            dist.broadcast(shared, src=0)  # on the CPU: nothing waits for a device
        except RuntimeError as error:
            raise CrysformerError(
                f"process {self.rank}: another process of the run has ended; see its message"
            ) from error
        return shared.tolist()

    def mean(self, values: Tensor) -> Tensor:
        """Average numbers over the processes."""
        if self.size == 1:
            return values
        total = values.detach().cpu().double()
        dist.all_reduce(total)
        return total / self.size

    def collect(self, value: Any) -> list[Any]:
        """Bring a value of every process to the first one; elsewhere the list is empty."""
        if self.size == 1:
            return [value]
        values: list[Any] | None = [None] * self.size if self.is_first else None
        dist.gather_object(value, values)
        return values or []

    def share(self, value: Any) -> Any:
        """Return the first process's value."""
        if self.size == 1:
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def parallel(self, model: nn.Module) -> nn.Module:
        """Wrap a network so that its gradients are averaged over the processes."""
        return model if self.size == 1 else DistributedDataParallel(model)


#: A run of one process.
ALONE = Processes()


@contextlib.contextmanager
def joined_processes(device: torch.device) -> Iterator[Processes]:
    """Join the processes that torchrun started, or stand alone without it.

    Parameters
    ----------
    device
        Device of this process; see `local_device`.
    """
    if not launched():
        yield ALONE
        return
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=_PATIENCE)
    try:
        yield Processes(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def launched() -> bool:
    """Check if torchrun started this process as one of several."""
    return dist.is_available() and int(os.environ.get("WORLD_SIZE", "1")) > 1


def is_first_process() -> bool:
    """Check if this process is the one that reports, before or after the processes are joined."""
    return not launched() or int(os.environ.get("RANK", "0")) == 0


def local_device(device: torch.device) -> torch.device:
    """Choose this process's GPU among those of its machine, by the number torchrun gave it."""
    if not launched() or device.type != "cuda" or device.index is not None:
        return device
    number = int(os.environ.get("LOCAL_RANK", "0"))
    found = torch.cuda.device_count()
    if number >= found:
        raise UsageError(
            f"process {number + 1} of this machine has no GPU of its own: {found} found; start "
            "fewer processes with torchrun"
        )
    torch.cuda.set_device(number)
    return torch.device("cuda", number)
