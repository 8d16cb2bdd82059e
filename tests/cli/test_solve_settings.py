"""``crysformer solve --print-settings`` and ``--settings``."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from crysformer import cli
from crysformer.phasing.settings import SolveSettings
from crysformer.samples import SAMPLES


def test_settings_are_printed_without_data_and_read_back_identically(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["solve", "--print-settings"]) == 0
    printed = capsys.readouterr().out
    path = tmp_path / "settings.toml"
    path.write_text(printed, encoding="utf-8")
    assert SolveSettings.read(path) == SolveSettings()
    path.write_text(printed.replace("beta = 0.82", "beta = 0.9"), encoding="utf-8")
    assert cli.main(["solve", "--print-settings", "--settings", str(path)]) == 0
    again = capsys.readouterr().out
    assert again != printed
    path.write_text(again, encoding="utf-8")
    assert SolveSettings.read(path).raar.beta == 0.9
    assert cli.main(["solve", "--print-settings", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values == json.loads(json.dumps(asdict(SolveSettings())))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[raar]\nitertions = 3\n", "unknown setting 'raar.itertions'; did you mean"),
        ("[raar]\niterations = 'many'\n", "raar.iterations is 'many', expected int like 150"),
        ("[raar]\nbeta = 7.0\n", "raar.beta is 7.0, expected 0.1 to 1.0"),
    ],
)
def test_wrong_settings_are_one_line_and_nothing_is_written(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "wrong.toml", tmp_path / "out"
    path.write_text(text)
    data = str(SAMPLES[0].data_path)
    assert cli.main(["solve", data, "--settings", str(path), "-o", str(out)]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert str(path) in error
    assert message in error
    assert not out.exists()


def test_a_missing_settings_file_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["solve", "--print-settings", "--settings", str(tmp_path / "no.toml")]) == 1
    assert "no.toml: cannot be read" in capsys.readouterr().err


def test_data_and_output_are_needed_to_solve(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["solve"]) == 2
    assert "missing DATA and -o/--output" in capsys.readouterr().err
    assert cli.main(["solve", "some.mtz"]) == 2
    assert "missing -o/--output" in capsys.readouterr().err


def test_settings_steer_the_search_and_are_in_the_summary(tmp_path: Path) -> None:
    path, out = tmp_path / "settings.toml", tmp_path / "out"
    path.write_text("[random_starts]\nfirst_starts = 3\nmax_starts = 3\n")
    sample = SAMPLES[0]
    command = ["solve", str(sample.data_path), "--sequence", sample.sequence, "-o", str(out)]
    options = ["--method", "raar", "--time-limit", "0.01", "--settings", str(path), "-q"]
    assert cli.main([*command, *options]) == 0
    summary = json.loads((out / "summary.json").read_text())
    assert summary["starts"] == 3
    assert summary["settings"]["random_starts"]["first_starts"] == 3
    assert summary["settings"]["raar"] == asdict(SolveSettings())["raar"]
