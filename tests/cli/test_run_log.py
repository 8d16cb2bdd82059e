"""The log of a run beside its results."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from crysformer.cli import main
from crysformer.cli._run_log import NAME, RunLog, run_log
from crysformer.files import companions, locked_folder
from crysformer.testing import sample

REAL = sample("5e5z")
SOLVE = ["solve", str(REAL.data_path), "--method", "charge-flipping", "--time-limit", "0.3"]
log = logging.getLogger("crysformer")


def test_command_line_versions_and_every_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "a folder"
    assert main([*SOLVE, "-q", "-o", str(out)]) == 0
    shown = capsys.readouterr()
    text = (out / NAME).read_text()
    lines = text.splitlines()
    assert lines[0].startswith("crysformer 0.")
    assert lines[1].startswith("command: crysformer solve ")
    assert lines[1].endswith(f"-q -o '{out}'")
    assert "numpy" in lines[3]
    assert "torch" in lines[3]
    assert "columns: FP, SIGFP" in text  # not shown with -q
    assert "charge-flipping: searching" in text  # a step
    assert len(shown.out.splitlines()) == 1
    assert shown.out.startswith("solved: no")
    assert shown.out.strip() in text
    assert "candidates, best first:" in text
    assert not companions
    assert not any(isinstance(handler, RunLog) for handler in log.handlers)


def test_a_resumed_run_adds_to_the_log_and_a_new_one_replaces_it(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main([*SOLVE, "-q", "-o", str(out)]) == 0
    first = (out / NAME).read_text()
    assert main([*SOLVE, "-q", "-o", str(out), "--resume"]) == 0
    both = (out / NAME).read_text()
    assert both.startswith(first)
    assert both.count("command: ") == 2
    assert both.count("candidates, best first:") == 2
    assert main([*SOLVE, "-q", "-o", str(out), "--overwrite"]) == 0
    assert (out / NAME).read_text().count("command: ") == 1


def test_a_refused_folder_and_a_failed_run_have_none(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    assert main([*SOLVE, "-q", "-o", str(tmp_path)]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    new = tmp_path / "new"
    assert main(["solve", str(REAL.data_path), "--method", "network", "-q", "-o", str(new)]) == 1
    assert not new.exists()


def test_a_refused_run_leaves_an_earlier_log(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert main([*SOLVE, "-q", "-o", str(out)]) == 0
    kept = {path.name: path.read_bytes() for path in out.iterdir()}
    again = ["--overwrite", "--sequence", "GGGGGGGGGGGGGGGGGGGGGGGGGGGGGG", "-o", str(out)]
    assert main([*SOLVE, "-q", *again]) == 1
    assert {path.name: path.read_bytes() for path in out.iterdir()} == kept


def test_an_error_is_the_last_line(tmp_path: Path) -> None:
    def block() -> None:
        with run_log(tmp_path / "out", "crysformer solve", str):
            with locked_folder(tmp_path / "out") as folder:
                log.warning("odd")
                (folder / "state").write_text("kept")
            raise ValueError("it broke")

    with pytest.raises(ValueError, match="it broke"):
        block()
    lines = (tmp_path / "out" / NAME).read_text().splitlines()
    assert lines[-2].endswith("  warning: odd")
    assert lines[-1].endswith("  error: it broke")
