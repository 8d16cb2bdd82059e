"""Time, random numbers and progress of one turn of a phasing method."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch

GRACE = 2.5
"""Seconds after the deadline in which what was found is rated.

Only cells of millions of grid points need as long, and the rating is worth the wait in all others.
"""
CLOSING = 3.5
"""Seconds after the deadline in which atoms are sought to tell the hand of the best candidate."""


def method_generator(seed: int, method: str) -> torch.Generator:
    """Random generator of one method, on the CPU: its draws do not depend on other methods.

    Parameters
    ----------
    seed
        Seed of the run.
    method
        Name of the method.
    """
    sequence = np.random.SeedSequence([seed, zlib.crc32(method.encode())])
    return torch.Generator().manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> 1))


@dataclass
class Budget:
    """Time and random numbers for one turn of a method.

    Attributes
    ----------
    until
        `time.monotonic` at which the turn should end; at most `deadline`.
    deadline
        `time.monotonic` at which the whole search ends; no step is begun after it.
    generator
        Random numbers of this method alone, on the CPU.
    report
        Called with a few words on what is being done.
    """

    until: float
    deadline: float
    generator: torch.Generator
    report: Callable[[str], None] = field(default=lambda text: None)

    @property
    def rated_by(self) -> float:
        """`time.monotonic` at which the rating of what this turn found is cut short."""
        return self.until + GRACE

    @property
    def out_of_time(self) -> bool:
        """True from the deadline on: what was found is rated, and nothing else."""
        return time.monotonic() > self.deadline
