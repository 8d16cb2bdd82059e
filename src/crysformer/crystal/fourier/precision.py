"""Full precision for reciprocal space."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Switch autocast off: in bfloat16, 1/d^2 and scattering factors are wrong by up to 1 %.

    One reflection in three hundred would change its side of the resolution limit. Devices that have
    no autocast, such as ``meta``, which holds shapes only, need nothing.
    """
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)
