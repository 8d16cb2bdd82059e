"""The command for a GPU in docs/campaign.md, rehearsed on a CPU with a small network."""

from __future__ import annotations

import csv
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from crysformer.models.weights import load_weights, tensor_files

ROOT = Path(__file__).parents[2]

SETTINGS = """
preset = "dipeptide-large"
loss = "better-hand"
batch_size = 8
warmup = 64
write_every = 1.0
validate_every = 100000000
validation_examples = 4

[model]
width = 24
depth = 2
heads = 2
head_width = 12
feedforward = 32
channels = 2
final_channels = 2
steps = 1
step_channels = 2
"""


def documented() -> list[str]:
    """The command of docs/campaign.md."""
    text = (ROOT / "docs" / "campaign.md").read_text(encoding="utf-8")
    (command,) = re.findall(r"^python (benchmarks/campaign\.py (?:.*\\\n)*.*)$", text, re.MULTILINE)
    return shlex.split(command.replace("\\\n", " "))


def test_the_documented_command_runs_on_a_cpu(dipeptides: Path, tmp_path: Path) -> None:
    (tmp_path / "campaign.toml").write_text(SETTINGS)
    values = {
        "--config": "campaign.toml", "--data": str(dipeptides), "-o": "campaign",
        "--minutes": "0.2", "--batch-sizes": "16",
    }  # fmt: skip
    script, *command = documented()
    for flag, value in values.items():
        command[command.index(flag) + 1] = value
    # Compiling takes longer on a CPU than this test may: the flag is given, and is without effect.
    environment = {**os.environ, "TORCHDYNAMO_DISABLE": "1"}
    done = subprocess.run(
        [sys.executable, str(ROOT / script), *command, "--device", "cpu"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    out = tmp_path / "campaign"
    weights = load_weights(out / "run" / "weights.safetensors")
    training = weights.info["training"]
    assert training["config"]["batch_size"] == 16
    assert training["config"]["compile"]
    assert training["examples"] >= 16
    assert training["seconds"] <= 12
    assert weights.info["metrics"]["orientations"] == 4
    assert all(file.stat().st_size <= 2**24 for file in tensor_files(out / "run" / "weights.json"))
    with open(out / "run" / "history.csv", newline="") as file:
        assert int(list(csv.DictReader(file))[-1]["examples"]) == training["examples"]
    log = (out / "log.txt").read_text()
    for words in ("s to start", '"name": "dipeptide-large"', "training loss", "s in all"):
        assert words in log
    assert float(re.findall(r"([\d.]+) s in all", log)[0]) <= 13
