"""Commands that are ended at any moment leave whole files only, and go on from there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import gemmi
import numpy as np
import pytest
import torch

from crysformer.crystal.io.write import read_map
from crysformer.data import build
from crysformer.models.weights import load_weights
from crysformer.samples import SAMPLES
from crysformer.testing import conformer_pairs, structures_folder, write_data_set
from crysformer.training.checkpoint import load_checkpoint

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals"),
]
SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT]
#: Fractions of the time that a command takes, at which it is ended.
MOMENTS = np.random.default_rng(5).uniform(0.15, 0.95, 3)
TRAINING = """
examples = 4000
batch_size = 8
accumulate = 1
validate_every = 200
validation_examples = 4
final_examples = 0
write_every = 0.5
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
dropout = 0.0
scaling = "amplitudes"
positions = "metric"
sample_rate = 2.0
"""


def run(*arguments: str, after: float | None = None, number: int = 0) -> int:
    """Run a command, or end it after some seconds; its exit status."""
    process = subprocess.Popen(
        [sys.executable, "-m", "crysformer", *arguments, "-q"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        process.wait(timeout=after)
    except subprocess.TimeoutExpired:
        process.send_signal(number)
    _, error = process.communicate(timeout=120)
    assert "Traceback" not in error
    assert error.count("\n") <= 1, error
    return process.returncode


def ended(number: int) -> tuple[int, int]:
    """Exit statuses of a process that a signal ended; the second before it could handle any."""
    return 128 + number, -number


def check_files(folder: Path, killed: bool) -> None:
    """Every file that has its name is whole; only SIGKILL may leave unfinished ones."""
    for path in (p for p in folder.rglob("*") if p.is_file()):
        if "partial" in str(path):
            assert killed, path
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".mtz":
            assert gemmi.read_mtz_file(str(path)).nreflections
        elif path.suffix == ".ccp4":
            read_map(path)
        elif path.name == "weights.safetensors":
            load_weights(path)
        elif path.suffix == ".pt":
            load_checkpoint(path)


@pytest.mark.parametrize("number", SIGNALS)
def test_solve(number: signal.Signals, tmp_path: Path) -> None:
    sample = SAMPLES[-1]
    arguments = ["solve", str(sample.data_path), "-o", str(tmp_path / "out"), "--time-limit", "12"]
    best = 0.0
    for moment in MOMENTS:
        status = run(*arguments, "--resume", after=16 * moment, number=number)
        assert status in (0, *ended(number))
        check_files(tmp_path, number == signal.SIGKILL)
        summary = tmp_path / "out" / "summary.json"
        if summary.exists():
            confidence = json.loads(summary.read_text())["confidence"]
            assert confidence >= best
            best = confidence
    assert run(*arguments, "--resume") == 0
    assert json.loads(summary.read_text())["confidence"] >= best
    assert not [path for path in tmp_path.rglob("*") if "partial" in path.name]


@pytest.mark.parametrize("number", SIGNALS)
def test_train(number: signal.Signals, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    data = write_data_set(tmp_path / "data", "dipeptide", conformer_pairs())
    (tmp_path / "own.toml").write_text(TRAINING)
    arguments = ["train", "--config", str(tmp_path / "own.toml"), "--data", str(data), "--threads",
                 "1", "--device", "cpu", "-o"]  # fmt: skip
    begun = time.monotonic()
    assert run(*arguments, str(tmp_path / "whole")) == 0
    took = time.monotonic() - begun
    out = tmp_path / "out"
    for moment in MOMENTS:
        more = ["--resume"] if (out / "checkpoint.pt").exists() else ["--overwrite"]
        status = run(*arguments, str(out), *more, after=took * moment, number=number)
        assert status in (0, *ended(number))
        check_files(out, number == signal.SIGKILL)
    more = ["--resume"] if (out / "checkpoint.pt").exists() else ["--overwrite"]
    assert run(*arguments, str(out), *more) == 0
    found, expected = (
        load_checkpoint(folder / "checkpoint.pt")["averaged"]
        for folder in (out, tmp_path / "whole")
    )
    assert all(torch.equal(value, expected[name]) for name, value in found.items())
    assert not [path for path in out.rglob("*") if "partial" in path.name]


@pytest.mark.parametrize("number", SIGNALS)
def test_list_and_evaluate(number: signal.Signals, tmp_path: Path) -> None:
    listed = tmp_path / "list.tsv"
    rows = [f"{s.data_path}\t{s.sequence}\t\t{s.name}" for s in SAMPLES[:3]]
    listed.write_text("\n".join(["data\tsequence\tcopies\tname", *rows]) + "\n")
    (tmp_path / "data").mkdir()
    data = write_data_set(tmp_path / "data", "dipeptide", conformer_pairs())
    for name, arguments, resumable in (
        ("list", ["solve", str(listed), "--time-limit", "8", "--jobs", "2"], True),
        ("evaluate", ["evaluate", "--data", str(data), "--method", "charge-flipping"], False),
    ):
        out = tmp_path / name
        for moment in MOMENTS[:2]:
            more = ["--resume"] if resumable else ["--overwrite"]
            status = run(*arguments, "-o", str(out), *more, after=14 * moment, number=number)
            assert status in (0, 1, *ended(number))
            if out.exists():
                check_files(out, number == signal.SIGKILL)
        assert run(*arguments, "-o", str(out), *more) in (0, 1)
        assert not [path for path in out.rglob("*") if "partial" in path.name]


@pytest.mark.parametrize("number", SIGNALS)
def test_export(number: signal.Signals, tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    build([structures_folder()], data, "dipeptide")
    arguments = ["dataset", "export", data, "--format", "safetensors", "--shard-size", "1", "-o"]
    begun = time.monotonic()
    assert run(*arguments, str(tmp_path / "whole")) == 0
    took = time.monotonic() - begun
    out = tmp_path / "out"
    for moment in MOMENTS:
        status = run(*arguments, str(out), "--resume", after=took * moment, number=number)
        assert status in (0, *ended(number))
        if out.exists():
            check_files(out, number == signal.SIGKILL)
    assert run(*arguments, str(out), "--resume") == 0
    found, expected = (
        {path.name: path.read_bytes() for path in folder.iterdir()}
        for folder in (out, tmp_path / "whole")
    )
    assert found == expected
