"""Work that the batches of a training step share."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

import pytest
import torch

from crysformer.data.store import FragmentStore
from crysformer.training.config import TrainingConfig
from crysformer.training.learner import Learner
from crysformer.training.loop import Trainer


def test_a_step_with_shared_keys_changes_weights_as_one_without(
    dipeptides: Path, tmp_path: Path, tiny: TrainingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = dataclasses.replace(tiny, accumulate=3, batch_size=4)
    states = []
    for shared in (True, False):
        if not shared:
            monkeypatch.setattr(Learner, "sharing", lambda *_: contextlib.nullcontext())
        trainer = Trainer(
            config, FragmentStore.open(dipeptides), tmp_path, None, torch.device("cpu")
        )
        before = {k: v.clone() for k, v in trainer.learner.model.state_dict().items()}
        for _ in range(2):
            trainer.train_step()
        assert trainer.losses.read()
        states.append((trainer.losses.latest, trainer.learner.model.state_dict()))
    (loss, state), (expected_loss, expected) = states
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    name = "layers.0.attention.partial_key_value.weight"
    assert not torch.equal(state[name], before[name])
    for name, value in expected.items():
        torch.testing.assert_close(state[name], value, rtol=1e-3, atol=1e-5)


def test_cpus_train_in_single_precision(
    dipeptides: Path, tmp_path: Path, tiny: TrainingConfig
) -> None:
    losses = []
    for bf16 in (False, True):
        config = dataclasses.replace(tiny, bf16=bf16)
        store = FragmentStore.open(dipeptides)
        trainer = Trainer(config, store, tmp_path, None, torch.device("cpu"))
        trainer.train_step()
        assert trainer.losses.read()
        losses.append(trainer.losses.latest)
    assert losses[0] == losses[1]
