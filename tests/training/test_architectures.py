"""Training of other architectures, and of a network that refines another's predictions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from crysformer.cli import main
from crysformer.errors import InputError, UsageError
from crysformer.models.refining import Refining
from crysformer.models.unet import UNetConfig
from crysformer.models.weights import load_weights
from crysformer.training.config import (
    TrainingConfig,
    read_config,
    to_toml,
    training_preset,
    with_architecture,
)
from crysformer.training.config_changes import with_changes
from crysformer.training.train import train

SMALL = UNetConfig(first_channels=4, channels=4, blocks=1, kernel=3, sample_rate=2.0)
CONFIG = TrainingConfig(
    model=SMALL, examples=96, batch_size=8, accumulate=1, learning_rate=1e-2, warmup=8, ema=0.9,
    loss="correlation", validate_every=96, validation_examples=4, final_examples=4,
)  # fmt: skip


def test_a_first_run_and_one_that_refines_it(dipeptides: Path, tmp_path: Path) -> None:
    first = train(CONFIG, dipeptides, tmp_path / "first")
    weights = tmp_path / "first" / "weights.safetensors"
    # With a rate of almost zero the second run ends where it starts: at the first network.
    still = with_changes(CONFIG, ["learning_rate=1e-12", "examples=8", "ema=0"])
    same = train(still, dipeptides, tmp_path / "same", refine=weights)
    assert same.pc == pytest.approx(first.pc, abs=0.05)
    refined = train(CONFIG, dipeptides, tmp_path / "second", refine=weights)
    loaded = load_weights(tmp_path / "second" / "weights.safetensors").model
    assert isinstance(loaded, Refining)
    before = load_weights(weights).model.state_dict()
    for name, value in loaded.first.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert refined.pc > same.pc - 0.02
    # a longer run goes on from the checkpoint, and other weights are not refined twice
    longer = with_changes(CONFIG, ["examples=104"])
    train(longer, dipeptides, tmp_path / "second", refine=weights, resume=True)
    with pytest.raises(UsageError, match="takes an estimate already"):
        train(
            CONFIG, dipeptides, tmp_path / "third",
            refine=tmp_path / "second" / "weights.safetensors",
        )  # fmt: skip
    with pytest.raises(UsageError, match="leave out `start_from`"):
        train(CONFIG, dipeptides, tmp_path / "third", refine=weights, start_from=weights)
    assert not (tmp_path / "third").exists()


def test_averaged_weights_have_the_statistics_of_batch_normalisation(
    dipeptides: Path, tmp_path: Path
) -> None:
    train(CONFIG, dipeptides, tmp_path / "run")
    model = load_weights(tmp_path / "run" / "weights.safetensors").model
    variances = [v for name, v in model.state_dict().items() if name.endswith("running_var")]
    assert variances
    assert all((v - 1).abs().max() > 1e-3 for v in variances)  # no longer the initial ones


def test_settings_of_another_architecture(tmp_path: Path) -> None:
    config = with_architecture(training_preset("fifteen"), "unet")
    assert config.model == UNetConfig(n_residues=15)
    (tmp_path / "own.toml").write_text(to_toml(config))
    assert read_config(tmp_path / "own.toml") == config
    (tmp_path / "own.toml").write_text('[model]\narchitecture = "unet"\nwidth = 8\n')
    with pytest.raises(InputError, match=r"unknown setting 'model\.width'"):
        read_config(tmp_path / "own.toml")


def test_single_settings_may_be_changed() -> None:
    config = with_changes(
        training_preset("dipeptide-small"), ["model.width=384", "loss=mse", "bf16 = true"]
    )
    assert config.model == with_changes(config, ["model.width = 384"]).model
    assert (config.loss, config.bf16) == ("mse", True)
    assert (
        with_changes(training_preset("fifteen"), ["model.landmarks=none"]).model.landmarks is None
    )
    for change, message in (
        ("model.wdith=3", "did you mean 'model.width'"),
        ("model.width=wide", "expected int"),
        ("width", "expected KEY=VALUE"),
        ("model.width=[1", "expected int"),
        ("=3", "expected KEY=VALUE"),
        ("loss=none", "expected one of"),
    ):
        with pytest.raises((InputError, UsageError), match=message):
            with_changes(config, [change])


def test_the_command_prints_its_settings(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "--preset", "dipeptide-small", "--model", "unet", "--print-config"]
    assert main([*command, "--set", "model.blocks=2", "--json"]) == 0
    model = json.loads(capsys.readouterr().out)["model"]
    assert (model["architecture"], model["blocks"], model["sample_rate"]) == ("unet", 2, 2.0)
    assert main(["train", "--preset", "dipeptide-small"]) == 2
    assert "missing --data and --output" in capsys.readouterr().err
    assert main(["train", "--preset", "dipeptide-small", "--model", "vit", "--print-config"]) == 2
    assert "unknown architecture 'vit'" in capsys.readouterr().err
