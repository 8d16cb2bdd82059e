"""The loop: it learns, it resumes to the same losses, it refuses what does not fit."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import pytest
import torch

from crysformer.cli.train import PRESETS
from crysformer.data.dataset.store import FragmentStore
from crysformer.errors import CrysformerError, InputError, UsageError
from crysformer.models.crysformer import CrysFormer, CrysFormerConfig
from crysformer.models.weights import load_weights, save_weights
from crysformer.training.checkpoint import CHECKPOINT, load_checkpoint
from crysformer.training.config import (
    TRAINING_PRESETS,
    TrainingConfig,
    from_dict,
    read_config,
    to_dict,
    training_preset,
)
from crysformer.training.data import TrainingData
from crysformer.training.loop import HISTORY, Trainer
from crysformer.training.losses import correlation_loss, mean_squared_error
from crysformer.training.train import train
from crysformer.training.warm_start import starting_weights

SMALL = CrysFormerConfig(
    width=24, depth=1, heads=2, head_width=12, feedforward=32, partial_patch=12, channels=2,
    partial_channels=1, kernel=3, final_channels=2, final_blocks=1, final_kernel=3, dropout=0.1,
    scaling="amplitudes", positions="metric", sample_rate=2.0, recycling=True,
)  # fmt: skip
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


def test_conditions_need_scales_from_the_amplitudes(tmp_path: Path) -> None:
    text = "[model]\nconditions = true\nscaling = 'constant'\n[measured]\nexact = 0.5\n"
    (tmp_path / "wrong.toml").write_text(text)
    with pytest.raises(UsageError, match="scaling"):
        read_config(tmp_path / "wrong.toml")
    (tmp_path / "right.toml").write_text(text.replace("constant", "amplitudes"))
    config = read_config(tmp_path / "right.toml")
    assert config.model.conditions
    assert config.measured.exact == 0.5
    assert from_dict(to_dict(config)) == config


def _trainer_until(config: TrainingConfig, data: Path, folder: Path, stop: int) -> int:
    """Train and break off after `stop` examples, as a killed process would."""
    from crysformer.data.dataset.store import FragmentStore

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
    assert 2 <= info["training"]["seconds"] <= 20
    last = history(tmp_path / "run")[-1]
    assert float(last["learning_rate"]) == pytest.approx(0.02 * CONFIG.learning_rate, rel=0.01)


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


def test_checkpoints_that_hold_code_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / CHECKPOINT
    torch.save({"model": print}, path)
    with pytest.raises(InputError, match="not a readable checkpoint"):
        load_checkpoint(path)
    path.write_bytes(b"PK\x03\x04 truncated")
    with pytest.raises(InputError, match="not a readable checkpoint"):
        load_checkpoint(path)


def test_settings_survive_a_round_trip_and_mistakes_are_named(tmp_path: Path) -> None:
    assert sorted(TRAINING_PRESETS) == sorted(PRESETS)
    for name in PRESETS:
        config = training_preset(name)
        assert from_dict(json.loads(json.dumps(to_dict(config)))) == config
    toml = tmp_path / "own.toml"
    toml.write_text('preset = "dipeptide-small"\nlearning_rate = 1e-4\n[model]\ndepth = 3\n')
    config = read_config(toml)
    assert (config.learning_rate, config.model.depth) == (1e-4, 3)
    assert config.model.width == training_preset("dipeptide-small").model.width
    for text, message in (
        ("learning_rat = 1\n", "unknown setting 'learning_rat'"),
        ("batch_size = 'ten'\n", "batch_size is 'ten', expected int"),
        ("batch_size = 0\n", "expected at least 1"),
        ("loss = 'l1'\n", "unknown loss"),
        ("batch_size = \n", "not valid TOML"),
        ("model = 3\n", "not a table"),
    ):
        toml.write_text(text)
        with pytest.raises(CrysformerError, match=message):
            read_config(toml)
    with pytest.raises(InputError, match="cannot be read"):
        read_config(tmp_path / "missing.toml")


def test_losses_on_known_maps() -> None:
    torch.manual_seed(0)
    true = torch.randn(3, 1, 8, 8, 8)
    assert float(correlation_loss(5 * true + 2, true)) == pytest.approx(0, abs=1e-5)
    assert float(correlation_loss(-true, true)) == pytest.approx(2, abs=1e-5)
    assert float(mean_squared_error(torch.zeros_like(true), true)) == pytest.approx(1)
    assert float(mean_squared_error(2 * true, true)) == pytest.approx(1)
