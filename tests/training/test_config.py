"""Settings of a run: presets, TOML files, mistakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crysformer.cli.train import PRESETS
from crysformer.errors import CrysformerError, InputError, UsageError
from crysformer.training.config import (
    TRAINING_PRESETS,
    from_dict,
    read_config,
    to_dict,
    training_preset,
)


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
