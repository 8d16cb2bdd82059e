"""Memory of a run, estimated before it starts."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from crysformer.data.store import FragmentStore
from crysformer.errors import CrysformerError
from crysformer.models.registry import make_network
from crysformer.training import validator as validator_module
from crysformer.training.config import TrainingConfig, training_preset
from crysformer.training.data import TrainingData
from crysformer.training.memory import (
    MemoryEstimate,
    estimate_memory,
    free_memory,
    memory_problem,
)
from crysformer.training.train import train
from crysformer.training.validator import _first


def test_batches_that_fit() -> None:
    estimate = MemoryEstimate(fixed=1e9, example=1e8, free=3e9)
    assert estimate.needed(10) == pytest.approx(2e9)
    assert estimate.fits(20)
    assert not estimate.fits(21)
    assert estimate.largest_batch() == 16
    assert memory_problem(estimate, 20, 1) is None
    problem = memory_problem(estimate, 40, 2)
    assert problem is not None
    assert "about 5.0 GB with batches of 40, 3.0 GB are free" in problem
    assert problem.endswith("set batch_size = 16 and accumulate = 5 for the same steps")
    small = MemoryEstimate(fixed=1e9, example=1e8, free=1e9)
    assert small.largest_batch() == 0
    assert "a smaller network" in (memory_problem(small, 1, 1) or "")
    assert memory_problem(dataclasses.replace(small, free=None), 10**6, 1) is None


def test_recomputed_layers_and_small_networks_need_less(dipeptides: Path) -> None:
    config = training_preset("dipeptide-small")
    data = TrainingData(config, FragmentStore.open(dipeptides), torch.device("cpu"))
    example = _first(data.validation(1)[0], 1)

    def of_example(checkpointing: bool = False, **changes: int) -> float:
        model = make_network(dataclasses.replace(config.model, **changes), None)
        model.checkpointing = checkpointing
        before = torch.get_rng_state()
        estimate = estimate_memory(model, example, config.loss, torch.device("cpu"))
        assert torch.equal(torch.get_rng_state(), before)
        assert all(parameter.grad is None for parameter in model.parameters())
        return estimate.example

    whole = of_example()
    assert of_example(checkpointing=True) < 0.9 * whole
    # every layer keeps as much as the others
    one, two, three = (of_example(depth=depth) for depth in (1, 2, 3))
    assert three - two == pytest.approx(two - one, rel=0.05)
    assert three - two > 0


def test_a_run_that_does_not_fit_is_refused(
    dipeptides: Path, tmp_path: Path, tiny: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        validator_module, "estimate_memory", lambda *_: MemoryEstimate(1e9, 1e9, 5e9)
    )
    with pytest.raises(CrysformerError, match="batch_size = 4 and accumulate = 2"):
        train(tiny, dipeptides, tmp_path / "run")


def test_free_memory_of_this_machine() -> None:
    free = free_memory(torch.device("cpu"))
    assert free is None or 1e7 < free < 1e14
