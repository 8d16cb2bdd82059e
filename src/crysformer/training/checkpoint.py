"""Checkpoints: the complete state of a run, to resume it exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from crysformer.errors import InputError
from crysformer.files import atomic_path
from crysformer.training.faults import first_line

CHECKPOINT = "checkpoint.pt"


def save_checkpoint(path: str | Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers, strings, lists and dictionaries; atomically."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        torch.save(state, file)


def load_checkpoint(path: str | Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read a checkpoint; only plain tensors and values are unpickled.

    Raises
    ------
    InputError
        If the file is missing, damaged, or holds more than plain tensors and values.
    """
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no checkpoint to resume from; start without `resume`") from error
    except Exception as error:  # of damaged bytes the unpickler may raise anything
        raise InputError(f"{path}: not a readable checkpoint ({first_line(error)})") from error
    if not isinstance(state, dict) or "model" not in state:
        raise InputError(f"{path}: not a checkpoint of a training run")
    return state
