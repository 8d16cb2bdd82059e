"""Training from existing weights."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import pytest
import torch

from crysformer.data.store import FragmentStore
from crysformer.errors import InputError, UsageError
from crysformer.models.crysformer import CrysFormer
from crysformer.models.weights import load_weights, save_weights, tensor_files
from crysformer.testing import tiny_network
from crysformer.training.checkpoint import CHECKPOINT, load_checkpoint
from crysformer.training.config import (
    TrainingConfig,
)
from crysformer.training.data import TrainingData
from crysformer.training.loop import HISTORY
from crysformer.training.train import train
from crysformer.training.warm_start import starting_weights

SMALL = tiny_network(
    dropout=0.1, scaling="amplitudes", positions="metric", sample_rate=2.0, recycling=True
)

CONFIG = TrainingConfig(
    model=SMALL, examples=64, batch_size=4, accumulate=2, learning_rate=3e-3, warmup=8,
    weight_decay=0.01, ema=0.9, loss="correlation", validate_every=32, validation_examples=8,
)  # fmt: skip


def test_a_run_may_start_from_weights(dipeptides: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, examples=240, validate_every=240)
    train(config, dipeptides, tmp_path / "first")
    weights = tmp_path / "first" / "weights.safetensors"
    short = dataclasses.replace(CONFIG, examples=8, learning_rate=1e-6, validate_every=8)
    again = train(short, dipeptides, tmp_path / "again", start_from=weights)
    fresh = train(short, dipeptides, tmp_path / "fresh")
    assert again.pc > fresh.pc + 0.1
    deeper = dataclasses.replace(CONFIG, model=dataclasses.replace(SMALL, depth=2))
    with pytest.raises(InputError, match="another network"):
        train(deeper, dipeptides, tmp_path / "deeper", start_from=weights)
    assert not (tmp_path / "deeper").exists()
    with pytest.raises(UsageError, match=r"`resume`.*`start_from`"):
        train(short, dipeptides, tmp_path / "again", start_from=weights, resume=True)


def test_a_network_for_conditions_begins_where_one_of_exact_data_ended(
    dipeptides: Path, tmp_path: Path
) -> None:
    train(dataclasses.replace(CONFIG, examples=120), dipeptides, tmp_path / "exact")
    weights = tmp_path / "exact" / "weights.safetensors"
    model = dataclasses.replace(SMALL, conditions=True, dropout=0.0)
    robust = dataclasses.replace(CONFIG, model=model, examples=64)
    plain = load_weights(weights).model
    config = dataclasses.replace(SMALL, dropout=0.0)
    exact = CrysFormer(config)
    exact.load_state_dict(plain.state_dict())
    grown = CrysFormer(model)
    with pytest.raises(InputError, match="another network"):
        starting_weights(weights, grown)  # dropout differs
    save_weights(tmp_path / "plain.safetensors", exact, {})
    grown.load_state_dict(starting_weights(tmp_path / "plain.safetensors", grown))
    data = TrainingData(robust, FragmentStore.open(dipeptides), torch.device("cpu"))
    (batch,) = data.validation(1)
    expected = exact.eval()(batch.patterson, batch.residues, batch.lengths)
    found = grown.eval()(batch.patterson, batch.residues, batch.lengths)
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-3)
    # and it learns with imperfect data from there
    run = tmp_path / "robust"
    train(robust, dipeptides, run, start_from=tmp_path / "plain.safetensors")
    metrics = load_weights(run / "weights.safetensors").info["metrics"]
    assert metrics["pc_imperfect"] > 0.05
    assert metrics["pc"] > metrics["pc_imperfect"] - 0.1


def test_short_runs_add_up(
    dipeptides: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each starts from the half-precision shards of the one before, with a warm-up."""
    monkeypatch.setattr("crysformer.training.run_folder.SHARD_SIZE", 600_000)
    config = dataclasses.replace(
        CONFIG, examples=120, batch_size=8, accumulate=1, warmup=40, validate_every=120, log_every=1
    )
    train(config, dipeptides, tmp_path / "run0")
    for i in range(2):
        weights = tmp_path / f"run{i}" / "weights.safetensors"
        assert len(tensor_files(weights)) == 2
        assert all(file.stat().st_size <= 600_000 for file in tensor_files(weights))
        next_run = dataclasses.replace(config, seed=i + 1)
        train(next_run, dipeptides, tmp_path / f"run{i + 1}", start_from=weights)
    assert load_weights(tmp_path / "run2" / "weights.json").info["training"]["examples"] == 120
    losses = []
    for i in range(3):
        with open(tmp_path / f"run{i}" / HISTORY, newline="") as file:
            losses += [float(row["train_loss"]) for row in csv.DictReader(file)]
    assert losses[0] > losses[1] > losses[2]


def test_the_optimiser_begins_anew_with_a_warm_up(dipeptides: Path, tmp_path: Path) -> None:
    train(CONFIG, dipeptides, tmp_path / "first")
    weights = tmp_path / "first" / "weights.safetensors"
    stored = load_weights(weights).model.state_dict()
    config = dataclasses.replace(CONFIG, warmup=10**6, examples=8, validate_every=8)
    train(config, dipeptides, tmp_path / "again", start_from=weights)
    state = load_checkpoint(tmp_path / "again" / CHECKPOINT)
    assert state["step"] == 1
    assert all(float(s["step"]) == 1 for s in state["optimizer"]["state"].values())
    # a step of the warm-up hardly changes anything, and less than half precision resolves
    found = load_weights(tmp_path / "again" / "weights.safetensors").model
    for name, value in found.named_parameters():
        torch.testing.assert_close(value, stored[name], rtol=1e-3, atol=1e-6)
