"""Cost of a network: floating-point operations and memory."""

from __future__ import annotations

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
    transforms and all that works voxel by voxel are left out.
    """
    was_training = model.training
    model.train()
    # The fused attention kernels of CPUs are not counted; its plain form is the same products.
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        density = model(batch.patterson, batch.residues, batch.lengths, measured=batch.measured)
        density.square().sum().backward()
    model.zero_grad(set_to_none=True)
    model.train(was_training)
    return counter.get_total_flops() / len(batch)


def peak_memory(device: torch.device) -> int:
    """Largest memory that this process has used so far, bytes: of the GPU, or of the host."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
