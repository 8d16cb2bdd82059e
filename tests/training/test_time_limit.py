"""The time limit counts everything, and a run that is killed loses little."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from crysformer.data.examples.stream import Batch
from crysformer.data.store import FragmentStore
from crysformer.errors import InputError
from crysformer.models.weights import load_weights
from crysformer.training import validator as validator_module
from crysformer.training.checkpoint import CHECKPOINT, load_checkpoint
from crysformer.training.config import TrainingConfig, to_dict
from crysformer.training.data import TrainingData
from crysformer.training.progress import Progress
from crysformer.training.time_budget import TimeBudget
from crysformer.training.train import train
from crysformer.training.validation import ValidationResult
from crysformer.training.validator import Validator


class Clock:
    """Time that passes on request."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr("crysformer.training.time_budget.time.monotonic", lambda: self.now)


def test_training_ends_early_enough_for_what_comes_after(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    budget = TimeBudget(600.0, 120.0, began=990.0)
    assert budget.seconds == 10
    with budget.measured("validation"):
        clock.now += 8
    with budget.measured("writing"):
        clock.now += 4
    budget.final_example = 0.1
    # validation, two writings, the final validation, and a margin
    assert budget.training_ends(100) == pytest.approx(600 - 1.25 * (8 + 4 + 4 + 10) - 3)
    # a final validation that would take too long is cut
    assert budget.training_ends(10_000) == pytest.approx(600 - 1.25 * (8 + 4 + 4 + 30) - 3)
    assert budget.affordable_examples(10_000) == int((600 - 22 - 3 - 5) / 0.125)
    clock.now += 573
    assert budget.affordable_examples(100) == 0
    budget.validation = 1e6
    assert budget.training_ends(100) == 300
    unlimited = TimeBudget(None, 120.0)
    assert unlimited.training_ends(100) is None
    assert unlimited.affordable_examples(100) == 100
    assert not unlimited.write_due()
    clock.now += 120
    assert unlimited.write_due()
    unlimited.wrote()
    assert not unlimited.write_due()
    unlimited.resume(50.0)
    assert unlimited.seconds == 170


def test_processor_time_passes_only_with_work() -> None:
    waiting = TimeBudget(600.0, 120.0, processor_time=True)
    time.sleep(0.2)
    assert waiting.seconds < 0.1
    until = time.thread_time() + 0.05
    while time.thread_time() < until:
        pass
    assert waiting.seconds >= 0.05


def slow(monkeypatch: pytest.MonkeyPatch, seconds: float) -> list[int]:
    """Make validation take this time for each prediction; return a list of the examples."""
    original: Callable[..., ValidationResult] = validator_module.validate
    done: list[int] = []

    def validate(model: Any, batches: Any, *args: Any, averaged: bool = False) -> ValidationResult:
        batches = list(batches)
        n = sum(map(len, batches))
        done.append(n)
        time.sleep(seconds * n * (4 if averaged else 1))
        return original(model, batches, *args, averaged=averaged)

    monkeypatch.setattr(validator_module, "validate", validate)
    return done


def test_the_limit_includes_start_validation_and_files(
    dipeptides: Path, tmp_path: Path, tiny: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    validated = slow(monkeypatch, 0.04)
    config = dataclasses.replace(
        tiny, examples=10**9, schedule="time", validate_every=10**9, validation_examples=5
    )
    begin = time.monotonic()
    train(config, dipeptides, tmp_path / "run", max_time=12.0, began=begin - 6.0)
    elapsed = time.monotonic() - begin
    assert elapsed < 6.0
    assert elapsed > 4.0
    # timed twice at the start, validated, and the final examples cut to the time left
    assert len(validated) == 4
    assert 1 <= validated[-1] < 5
    info = load_weights(tmp_path / "run" / "weights.safetensors").info
    assert info["metrics"]["n"] == validated[-1]
    assert info["metrics"]["orientations"] == 4


@pytest.mark.parametrize(("seconds", "n"), [(1.0, 64), (2.0, 40), (4.0, 16), (40.0, 8)])
def test_a_final_validation_that_slows_down_ends_early(
    dipeptides: Path, tiny: TrainingConfig, monkeypatch: pytest.MonkeyPatch, seconds: float, n: int
) -> None:
    clock = Clock(monkeypatch)
    config = dataclasses.replace(tiny, final_examples=64)
    budget, device = TimeBudget(100.0, 120.0), torch.device("cpu")
    data = TrainingData(config, FragmentStore.open(dipeptides), device)
    validator = Validator(config, data, device, budget)
    (batch,) = data.validation(1)
    budget.final_example = 1.0  # as it was before

    def validation(n: int, part: int, parts: int) -> list[Batch]:
        return [batch] * len(range(part, n, parts))

    def validate(model: Any, batches: Any, d_min: float, averaged: bool) -> int:
        done = 0
        for _ in batches:
            clock.now += seconds
            done += 1
        return done

    monkeypatch.setattr(data, "validation", validation)
    monkeypatch.setattr(validator_module, "validate", validate)
    assert validator.validate_finally(cast(Any, None), True, Progress(64, None, quiet=True))
    assert validator.result == n


def test_files_are_written_at_intervals_between_validations(
    dipeptides: Path, tmp_path: Path, tiny: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def save(path: Path, model: Any, info: dict[str, Any], shard_size: int) -> None:
        seen.append(info["training"]["examples"])
        assert info["calibration"]["ratio"]
        assert load_checkpoint(path.parent / CHECKPOINT)["examples"] == seen[-1]

    monkeypatch.setattr("crysformer.training.run_folder.save_weights", save)
    config = dataclasses.replace(tiny, examples=32, validate_every=10**9, write_every=0.0)
    train(config, dipeptides, tmp_path / "run")
    assert seen == [8, 16, 24, 32, 32]


SCRIPT = """
import json, sys
from crysformer.training.config import from_dict
from crysformer.training.train import train
train(from_dict(json.loads(sys.argv[1])), sys.argv[2], sys.argv[3])
"""


def test_a_killed_run_leaves_its_last_weights(
    dipeptides: Path, tmp_path: Path, tiny: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    config = dataclasses.replace(tiny, examples=10**9, validate_every=10**9, write_every=0.0)
    command = [sys.executable, "-c", SCRIPT, json.dumps(to_dict(config)), str(dipeptides), str(run)]
    process = subprocess.Popen(command)
    try:
        deadline = time.monotonic() + 100
        while not (run / "weights.json").exists() and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.02)
        time.sleep(0.5)  # it is writing nearly all the time
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    weights = load_weights(run / "weights.safetensors")
    assert weights.info["training"]["examples"] >= 8
    state = load_checkpoint(run / CHECKPOINT)
    end = int(state["examples"]) + 8
    finished = dataclasses.replace(config, examples=end, write_every=120.0)
    train(finished, dipeptides, run, resume=True)
    assert load_weights(run / "weights.safetensors").info["training"]["examples"] == end


def test_a_limit_without_a_step_is_refused_and_writes_no_weights(
    tmp_path: Path, tiny: TrainingConfig, dipeptides: Path
) -> None:
    with pytest.raises(InputError, match="no step of training fitted into the time limit of 5 s"):
        train(
            tiny, dipeptides, tmp_path / "run", max_time=5.0, began=time.monotonic() - 60,
            quiet=True,
        )  # fmt: skip
    assert not list((tmp_path / "run").glob("weights*"))
