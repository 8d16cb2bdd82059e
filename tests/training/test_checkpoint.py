"""Checkpoints: only plain values are read."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from crysformer.errors import InputError
from crysformer.training.checkpoint import CHECKPOINT, load_checkpoint


def test_checkpoints_that_hold_code_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT
    torch.save({"model": print}, path)
    with pytest.raises(InputError, match="not a readable checkpoint"):
        load_checkpoint(path)
    path.write_bytes(b"PK\x03\x04 truncated")
    with pytest.raises(InputError, match="not a readable checkpoint"):
        load_checkpoint(path)
