"""A training step reads nothing back from the device."""

from __future__ import annotations

import csv
import dataclasses
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from crysformer.data.store import FragmentStore
from crysformer.models.crysformer import CrysFormer
from crysformer.training.config import TrainingConfig
from crysformer.training.learner import Inputs
from crysformer.training.loop import HISTORY, Trainer
from crysformer.training.running_loss import RunningLoss
from crysformer.training.train import train

#: Methods of a tensor that wait for its values.
READING = (
    "item", "tolist", "cpu", "numpy", "nonzero", "__bool__", "__float__", "__int__", "__index__",
)  # fmt: skip
#: Operators that read a tensor to know the size of another or to raise, or copy from the host.
WAITING = (
    "_local_scalar_dense", "nonzero", "masked_select", "_unique2", "unique_dim", "bincount",
    "_linalg_check_errors", "lift_fresh", "is_nonzero", "equal",
)  # fmt: skip


class Waits(TorchDispatchMode):
    """Counts the operators that wait for the device, also those called by other operators."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.operators = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        name = func.overloadpacket.__name__
        self.operators += 1
        by_mask = name in ("index", "index_put", "index_put_") and any(
            i is not None and i.dtype == torch.bool for i in args[1]
        )
        if name in WAITING or by_mask:
            self.counts[name] += 1
        return func(*args, **(kwargs or {}))


def prepared(
    config: TrainingConfig, data: Path, folder: Path, device: str
) -> tuple[Trainer, Inputs]:
    """A trainer after two steps of warm-up, and the inputs of the next."""
    trainer = Trainer(config, FragmentStore.open(data), folder, None, torch.device(device))
    for _ in range(2):
        trainer.train_step()
    learner = trainer.learner
    return trainer, learner.prepare(trainer.data.measured(next(trainer.batches), learner.random))


@pytest.mark.parametrize("conditions", [False, True])
def test_a_step_reads_nothing_back(
    dipeptides: Path,
    tmp_path: Path,
    tiny: TrainingConfig,
    monkeypatch: pytest.MonkeyPatch,
    conditions: bool,
) -> None:
    config = dataclasses.replace(tiny, model=dataclasses.replace(tiny.model, conditions=conditions))
    trainer, inputs = prepared(config, dipeptides, tmp_path, "cpu")
    counts: Counter[str] = Counter()

    def counted(name: str) -> Any:
        method = getattr(torch.Tensor, name)

        def call(self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            counts[name] += 1
            return method(self, *args, **kwargs)

        return call

    with monkeypatch.context() as patch:
        for name in READING:
            patch.setattr(torch.Tensor, name, counted(name))
        patch.setattr(CrysFormer, "shares_tokens", lambda *_: False)  # as on an accelerator
        with Waits() as waits:
            loss = trainer.learner.backward(inputs, 1)
            trainer.learner.update(1e-3)
            trainer.losses.add(loss)
        assert not counts
        assert waits.operators > 100
        assert not waits.counts
        assert trainer.losses.read()
        assert counts == {"tolist": 1}


def test_the_loss_is_read_at_intervals(
    dipeptides: Path, tmp_path: Path, tiny: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting: list[int] = []
    original = RunningLoss.read

    def read(losses: RunningLoss) -> bool:
        waiting.append(losses.waiting)
        return original(losses)

    monkeypatch.setattr(RunningLoss, "read", read)
    config = dataclasses.replace(tiny, examples=80, validate_every=80, log_every=4)
    train(config, dipeptides, tmp_path / "run")
    assert waiting == [1, 4, 4, 1]  # the first, twice four, and before the validation
    with open(tmp_path / "run" / HISTORY, newline="") as file:
        (row,) = csv.DictReader(file)
    assert 0.3 < float(row["train_loss"]) < 1.1


@pytest.mark.gpu
def test_a_step_on_a_gpu_does_not_wait(
    dipeptides: Path, tmp_path: Path, tiny: TrainingConfig
) -> None:
    trainer, inputs = prepared(tiny, dipeptides, tmp_path, "cuda")
    torch.cuda.set_sync_debug_mode("error")
    try:
        trainer.losses.add(trainer.learner.backward(inputs, 1))
        trainer.learner.update(1e-3)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert trainer.losses.read()
