"""Faults that a run survives: no compiler, too little memory, a loss that is not finite."""

from __future__ import annotations

import csv
import dataclasses
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from crysformer.errors import CrysformerError
from crysformer.models.crysformer import CrysFormer
from crysformer.models.layers import TransformerLayer
from crysformer.models.weights import load_weights
from crysformer.training.checkpoint import CHECKPOINT, load_checkpoint
from crysformer.training.config import TrainingConfig
from crysformer.training.faults import CompiledBlocks, out_of_memory
from crysformer.training.learner import Learner
from crysformer.training.loop import HISTORY
from crysformer.training.train import train


def rows(folder: Path) -> list[dict[str, str]]:
    with open(folder / HISTORY, newline="") as file:
        return list(csv.DictReader(file))


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


def test_without_a_compiler_the_run_is_eager(
    dipeptides: Path,
    tmp_path: Path,
    tiny: TrainingConfig,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    train(tiny, dipeptides, tmp_path / "eager")

    def compile_block(block: TransformerLayer) -> None:
        def call(*args: Any) -> Tensor:
            raise RuntimeError("no compiler found\nwith many lines of advice")

        block._compiled_call_impl = call

    monkeypatch.setattr(TransformerLayer, "compile", compile_block)
    train(dataclasses.replace(tiny, compile=True), dipeptides, tmp_path / "run")
    (line,) = warnings(caplog)
    assert line == "not compiled (no compiler found); running the network as it is"
    assert rows(tmp_path / "run")[-1]["examples"] == "64"
    assert load_weights(tmp_path / "run" / "weights.safetensors").info["metrics"]["pc"] > 0


def test_blocks_are_compiled_one_by_one(
    tiny: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[nn.Module] = []
    monkeypatch.setattr(nn.Module, "compile", lambda module: compiled.append(module))
    model = CrysFormer(dataclasses.replace(tiny.model, depth=3))
    names = list(model.state_dict())
    blocks = CompiledBlocks(model, True)
    assert compiled == list(model.layers)
    assert list(model.state_dict()) == names
    blocks.give_up()
    assert not blocks.active
    assert not CompiledBlocks(model, False).active


def test_an_error_that_is_not_of_the_compiler_is_reported(
    dipeptides: Path, tmp_path: Path, tiny: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forward(*args: Any) -> Tensor:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(CrysFormer, "map_tokens", forward)
    monkeypatch.setattr(TransformerLayer, "compile", lambda block: None)
    with pytest.raises(RuntimeError, match="a mistake"):
        train(dataclasses.replace(tiny, compile=True), dipeptides, tmp_path / "run")


def limit_memory(monkeypatch: pytest.MonkeyPatch, examples: int) -> None:
    original = CrysFormer.forward

    def forward(self: CrysFormer, patterson: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if self.training and len(patterson) > examples:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return original(self, patterson, *args, **kwargs)

    monkeypatch.setattr(CrysFormer, "forward", forward)


def test_batches_that_do_not_fit_are_halved(
    dipeptides: Path,
    tmp_path: Path,
    tiny: TrainingConfig,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    limit_memory(monkeypatch, 3)
    tiny = dataclasses.replace(tiny, final_rate=1.0)  # the same rate in runs of any length
    run = tmp_path / "run"
    train(tiny, dipeptides, run)
    assert warnings(caplog) == [
        "out of memory: batches of 4, 2 in each step",
        "out of memory: batches of 2, 4 in each step",
    ]
    assert [(row["step"], row["examples"]) for row in rows(run)] == [("4", "32"), ("8", "64")]
    info = load_weights(run / "weights.safetensors").info["training"]
    assert (info["config"]["batch_size"], info["config"]["accumulate"]) == (2, 4)
    # a resumed run begins with the size that fits, and continues the same draws
    caplog.clear()
    longer = dataclasses.replace(tiny, examples=96)
    train(longer, dipeptides, run, resume=True)
    assert not warnings(caplog)
    assert [row["step"] for row in rows(run)] == ["4", "8", "12"]
    train(longer, dipeptides, tmp_path / "whole")
    losses, expected = ([r["train_loss"] for r in rows(f)] for f in (run, tmp_path / "whole"))
    assert losses == expected


def test_short_memory_is_recognised() -> None:
    for text in ("cuFFT error: CUFFT_ALLOC_FAILED", "DefaultCPUAllocator: can't allocate memory"):
        assert out_of_memory(RuntimeError(text))
    assert out_of_memory(torch.OutOfMemoryError(""))
    assert not out_of_memory(RuntimeError("shapes differ"))
    assert not out_of_memory(ValueError("out of memory"))


def test_too_little_memory_for_one_example_ends_the_run(
    dipeptides: Path, tmp_path: Path, tiny: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit_memory(monkeypatch, 0)
    with pytest.raises(CrysformerError, match="not enough memory for a single example"):
        train(dataclasses.replace(tiny, batch_size=3), dipeptides, tmp_path / "run")


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_leads_back_to_the_last_weights(
    dipeptides: Path,
    tmp_path: Path,
    tiny: TrainingConfig,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    bad: float,
) -> None:
    calls = 0
    original = Learner.backward

    def backward(self: Learner, *args: Any) -> Tensor:
        nonlocal calls
        calls += 1
        loss = original(self, *args)
        if calls == 6:  # after the validation at 32 examples
            for parameter in self.model.parameters():
                if parameter.grad is not None:
                    parameter.grad.fill_(bad)
            return loss * bad
        return loss

    monkeypatch.setattr(Learner, "backward", backward)
    run = tmp_path / "run"
    train(dataclasses.replace(tiny, log_every=2), dipeptides, run)
    (line,) = warnings(caplog)
    assert f"the loss is {bad} after 48 examples: back to the weights after 32 examples" in line
    assert calls == 10  # two steps were done again
    assert [row["examples"] for row in rows(run)] == ["32", "64"]
    assert rows(run)[-1]["step"] == "8"
    weights = load_weights(run / "weights.safetensors")
    assert all(value.isfinite().all() for value in weights.model.state_dict().values())
    state = load_checkpoint(run / CHECKPOINT)
    assert state["returns"] == 1
    assert all(value.isfinite().all() for value in state["model"].values())
    assert float(rows(run)[-1]["learning_rate"]) == pytest.approx(
        0.5 * tiny.final_rate * tiny.learning_rate, rel=0.01
    )


def test_weights_that_are_not_finite_are_not_written(
    dipeptides: Path,
    tmp_path: Path,
    tiny: TrainingConfig,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    original = Learner.update
    steps = 0

    def update(self: Learner, rate: float) -> None:
        nonlocal steps
        steps += 1
        original(self, rate)
        if steps == 4:  # the loss of this step was finite, and it is validated next
            with torch.no_grad():
                self.averaged.norm.weight.fill_(torch.nan)

    monkeypatch.setattr(Learner, "update", update)
    train(tiny, dipeptides, tmp_path / "run")
    (line,) = warnings(caplog)
    assert "back to the weights after 0 examples" in line
    assert [row["examples"] for row in rows(tmp_path / "run")] == ["32", "64"]
    assert all(float(row["pc"]) > -1 for row in rows(tmp_path / "run"))
