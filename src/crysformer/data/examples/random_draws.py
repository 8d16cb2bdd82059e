"""Random numbers drawn where the tensors are, so that no field is made on the CPU and moved."""

from __future__ import annotations

import numpy as np
import torch


def device_generator(seed: int, device: torch.device | str = "cpu") -> torch.Generator:
    """Generator with this seed on the device of the tensors.

    Every kind of device has its own sequence of numbers for a seed. Devices without double
    precision (MPS) get the CPU's generator.
    """
    device = torch.device(device)
    on = torch.device("cpu") if device.type == "mps" else device
    return torch.Generator(on).manual_seed(seed)


def host_uniform(generator: torch.Generator, purpose: int = 0) -> float:
    """Uniform random number in [0, 1) on the host, without waiting for the generator's device.

    A CPU generator is drawn from. The state of another one, a seed and the number of draws so far,
    is known on the host and decides: the number repeats if the state does.

    Parameters
    ----------
    generator
        Any generator.
    purpose
        Distinguishes numbers asked for between two draws on the device.
    """
    if generator.device.type == "cpu":
        return float(torch.rand(1, generator=generator))
    words = np.frombuffer(generator.get_state().numpy().tobytes(), dtype=np.uint32)
    mixed = np.random.SeedSequence((*words.tolist(), purpose))
    return float(np.random.default_rng(mixed).random())
