"""Input estimates of training: fractions as configured, and nothing that waits for the device."""

from __future__ import annotations

import contextlib
import dataclasses

import pytest
import torch

from crysformer.data.examples.stream import Batch
from crysformer.testing import random_network, random_patterson_maps, tiny_network
from crysformer.training import recycling_inputs
from crysformer.training.config import TrainingConfig
from crysformer.training.recycling_inputs import starting_estimate

NETWORK = tiny_network(
    scaling="amplitudes", positions="metric", sample_rate=2.0, recycling=True, conditions=True,
    steps=1,
)  # fmt: skip


def batch() -> Batch:
    patterson, codes, lengths = random_patterson_maps(40)
    density = torch.rand(patterson.shape, generator=torch.Generator().manual_seed(0))
    measured = torch.rand(40, 16, 12, 5, generator=torch.Generator().manual_seed(1)) < 0.8
    return Batch(patterson, density, codes, lengths, torch.arange(40), measured)


def config(**changes: float) -> TrainingConfig:
    return dataclasses.replace(TrainingConfig(model=NETWORK), **changes)  # type: ignore[arg-type]


def test_blank_estimates_are_those_that_are_named() -> None:
    model, generator = random_network(NETWORK), torch.Generator().manual_seed(0)
    estimate, blank = starting_estimate(model, batch(), config(blank=0.5, recycled=0.0), generator)
    assert 8 < int(blank.sum()) < 32
    assert torch.equal(blank, estimate.flatten(1).abs().amax(1) == 0)


@pytest.mark.parametrize("chance", [0.0, 0.999])
def test_a_device_is_never_read(chance: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the device "meta", which holds no data, reading any would fail."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
    asked = []

    def decided(_: torch.Generator, purpose: int = 0) -> float:
        asked.append(purpose)
        return chance

    monkeypatch.setattr(recycling_inputs, "host_uniform", decided)
    estimate, blank = starting_estimate(
        random_network(NETWORK).to("meta"),
        batch().to("meta"),
        config(blank=0.5, recycled=0.5),
        torch.Generator().manual_seed(0),
    )
    assert estimate.device.type == "meta"
    assert blank.shape == (40,)
    assert asked == ([0, 1] if chance < 0.5 else [0])
