"""The log of a run beside its results."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path

import pytest

from crysformer.cli import _solve_list, command_parser, main
from crysformer.cli._run_log import NAME, RunLog, run_log
from crysformer.cli._solve_one import load_settings, solve_one
from crysformer.crystal.io.crystal_list import ListedCrystal
from crysformer.files import companions, locked_folder
from crysformer.testing import sample

REAL, SMALL = sample("5e5z"), sample("gf")
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
    program = json.loads((out / "summary.json").read_text())["program"]
    assert f"command: {program['command']}" == lines[1]
    assert f"numpy {program['packages']['numpy']}" in lines[3]
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


def test_predict_has_a_log_of_its_own_and_does_not_vouch_for_the_sequence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The network finds the map of Gly-Phe with the sequence of Phe-Gly as well."""
    prefix = tmp_path / "map"
    argv = ["predict", str(SMALL.data_path), "--passes", "1", "-o", str(prefix), "--sequence"]
    assert main([*argv, "FG"]) == 0
    shown = capsys.readouterr().out
    assert "these figures do not test it" in shown
    assert json.loads((tmp_path / "map.json").read_text())["notes"][-1] in shown
    lines = (tmp_path / "map.log").read_text().splitlines()
    assert lines[1].startswith("command: crysformer predict ")
    assert any(line.endswith("a single prediction") for line in lines)
    assert all(line in "\n".join(lines) for line in shown.splitlines())
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert kept.keys() == {"map.mtz", "map.ccp4", "map.json", "map.log"}
    assert main([*argv, "GGGGG"]) == 1  # fails, and leaves everything
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == kept
    capsys.readouterr()
    assert main([*argv, "GF", "-q"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("network dipeptide-robust")


def test_a_crystal_of_a_list_has_a_log_wherever_it_is_solved(tmp_path: Path) -> None:
    """By a thread of a dask worker, beside which another one has a run of its own."""
    args = command_parser("solve").parse_args([*SOLVE[1:], "-o", str(tmp_path)])
    args.settings, args.command_line = load_settings(args), "crysformer solve list.tsv"
    crystal = ListedCrystal("5e5z", REAL.data_path, None, None)
    options = _solve_list._options(args, tmp_path, crystal)
    other = threading.Thread(target=log.info, args=("of another crystal",))

    def solve_beside(*given: object) -> tuple[dict[str, object], str]:
        other.start()
        other.join()
        return solve_one(options, None)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("crysformer.cli._solve_one.solve_one", solve_beside)
        assert _solve_list._solve_remotely(options, crystal)["status"] == "not solved"
    text = (tmp_path / "5e5z" / NAME).read_text()
    assert "command: crysformer solve list.tsv" in text
    assert "columns: FP, SIGFP" in text
    assert "solved: no" in text
    assert "another crystal" not in text
