"""Choice of the compute device."""

from __future__ import annotations

import torch

from crysformer.errors import UsageError


def pick_device(name: torch.device | str) -> torch.device:
    """Return the device of a name; "auto" is CUDA if there is one, else the CPU.

    Apple's GPUs lack double precision and are not tested: they are used on request only.

    Raises
    ------
    UsageError
        If the name is unknown or there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0].partition(". ")[0]
        raise UsageError(f"`device` {name}: not available here ({reason}); try auto") from error
    return device
