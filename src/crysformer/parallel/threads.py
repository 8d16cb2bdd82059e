"""Number of threads of PyTorch."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator


def compute_with_one_thread() -> None:
    """Let this process compute with one thread, without loading PyTorch for it."""
    torch = sys.modules.get("torch")
    if torch is None:
        os.environ["OMP_NUM_THREADS"] = "1"
    else:
        torch.set_num_threads(1)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch compute with one thread within the block, for the same numbers everywhere."""
    torch = importlib.import_module("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
