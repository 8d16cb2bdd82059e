"""The loop: it learns, it resumes to the same losses, it refuses what does not fit."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import pytest
import torch

from crysformer.data.store import FragmentStore
from crysformer.errors import CrysformerError, InputError, UsageError
from crysformer.models.weights import load_weights
from crysformer.testing import tiny_network
from crysformer.training.checkpoint import CHECKPOINT, load_checkpoint
from crysformer.training.config import (
    TrainingConfig,
)
from crysformer.training.loop import HISTORY, Trainer
from crysformer.training.train import train

SMALL = tiny_network(
    dropout=0.1, scaling="amplitudes", positions="metric", sample_rate=2.0, recycling=True
)
CONFIG = TrainingConfig(
    model=SMALL, examples=64, batch_size=4, accumulate=2, learning_rate=3e-3, warmup=8,
    weight_decay=0.01, ema=0.9, loss="correlation", validate_every=32, validation_examples=8,
)  # fmt: skip


def history(folder: Path) -> list[dict[str, str]]:
    with open(folder / HISTORY, newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def test_a_run_learns_and_leaves_usable_weights(dipeptides: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, examples=480, validate_every=240)
    result = train(config, dipeptides, tmp_path / "run")
    rows = history(tmp_path / "run")
    assert [int(row["examples"]) for row in rows] == [240, 480]
    assert float(rows[-1]["train_loss"]) < 0.8  # 1 is what an untrained network has
    assert result.pc > 0.2
    weights = load_weights(tmp_path / "run" / "weights.safetensors")
    assert weights.model.config == SMALL
    assert weights.info["metrics"]["pc"] == result.pc
    assert weights.info["training"]["examples"] == 480
    assert (
        weights.info["data_sha256"]
        == json.loads((dipeptides / "manifest.json").read_text())["hashes"]["fragments.parquet"]
    )


def test_a_resumed_run_gives_the_same_losses(dipeptides: Path, tmp_path: Path) -> None:
    train(CONFIG, dipeptides, tmp_path / "whole")
    half = tmp_path / "half"
    half.mkdir()
    # stopped by hand in the middle: no clean end, only the checkpoint at 32 examples
    stopped = _trainer_until(CONFIG, dipeptides, half, 40)
    assert stopped == 40
    train(CONFIG, dipeptides, half, resume=True)
    assert history(half) == history(tmp_path / "whole")
    ends = [load_checkpoint(tmp_path / name / CHECKPOINT) for name in ("whole", "half")]
    for part in ("model", "averaged"):
        for name, value in ends[0][part].items():
            assert torch.equal(value, ends[1][part][name]), name


def _trainer_until(config: TrainingConfig, data: Path, folder: Path, stop: int) -> int:
    """Train and break off after `stop` examples, as a killed process would."""

    class KilledError(Exception):
        pass

    class Bomb:
        def update(self, examples: int, seconds: float, loss: float) -> None:
            if examples >= stop:
                raise KilledError

        def message(self, text: str) -> None:
            pass

    trainer = Trainer(config, FragmentStore.open(data), folder, None, torch.device("cpu"))
    with pytest.raises(KilledError):
        trainer.run(Bomb())  # type: ignore[arg-type]
    return trainer.examples


def test_max_time_ends_a_run(dipeptides: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, examples=10**9, schedule="time")
    train(config, dipeptides, tmp_path / "run", max_time=2.0)
    info = load_weights(tmp_path / "run" / "weights.safetensors").info
    # The run stops early enough to validate and write: by how much depends on the machine.
    assert info["training"]["seconds"] <= 20
    last = history(tmp_path / "run")[-1]
    # The cycle ends with the time; a slow machine begins its last step some way before the end.
    assert 0.02 <= float(last["learning_rate"]) / CONFIG.learning_rate < 0.2


def test_the_history_has_lines_between_validations_and_counts_epochs(
    dipeptides: Path, tmp_path: Path
) -> None:
    config = dataclasses.replace(
        CONFIG, examples=10**9, validate_every=10**9, history_seconds=1.0, schedule="time"
    )
    train(config, dipeptides, tmp_path / "run", max_time=5.0)
    rows = history(tmp_path / "run")
    assert len(rows) >= 2
    assert [bool(row["pc"]) for row in rows] == [False] * (len(rows) - 1) + [True]
    assert all(0 < float(row["train_loss"]) < 3 for row in rows)
    n_fragments = len(FragmentStore.open(dipeptides).table("train"))
    for row in rows:
        assert float(row["epochs"]) == pytest.approx(int(row["examples"]) / n_fragments, abs=1e-4)
    training = load_weights(tmp_path / "run" / "weights.safetensors").info["training"]
    assert training["epochs"] == pytest.approx(training["examples"] / n_fragments, abs=1e-4)


def test_without_a_time_limit_the_rate_follows_the_examples(
    dipeptides: Path, tmp_path: Path
) -> None:
    config = dataclasses.replace(CONFIG, examples=16, schedule="time")
    train(config, dipeptides, tmp_path / "run")
    last = history(tmp_path / "run")[-1]
    assert int(last["examples"]) == 16
    assert float(last["learning_rate"]) == pytest.approx(0.02 * CONFIG.learning_rate, rel=0.01)


def test_the_paper_setting_trains_on_its_scales(dipeptides: Path, tmp_path: Path) -> None:
    model = dataclasses.replace(
        SMALL, scaling="constant", positions="table", recycling=False, landmarks=4
    )
    config = dataclasses.replace(CONFIG, model=model, loss="mse", examples=16)
    train(config, dipeptides, tmp_path / "run")
    saved = load_weights(tmp_path / "run" / "weights.safetensors").model.config
    assert (saved.patterson_scale, saved.density_scale) == (120.0, 4.0)
    info = load_weights(tmp_path / "run" / "weights.safetensors").info
    assert 0.8 < info["wilson_scale"] < 1.5
    train(dataclasses.replace(config, examples=32), dipeptides, tmp_path / "run", resume=True)
    assert [int(row["examples"]) for row in history(tmp_path / "run")] == [16, 32]


def test_what_does_not_fit_is_refused(dipeptides: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="seed is -1"):
        dataclasses.replace(CONFIG, seed=-1)
    longer = dataclasses.replace(SMALL, n_residues=15)
    with pytest.raises(InputError, match="15"):
        train(dataclasses.replace(CONFIG, model=longer), dipeptides, tmp_path / "b")
    with pytest.raises(InputError, match="no checkpoint"):
        train(CONFIG, dipeptides, tmp_path / "c", resume=True)
    train(dataclasses.replace(CONFIG, examples=8), dipeptides, tmp_path / "d")
    with pytest.raises(UsageError, match="not empty"):
        train(CONFIG, dipeptides, tmp_path / "d")
    other = dataclasses.replace(SMALL, width=48)
    with pytest.raises(InputError, match="another network"):
        train(dataclasses.replace(CONFIG, model=other), dipeptides, tmp_path / "d", resume=True)


def test_a_diverging_run_says_so(dipeptides: Path, tmp_path: Path) -> None:
    config = dataclasses.replace(CONFIG, learning_rate=1e30)
    with pytest.raises(CrysformerError, match="lower learning_rate"):
        train(config, dipeptides, tmp_path / "run")
