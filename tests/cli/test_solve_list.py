"""Many crystals by one command: a folder each, one table, and nothing lost on the way."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from crysformer.cli import _list_results, _solve_list, main
from crysformer.crystal.io.crystal_list import ListedCrystal, read_list
from crysformer.samples import SAMPLES

GF, WK = (next(sample for sample in SAMPLES if sample.name == name) for name in ("gf", "wk"))
QUICK = ["--time-limit", "1", "--method", "charge-flipping", "--no-build"]


def write_list(folder: Path, *rows: tuple[object, ...]) -> Path:
    path = folder / "list.tsv"
    lines = [("data", "sequence", "copies"), *rows]
    path.write_text("".join("\t".join(map(str, line)) + "\n" for line in lines))
    return path


def test_a_bad_file_does_not_stop_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = write_list(
        tmp_path,
        (GF.data_path, GF.sequence, ""),
        ("broken.mtz", "", ""),
        (WK.data_path, WK.sequence, 1),
        ("none.mtz", "", ""),
    )
    (tmp_path / "broken.mtz").write_bytes(b"MTZ nonsense")
    out = tmp_path / "new" / "out"
    argv = ["solve", str(listed), "-o", str(out), "--jobs", "2", *QUICK]
    assert main([*argv, "--json"]) == 1
    captured = capsys.readouterr()
    results = json.loads(captured.out)
    assert results == json.loads((out / "results.json").read_text())
    assert results["n"] == 4
    assert results["failed"] == 2
    states = {record["name"]: record["status"] for record in results["crystals"]}
    assert list(states) == ["gf", "broken", "wk", "none"]
    assert states["broken"] == states["none"] == "failed"
    with open(out / "results.tsv", newline="") as file:
        table = list(csv.DictReader(file, delimiter="\t"))
    assert [row["name"] for row in table] == list(states)
    for row, record in zip(table, results["crystals"], strict=True):
        assert row["status"] == record["status"]
        if record["status"] == "failed":
            assert not (out / record["name"]).exists()
            assert f"error: {record['name']}: {record['message']}" in captured.err
            assert captured.err.count(record["message"]) == 1
            assert f"{record['name']}: failed\n" in captured.err
            assert str(tmp_path) in record["message"]
            continue
        summary = json.loads((out / record["name"] / "summary.json").read_text())
        assert record["confidence"] == summary["confidence"]
        assert record["status"] == ("solved" if summary["solved"] else "not solved")
        assert (out / record["name"] / "solution.mtz").is_file()
    last = captured.err.strip().splitlines()[-2:]
    assert [line.split(":")[1].strip() for line in last] == ["broken", "none"]

    # a second run is refused, and a resumed one redoes only what is not complete
    before = {name: (out / name / "summary.json").stat().st_mtime_ns for name in ("gf", "wk")}
    assert main(argv) == 2
    assert "not empty" in capsys.readouterr().err
    (out / "wk" / "solution.ccp4").unlink()
    (tmp_path / "broken.mtz").unlink()
    assert main([*argv, "--resume"]) == 1
    captured = capsys.readouterr()
    assert "1 of 4 are complete already" in captured.err
    assert "3 crystals to solve, each in at most 0:0" in captured.err
    assert "in all" in captured.err
    assert "4 crystals: " in captured.out
    assert f"written: {out}: results.tsv, results.json" in captured.out
    assert "2 failed" in captured.out
    after = {name: (out / name / "summary.json").stat().st_mtime_ns for name in ("gf", "wk")}
    assert after["gf"] == before["gf"]
    assert after["wk"] > before["wk"]
    assert (out / "wk" / "solution.ccp4").is_file()


@pytest.mark.parametrize(
    ("status", "seconds", "complete"),
    [("solved", 0.4, True), ("not solved", 59.0, True), ("not solved", 20.0, False)],
)
def test_an_unsolved_crystal_goes_on_with_a_longer_limit(
    status: str, seconds: float, complete: bool, tmp_path: Path
) -> None:
    crystal = ListedCrystal("gf", GF.data_path, GF.sequence, None)
    row = _list_results.record_of(
        crystal, status, confidence=0.2, method="raar", seconds=seconds, starts=3, warnings=0
    )
    _list_results.write_results(tmp_path, (crystal,), {"gf": row})
    (tmp_path / "gf").mkdir()
    for name in _list_results.RESULTS:
        (tmp_path / "gf" / name).touch()
    assert ("gf" in _list_results.complete_records(tmp_path, [crystal], 60.0)) == complete


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--sequence", "GG"], 2, "--sequence is for one crystal"),
        (["--copies", "2"], 2, "--copies is for one crystal"),
        (["--jobs", "0"], 2, "--jobs 0"),
    ],
)
def test_options_that_do_not_go_with_a_list(
    options: list[str],
    status: int,
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    listed = write_list(tmp_path, (GF.data_path, "", ""))
    assert main(["solve", str(listed), "-o", str(tmp_path / "out"), *options]) == status
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_lists_and_jobs_that_cannot_be_used(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["-o", str(tmp_path / "out")]
    for argv, status, message in (
        ([str(write_list(tmp_path)), *out], 1, "no rows"),
        ([str(tmp_path / "none.tsv"), *out], 1, "no such file"),
        ([str(GF.data_path), "--jobs", "2", *out], 2, "--jobs is for a list"),
    ):
        assert main(["solve", *argv]) == status
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
def test_an_interrupted_list_keeps_what_is_done(tmp_path: Path) -> None:
    noise = SAMPLES[-1]  # real data, not solved in any time
    assert not noise.synthetic
    listed = write_list(tmp_path, (GF.data_path, GF.sequence, ""), (noise.data_path, "", ""))
    out = tmp_path / "out"
    argv = [sys.executable, "-m", "crysformer", "solve", str(listed), "-o", str(out)]
    process = subprocess.Popen(
        [*argv, "--time-limit", "60"], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        start_new_session=True,
        # where the tests run in the background of a shell it is ignored, and that is inherited
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    end = time.monotonic() + 90
    while not (out / "5e5z").exists() and time.monotonic() < end:
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stdout == ""
    last = stderr.strip().splitlines()[-1]
    assert last.startswith("crysformer: error: interrupted; ")
    assert last.endswith("kept; pass --resume to go on")
    assert "Traceback" not in stderr
    results = json.loads((out / "results.json").read_text())
    assert [record["name"] for record in results["crystals"]] == ["gf"]
    assert (out / "gf" / "solution.mtz").is_file()
    # The other one leaves its state, and what it had found if it had a candidate.
    left = {path.name for path in (out / "5e5z").iterdir()} if (out / "5e5z").exists() else set()
    assert left - {"crysformer.log"} in (
        set(), {"state.safetensors"}, {"state.safetensors", *_list_results.RESULTS},
    )  # fmt: skip


def test_the_time_left_is_estimated_from_this_run_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = write_list(tmp_path, (GF.data_path, "GF", ""), (WK.data_path, "WK", ""))
    gf, wk = read_list(listed)

    def solved(crystal: ListedCrystal) -> dict[str, Any]:
        return _list_results.record_of(
            crystal, "solved", confidence=1.0, method="raar", seconds=1.0, starts=1, warnings=0
        )

    out = tmp_path / "out"
    (out / "gf").mkdir(parents=True)
    for name in _list_results.RESULTS:
        (out / "gf" / name).touch()
    _list_results.write_results(out, (gf, wk), {"gf": solved(gf)})
    fractions: list[float] = []

    @contextmanager
    def recorded(*_: object) -> Iterator[Callable[[float, str], None]]:
        yield lambda fraction, text: fractions.append(fraction)

    monkeypatch.setattr(_solve_list, "progress_bar", recorded)
    monkeypatch.setattr(
        _solve_list, "_solve_all", lambda *_: iter([(None, 0.25), (solved(wk), 0.0)])
    )
    argv = ["solve", str(listed), "-o", str(out), "--time-limit", "60", "--build-time-limit", "30"]
    assert main([*argv, "--resume", "--no-report"]) == 0
    assert fractions == [0.25, 1.0]
    told = "1 crystal to solve, each in at most 1:00, and 0:30 for the model of a solution; "
    assert f"{told}at most 1:30 in all" in capsys.readouterr().err


def test_a_process_that_dies_is_a_failure_of_its_crystal() -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=os._exit, args=(7,))
    process.start()
    theirs.close()
    crystal = ListedCrystal("one", Path("one.mtz"), None, None)
    record = _solve_list._listen(_solve_list._Job(crystal, process, ours))
    assert record is not None
    assert record["status"] == "failed"
    assert "exit code 7" in record["message"]
