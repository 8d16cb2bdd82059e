"""The runner: resuming, refusing, counting, and the command around it."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crysformer.cli import main
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import InputError, NotApplicable, UsageError
from crysformer.evaluation import methods
from crysformer.evaluation.methods import METHODS, Phasing, Settings
from crysformer.evaluation.regimes.grid import GRID, Condition, select
from crysformer.evaluation.regimes.results import Result, ResultLog, read_results
from crysformer.evaluation.regimes.run import LEFT_OUT, chosen_methods, result_options, run_grid
from crysformer.evaluation.regimes.tables import compare_methods, summarise, verdicts

CELLS = select(GRID, "2-tight,2-tight-err20,5-tight")
SETTINGS = Settings(time_limit=1.0, device="cpu")


def run(folder: Path, data: Path, n: int = 2, resume: bool = False, **options: object) -> ResultLog:
    log = ResultLog(folder, result_options(data, "test", SETTINGS), resume)
    run_grid(log, data, CELLS, ("random", "random-polished"), SETTINGS, n, **options)  # type: ignore[arg-type]
    return log


def untimed(log: ResultLog) -> dict[tuple[str, int, str], Result]:
    return {key: replace(result, seconds=0.0) for key, result in log.results.items()}


def test_results_do_not_depend_on_interruptions(fifteens: Path, tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", fifteens)
    assert len(whole.results) == 2 * 2 * len(CELLS)
    run(tmp_path / "parts", fifteens, n=1)
    record = tmp_path / "parts" / "results.jsonl"
    lines = record.read_text().splitlines(keepends=True)
    record.write_text("".join(lines[:3]) + lines[3][:40])  # stopped while writing
    parts = run(tmp_path / "parts", fifteens, resume=True)
    assert untimed(parts) == untimed(whole)
    assert {r.key: r for r in read_results(tmp_path / "parts")} == parts.results
    assert record.read_text().startswith("".join(lines[:3]))  # nothing is done twice
    assert len(record.read_text().splitlines()) == len(whole.results)


@pytest.mark.slow
def test_processes_give_the_same_results(fifteens: Path, tmp_path: Path) -> None:
    one = run(tmp_path / "one", fifteens, n=1)
    two = run(tmp_path / "two", fifteens, n=1, jobs=2)
    assert untimed(one) == untimed(two)


def test_every_condition_comes_before_the_second_crystal(fifteens: Path, tmp_path: Path) -> None:
    log = run(tmp_path / "log", fifteens)
    order = [(result.number, result.cell) for result in log.results.values()][::2]
    assert order == [(k, cell.name) for k in range(2) for cell in CELLS]


def test_no_budget_no_crystal(fifteens: Path, tmp_path: Path) -> None:
    assert not run(tmp_path / "none", fifteens, budget=0.0).results


def test_changed_options_are_refused(fifteens: Path, data_set: Path, tmp_path: Path) -> None:
    options = result_options(fifteens, "test", SETTINGS)
    ResultLog(tmp_path, options, resume=False)
    ResultLog(tmp_path, options, resume=True)
    with pytest.raises(UsageError, match=r"not empty.*`resume`"):
        ResultLog(tmp_path, options, resume=False)
    longer = result_options(fifteens, "test", replace(SETTINGS, time_limit=2.0))
    with pytest.raises(UsageError, match=r"begun with time_limit 1\.0, not 2\.0"):
        ResultLog(tmp_path, longer, resume=True)
    with pytest.raises(UsageError, match="begun with data of other content"):
        ResultLog(tmp_path, result_options(data_set, "test", SETTINGS), resume=True)


def test_a_damaged_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_text('{"cell": 1}\n')
    with pytest.raises(InputError, match="line 1 is no result"):
        read_results(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        read_results(tmp_path / "nowhere")


def test_methods_come_from_the_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "new", METHODS["random"])
    assert chosen_methods(None) == tuple(m for m in METHODS if m not in LEFT_OUT)
    assert "new" in chosen_methods(None)
    assert chosen_methods("new, random,new") == ("new", "random")
    with pytest.raises(UsageError, match="`methods` guessing"):
        chosen_methods("guessing")


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Methods that claim, decline and crash."""

    def claims(data: CrystalData, sequence: str, settings: Settings) -> Phasing:
        phi = np.zeros(len(data))
        return Phasing(phi, seconds=2.0, claimed=True, confidence=0.95)

    def declines(data: CrystalData, sequence: str, settings: Settings) -> Phasing:
        raise NotApplicable("too small")

    def crashes(data: CrystalData, sequence: str, settings: Settings) -> Phasing:
        raise ZeroDivisionError("one\nby zero")

    for name, method in (("claims", claims), ("declines", declines), ("crashes", crashes)):
        monkeypatch.setitem(methods.METHODS, name, method)


def test_false_claims_and_refusals_are_counted(
    fifteens: Path, tmp_path: Path, scripted: None
) -> None:
    cells = (CELLS[0], Condition(2, "tight", control="wilson"))
    log = ResultLog(tmp_path, result_options(fifteens, "test", SETTINGS), resume=False)
    run_grid(log, fifteens, cells, ("claims", "declines", "crashes"), SETTINGS, 2)
    results = list(log.results.values())
    (judged,) = verdicts(results)
    assert (judged.method, judged.n, judged.claimed, judged.false_claims) == ("claims", 4, 4, 4)
    assert judged.upper_bound == 1
    assert judged.reliability is not None
    assert judged.reliability.ece == pytest.approx(0.95)
    first = summarise(results, cells, ("claims", "declines", "crashes"))[:3]
    assert [(s.n, s.n_not_applicable, s.n_crashed) for s in first] == [
        (2, 0, 0), (2, 2, 0), (0, 0, 2),
    ]  # fmt: skip
    assert [s.solved_share for s in first] == [0.0, None, None]
    assert first[0].seconds == 2.0
    messages = {r.status: r.message for r in results}
    assert messages["not applicable"] == "too small"
    assert "ZeroDivisionError at test_run.py" in messages["crashed"]
    assert "\n" not in messages["crashed"]
    keys = [(cells[0].name, 0, m) for m in ("claims", "declines", "crashes")]
    assert log.missing(keys) == [keys[2]]  # crashes are tried again


def test_methods_are_compared_crystal_by_crystal() -> None:
    def result(cell: str, number: int, method: str, solved: bool, status: str = "done") -> Result:
        return Result(cell, number, method, "id", "GG", status, solved=solved)  # type: ignore[arg-type]

    a, b, c = CELLS
    rows = [(a, 0, 1, 0), (a, 1, 1, 0), (b, 0, 0, 1), (b, 1, 1, 1)]
    results = [
        result(cell.name, number, method, bool(solved))
        for cell, number, *both in rows
        for method, solved in zip(("new", "old"), both, strict=True)
    ]
    results += [result(c.name, 0, "new", False, "not applicable"), result(c.name, 0, "old", True)]
    found = compare_methods(results, CELLS, "new", "old")
    assert found is not None
    assert (found.n, found.both, found.only_first, found.only_second) == (4, 1, 2, 1)
    assert found.p_value == pytest.approx(1.0)
    assert (found.helps, found.harms, found.not_applicable) == ((a.name,), (b.name,), (c.name,))
    assert compare_methods(results, CELLS, "new", "newer") is None


def test_command_writes_tables_and_figures(
    fifteens: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "grid"
    argv = ["benchmark", "regimes", "--data", str(fifteens), "-o", str(out), "-n", "1"]
    argv += ["--conditions", "2-tight,2-tight-x2", "--methods", "random,random-polished"]
    assert main([*argv, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["left_to_do"] == 0
    assert {(c["cell"], c["method"], c["n"]) for c in printed["cells"]} == {
        (cell, method, 1)
        for cell in ("2-tight", "2-tight-x2")
        for method in ("random", "random-polished")
    }
    assert {path.name for path in out.iterdir()} == {
        "options.json", "results.jsonl", "results.tsv", "regimes.tsv", "regimes.json",
        "regimes.png", "report.md", "crysformer.log",
    }  # fmt: skip
    with (out / "results.tsv").open() as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert len(rows) == 4
    assert (out / "regimes.png").read_bytes().startswith(b"\x89PNG")
    assert "| 2-tight-x2 | 1 |" in (out / "report.md").read_text()
    assert main([*argv, "--resume", "--time-limit", "3"]) == 2
    assert "begun with time_limit" in capsys.readouterr().err


def test_command_fails_at_the_end_naming_the_crash(
    fifteens: Path, tmp_path: Path, scripted: None, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["benchmark", "control", "--data", str(fifteens), "-o", str(tmp_path / "out")]
    argv += ["-n", "1", "--cells", "2-tight-w*", "--methods", "crashes,claims"]
    assert main(argv) == 1
    captured = capsys.readouterr()
    assert "2 crashed: crashes; first crashes on 2-tight-wilson, crystal 0" in captured.err
    assert "claims: claimed 2 of 2 solved, falsely 2 (95 % upper bound 100.00%)" in captured.out
    report = (tmp_path / "out" / "report.md").read_text()
    assert "| claims | 2 | 2 | 2 | 100.00% |" in report
    assert (tmp_path / "out" / "reliability.png").exists()
    results = str(tmp_path / "out")
    assert main(["benchmark", "reliability", results, "-o", str(tmp_path / "r.png")]) == 0
    assert "calibration error 0.950" in capsys.readouterr().out
    assert (tmp_path / "r.png").exists()


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["regimes", "--data", "nowhere", "-o", "x"], 1, "manifest.json"),
        (["regimes", "-o", "x"], 2, "--data and -o/--output are needed"),
        (
            ["control", "--cells", "nothing", "--list"],
            2,
            "--conditions nothing: matches no condition",
        ),
        (["regimes", "-n", "0"], 2, "at least 1"),
        (["regimes", "--data", "DATA", "-o", "x", "--methods", "guess"], 2, "--methods guess"),
        (["regimes", "--data", "DATA", "-o", "x", "--time-limit", "0"], 2, "above zero"),
        (["reliability", "nowhere"], 1, "no such file"),
    ],
)
def test_bad_requests_write_nothing(
    options: list[str],
    status: int,
    message: str,
    fifteens: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    argv = [str(fifteens) if option == "DATA" else option for option in options]
    assert main(["benchmark", *argv]) == status
    captured = capsys.readouterr()
    assert len(captured.err.splitlines()) == 1
    assert message in captured.err
    assert not list(tmp_path.iterdir())


def test_list_prints_every_condition(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "regimes", "--list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(GRID)
