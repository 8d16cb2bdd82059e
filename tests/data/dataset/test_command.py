"""The dataset command from the outside."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from crysformer.cli import main
from crysformer.data.store import FRAGMENTS


def test_build_check_export(
    structures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "deep" / "data")
    command = ["dataset", "build", str(structures), "-o", out, "--recipe", "fifteen", "--json"]
    assert main(command) == 0
    manifest = json.loads(capsys.readouterr().out)
    assert manifest["recipe"] == "fifteen"
    assert manifest["discards"]["window_left_out_by_stride"] > 100
    assert main(["dataset", "check", out]) == 0
    assert "all checks passed" in capsys.readouterr().out
    assert main(["dataset", "export", out, "--format", "mtz", "--limit", "1"]) == 0
    assert len(list((tmp_path / "deep" / "data" / "export_mtz").glob("*.mtz"))) == 3
    assert main(command) == 2
    assert "not empty" in capsys.readouterr().err


def test_summary_in_words(
    structures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = str(structures / "1shg_A.pdb.gz")
    command = ["dataset", "build", source, "-o", str(tmp_path / "out"), "--recipe", "dipeptide"]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "1 structure file, 1 chain, 57 residues" in text
    assert "r free unknown" in text
    bytes_of_fragments = (tmp_path / "out" / FRAGMENTS).read_bytes()
    assert f"(data_sha256 in other files): {hashlib.sha256(bytes_of_fragments).hexdigest()}" in text


def test_an_empty_training_split_is_a_warning(
    structures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = str(structures / "1shg_A.pdb.gz")
    command = ["dataset", "build", source, "--recipe", "dipeptide", "--json", "-q"]
    warned = []
    for seed in ("1", "3"):  # of one chain, all fragments are in one split
        assert main([*command, "-o", str(tmp_path / seed), "--seed", seed]) == 0
        captured = capsys.readouterr()
        fragments = json.loads(captured.out)["counts"]["fragments"]
        assert ("the training split is empty" in captured.err) == (fragments["train"] == 0)
        warned.append(fragments["train"] == 0)
    assert warned == [False, True]


def test_damaged_file_is_named_and_not_a_success(
    structures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "2bad.pdb.gz"
    bad.write_bytes(b"\x1f\x8b junk")
    paths = [str(structures / "1shg_A.pdb.gz"), str(bad)]
    out = str(tmp_path / "out")
    assert main(["dataset", "build", *paths, "-o", out, "--recipe", "dipeptide"]) == 1
    captured = capsys.readouterr()
    assert "2bad.pdb.gz: cannot be read" in captured.err
    assert captured.err.count("\n") == 1
    assert main(["dataset", "check", out]) == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["build", "x.pdb", "-o", "out"],
        ["build", "x.pdb", "-o", "out", "--recipe", "dipeptide", "--jobs", "0"],
        ["export", "x", "--format", "xyz"],
        [],
    ],
)
def test_usage_errors(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dataset", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_failed_check_is_exit_1(
    structures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = str(structures / "1shg_A.pdb.gz")
    out = tmp_path / "out"
    main(["dataset", "build", source, "-o", str(out), "--recipe", "dipeptide"])
    manifest = json.loads((out / "manifest.json").read_text())
    manifest["hashes"]["content"] = "0" * 64
    (out / "manifest.json").write_text(json.dumps(manifest))
    assert main(["dataset", "check", str(out)]) == 1
    assert "the values differ" in capsys.readouterr().out
