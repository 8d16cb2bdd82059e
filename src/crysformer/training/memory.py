"""Memory of a training run, estimated before it starts."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from crysformer.data.examples.stream import Batch
from crysformer.models.density_network import DensityNetwork, n_parameters
from crysformer.training.losses import LOSSES

#: Bytes for each parameter: weights, gradients, their average, two moments; and the copy of
#: weights, average and moments that the run returns to after a loss that is not finite.
_BYTES_PER_PARAMETER = 4 * 5 + 4 * 4
#: Memory while a step runs to that which its backward pass keeps: temporary results, fragmentation.
_TEMPORARY = 1.4
#: Memory of the libraries and of the data set, bytes.
_FIXED = 1e9


@dataclass(frozen=True)
class MemoryEstimate:
    """Memory of a run, bytes.

    Attributes
    ----------
    fixed
        Libraries, weights, gradients and optimiser.
    example
        Of each example of a batch.
    free
        What the device has free, None if it is not known.
    """

    fixed: float
    example: float
    free: float | None

    def needed(self, batch_size: int) -> float:
        """Memory for batches of this size, bytes."""
        return self.fixed + batch_size * self.example

    def fits(self, batch_size: int) -> bool:
        """Check that the batches fit; true where the free memory is not known."""
        return self.free is None or self.needed(batch_size) <= self.free

    def largest_batch(self) -> int:
        """Largest power of two that fits, 0 if not even one example does."""
        size = 0
        while self.fits(max(1, 2 * size)) and size < 1 << 20:
            size = max(1, 2 * size)
        return size


def estimate_memory(
    model: DensityNetwork, example: Batch, loss: str, device: torch.device
) -> MemoryEstimate:
    """Estimate the memory of training from what the backward pass of one example keeps.

    Parameters
    ----------
    model
        The network; it is not changed.
    example
        A batch of one example, on a large grid.
    loss
        Name of the loss, as in `losses.LOSSES`.
    device
        Device of network and example.
    """
    fixed = _FIXED + _BYTES_PER_PARAMETER * n_parameters(model)
    kept = _kept_by_backward(model, example, loss)
    return MemoryEstimate(fixed, _TEMPORARY * kept, free_memory(device))


def _kept_by_backward(model: DensityNetwork, example: Batch, loss: str) -> int:
    """Bytes of the tensors that autograd keeps for an example, without the parameters."""
    with torch.random.fork_rng():
        trained = copy.deepcopy(model).train().requires_grad_(True)
        parameters = {parameter.untyped_storage().data_ptr() for parameter in trained.parameters()}
        sizes: dict[int, int] = {}
        kept: list[Tensor] = []  # alive, so that no address is used twice

        def pack(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in parameters:
                sizes[storage.data_ptr()] = storage.nbytes()
                kept.append(tensor)
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            predicted = trained(
                example.patterson, example.residues, example.lengths, measured=example.measured
            )
            LOSSES[loss](predicted.float(), example.density, None)
    return sum(sizes.values())


def memory_problem(estimate: MemoryEstimate, batch_size: int, accumulate: int) -> str | None:
    """Compare a run's memory with what is free.

    Parameters
    ----------
    estimate
        The estimate.
    batch_size, accumulate
        Examples in each batch of this process, and batches in each step.

    Returns
    -------
    str or None
        What is needed, what is free and what to change; None if it fits.
    """
    if estimate.fits(batch_size):
        return None
    assert estimate.free is not None
    found = (
        f"training needs about {estimate.needed(batch_size) / 1e9:.1f} GB with batches of "
        f"{batch_size}, {estimate.free / 1e9:.1f} GB are free"
    )
    size = min(estimate.largest_batch(), batch_size)
    if size == 0:
        return f"{found}, too little for a single example; choose a smaller network"
    steps = math.ceil(batch_size * accumulate / size)
    return f"{found}; set batch_size = {size} and accumulate = {steps} for the same steps"


def free_memory(device: torch.device) -> float | None:
    """Free memory of a device, bytes; None where the system does not tell."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    found = (line.split()[1] for line in lines if line.startswith("MemAvailable:"))
    kilobytes = next(found, None)
    return None if kilobytes is None else 1024.0 * float(kilobytes)
