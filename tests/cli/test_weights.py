"""The weights command."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from crysformer.cli import main
from crysformer.models.weights import packaged_weights


def test_list_names_what_ships(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["weights"]
    assert [row["name"] for row in rows] == list(packaged_weights())
    for row in rows:
        content = packaged_weights()[row["name"]].read_bytes()
        assert row["sha256"] == hashlib.sha256(content).hexdigest()
        assert row["licence"] == "MIT"
    assert sum(row["bytes"] for row in rows) <= 40e6


def test_verify_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "verify"]) == 0
    assert capsys.readouterr().out.count(": ok") == len(packaged_weights())


def test_verify_names_what_is_damaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, path = next(iter(packaged_weights().items()))
    copy = tmp_path / "copy.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    copy.write_bytes(content)
    shutil.copy(path.with_suffix(".json"), copy.with_suffix(".json"))
    assert main(["weights", "verify", name, str(copy)]) == 1
    captured = capsys.readouterr()
    assert f"{name}: ok" in captured.out
    assert f"damaged weights: {copy}" in captured.err


def test_verify_of_nothing_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "verify", str(tmp_path / "none.safetensors")]) == 2
    assert "no such weights" in capsys.readouterr().err
