"""Settings of a run: presets, TOML files, mistakes."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import pytest
import torch

from crysformer.cli.train import PRESETS
from crysformer.data.store import FragmentStore
from crysformer.errors import CrysformerError, InputError, UsageError
from crysformer.training.config import (
    TRAINING_PRESETS,
    from_dict,
    read_config,
    to_dict,
    training_preset,
)
from crysformer.training.config_changes import with_changes
from crysformer.training.data import TrainingData


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
        ("batch_size = 0\n", "batch_size is 0, expected 1 to 65536"),
        ("loss = 'l1'\n", "loss is 'l1', expected one of"),
        ("batch_size = \n", "not valid TOML"),
        ("model = 3\n", "not a table"),
    ):
        toml.write_text(text)
        with pytest.raises(CrysformerError, match=message):
            read_config(toml)
    with pytest.raises(InputError, match="cannot be read"):
        read_config(tmp_path / "missing.toml")


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


def test_static_grids_are_for_networks_with_metric_positions(dipeptides: Path) -> None:
    small = training_preset("dipeptide-small")
    config = with_changes(small, ["static_grids=[[16, 12, 12], [20, 16, 16]]", "batch_size=4"])
    assert config.static_grids == ((16, 12, 12), (20, 16, 16))
    assert from_dict(to_dict(config)) == config
    data = TrainingData(config, FragmentStore.open(dipeptides), torch.device("cpu"))
    shapes = {tuple(batch.density.shape[2:]) for batch in islice(data.stream(), 12)}
    assert shapes <= {(16, 12, 12), (20, 16, 16)}
    for change, problem in (
        ("[[16, 12, 10]]", "multiples of the patch, 4"),
        ("[[16, 12]]", "expected array of array of 3 int"),
        ("[[16, 12, 0]]", "expected 1 to 1024"),
    ):
        with pytest.raises((InputError, UsageError), match=problem):
            with_changes(small, [f"static_grids={change}"])
    with pytest.raises(UsageError, match="metric"):
        with_changes(training_preset("dipeptide"), ["static_grids=[[24, 20, 16]]"])
