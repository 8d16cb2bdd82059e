"""Curves of a run in TensorBoard and Weights & Biases."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from crysformer.cli import main
from crysformer.errors import UsageError
from crysformer.training import trackers
from crysformer.training.config import TrainingConfig
from crysformer.training.trackers import TENSORBOARD, TensorBoard, WeightsAndBiases, require
from crysformer.training.train import train


class Recorder:
    """A tracker that keeps what it is given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logged: list[tuple[int, dict[str, float]]] = []
        self.closed = 0

    def log(self, examples: int, values: Any) -> None:
        assert not self.closed
        self.logged.append((examples, dict(values)))

    def close(self) -> None:
        self.closed += 1


def test_a_run_logs_training_and_validation(
    dipeptides: Path, tmp_path: Path, tiny: TrainingConfig
) -> None:
    made: list[Recorder] = []

    def make(folder: Path) -> Recorder:
        made.append(Recorder(folder))
        return made[-1]

    result = train(tiny, dipeptides, tmp_path / "run", trackers=(make,))
    (recorder,) = made
    assert recorder.folder == tmp_path / "run"
    assert recorder.closed == 1
    validations = [(n, values) for n, values in recorder.logged if "validation/pc" in values]
    assert [n for n, _ in validations] == [32, 64]
    assert validations[-1][1]["validation/pc_better_hand"] >= validations[-1][1]["validation/pc"]
    assert 0 < result.pc < 1
    training = [values for _, values in recorder.logged if "training/loss" in values]
    assert training
    assert set(training[0]) == {
        "training/loss", "training/learning_rate", "training/examples_per_second",
    }  # fmt: skip


def test_weights_and_biases_gets_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, Any]] = []
    run = SimpleNamespace(
        log=lambda values: calls.append(("log", values)),
        finish=lambda: calls.append(("finish", None)),
    )

    def init(**options: Any) -> Any:
        calls.append(("init", options))
        return run

    module = SimpleNamespace(init=init, __spec__=object())
    monkeypatch.setitem(sys.modules, "wandb", module)
    tracker = WeightsAndBiases("phases", tmp_path / "run", {"batch_size": 8})
    tracker.log(16, {"training/loss": 0.5})
    tracker.close()
    assert calls == [
        (
            "init",
            {
                "project": "phases", "name": "run", "dir": str(tmp_path / "run"),
                "config": {"batch_size": 8},
            },
        ),
        ("log", {"examples": 16, "training/loss": 0.5}),
        ("finish", None),
    ]  # fmt: skip


def test_tensorboard_reads_the_curves(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracker = TensorBoard(tmp_path)
    tracker.log(16, {"training/loss": 0.5})
    tracker.log(32, {"training/loss": 0.25})
    tracker.close()
    events = EventAccumulator(str(tmp_path / TENSORBOARD))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("training/loss")] == [(16, 0.5), (32, 0.25)]


def test_a_missing_package_is_named(
    dipeptides: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(trackers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="wandb is not installed; `pip install wandb`"):
        require("wandb")
    out = tmp_path / "run"
    options = ["--preset", "dipeptide-small", "--data", str(dipeptides), "-o", str(out)]
    assert main(["train", *options, "--tensorboard"]) == 2
    assert "tensorboard is not installed" in capsys.readouterr().err
    assert not out.exists()
