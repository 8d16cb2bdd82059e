"""`crysformer train`: options, output, messages."""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import pytest

from crysformer.cli import main
from crysformer.cli.train import PRESETS, seconds
from crysformer.training.config import TRAINING_PRESETS

OWN = """
examples = 16
batch_size = 4
accumulate = 1
loss = "correlation"
validate_every = 8
validation_examples = 4

[model]
width = 24
depth = 1
heads = 2
head_width = 12
feedforward = 32
partial_patch = 12
channels = 2
partial_channels = 1
kernel = 3
final_channels = 2
final_blocks = 1
final_kernel = 3
scaling = "amplitudes"
positions = "metric"
sample_rate = 2.0
"""


def test_a_run_from_a_settings_file_and_its_continuation(
    dipeptides: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    toml, out = tmp_path / "own.toml", tmp_path / "deep" / "run"
    toml.write_text(OWN)
    command = ["train", "--config", str(toml), "--data", str(dipeptides), "-o", str(out)]
    assert main([*command, "--json", "--device", "cpu"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert -1 <= result["pc"] <= 1
    assert Path(result["weights"]).is_file()
    assert main(command) == 2
    assert "not empty" in capsys.readouterr().err
    toml.write_text(OWN.replace("examples = 16", "examples = 24"))
    assert main([*command, "--resume", "-q"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("validation PC ")
    with open(out / "history.csv", newline="") as file:
        assert [int(row["examples"]) for row in csv.DictReader(file)] == [8, 16, 24]


def test_names_offered_are_the_presets() -> None:
    assert set(PRESETS) == set(TRAINING_PRESETS)


def test_mistakes_are_one_line(
    dipeptides: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["-o", str(tmp_path / "run")]
    for command, status, words in (
        (["--preset", "dipeptide-small", "--data", str(tmp_path / "none"), *out], 1, "manifest"),
        (["--preset", "fifteen", "--data", str(dipeptides), *out], 1, "15"),
        (["--preset", "other", "--data", str(dipeptides), *out], 2, "invalid choice"),
        (["--data", str(dipeptides), *out], 2, "--preset"),
    ):
        assert main(["train", *command]) == status
        error = capsys.readouterr().err
        assert words in error
        assert len(error.strip().splitlines()) == 1
        # refused before anything is made
        assert not (tmp_path / "run").exists()


def test_durations() -> None:
    assert seconds("01:30:05") == 5405
    assert seconds("2:30") == 150
    assert seconds("90") == 90
    for wrong in ("an hour", "1:2:3:4", "-5", "0", ""):
        with pytest.raises(argparse.ArgumentTypeError, match="HH:MM:SS"):
            seconds(wrong)
