"""Cost of a network: floating-point operations and memory."""

from __future__ import annotations

import copy
import resource
import sys

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from crysformer.data.examples.stream import Batch
from crysformer.models.density_network import DensityNetwork


def training_flop(model: DensityNetwork, batch: Batch) -> float:
    """Count the floating-point operations of a training example, forward and backward.

    Convolutions and matrix products only, a multiplication and an addition as two; Fourier
    transforms and all that works voxel by voxel are left out. Convolutions count as sums over their
    kernels, and partial structures for every example, however they are calculated.
    """
    # Without values, a device takes none of the short cuts of CPUs.
    abstract = copy.deepcopy(model).to("meta").train()
    batch = batch.to("meta")
    # Fused attention kernels are not counted; the plain form is the same products.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        density = abstract(batch.patterson, batch.residues, batch.lengths, measured=batch.measured)
        density.square().sum().backward()
    return counter.get_total_flops() / len(batch)


def peak_memory(device: torch.device) -> int:
    """Largest memory that this process has used so far, bytes: of the GPU, or of the host."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
