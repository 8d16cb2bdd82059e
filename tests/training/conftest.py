"""A data set of a few pairs of residues, and settings for a tiny network."""

from __future__ import annotations

from pathlib import Path

import pytest

from crysformer.testing import conformer_pairs, tiny_network, write_data_set
from crysformer.training.config import TrainingConfig


@pytest.fixture(scope="session")
def dipeptides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("dipeptides"), "dipeptide", conformer_pairs())


@pytest.fixture(scope="session")
def tiny() -> TrainingConfig:
    model = tiny_network(scaling="amplitudes", positions="metric", sample_rate=2.0, recycling=True)
    return TrainingConfig(
        model=model, examples=64, batch_size=8, accumulate=1, learning_rate=3e-3, warmup=8,
        weight_decay=0.01, ema=0.9, loss="better-hand", validate_every=32, validation_examples=8,
    )  # fmt: skip
