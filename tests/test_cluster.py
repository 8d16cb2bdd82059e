"""Commands on a dask cluster of real processes, one of which is killed in the middle."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from crysformer.cli import _solve_list, main
from crysformer.data import FragmentStore, build
from crysformer.data.dataset import shards
from crysformer.evaluation.methods import Settings
from crysformer.evaluation.regimes.grid import GRID, select
from crysformer.evaluation.regimes.results import Result, ResultLog
from crysformer.evaluation.regimes.run import result_options, run_grid
from crysformer.samples import SAMPLES
from crysformer.testing import WorkerKiller, structures_folder

pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("distributed") is None, reason="dask.distributed is not installed"
    ),
    pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals"),
]


@pytest.fixture(scope="module")
def fifteens(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fifteen") / "data"
    build([structures_folder()], folder, "fifteen")
    return folder


def test_build(fifteens: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "_FILES_PER_SHARD", 3)
    kill = WorkerKiller()
    found = build(
        [structures_folder()], tmp_path / "data", "fifteen", jobs=2, scheduler="local",
        progress=kill,
    )  # fmt: skip
    assert kill.killed
    expected = FragmentStore.open(fifteens).manifest
    assert found.hashes == expected["hashes"]
    assert found.counts == expected["counts"]
    assert found.discards == expected["discards"]
    assert found.changes == expected["changes"]


@pytest.mark.slow
def test_benchmark(fifteens: Path, tmp_path: Path) -> None:
    cells = select(GRID, "2-tight,2-tight-err20,5-tight")
    settings = Settings(time_limit=1.0, device="cpu")

    def run(name: str, **options: object) -> dict[tuple[str, int, str], Result]:
        log = ResultLog(tmp_path / name, result_options(fifteens, "test", settings), False)
        run_grid(log, fifteens, cells, ("random", "random-polished"), settings, 2, **options)  # type: ignore[arg-type]
        lines = (tmp_path / name / "results.jsonl").read_text().splitlines()
        assert len(lines) == len(log.results)  # none twice
        return {key: replace(result, seconds=0.0) for key, result in log.results.items()}

    kill = WorkerKiller()
    assert run("cluster", jobs=2, scheduler="local", progress=kill) == run("here")
    assert kill.killed


@pytest.mark.slow
def test_solve_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = [sample for sample in SAMPLES if sample.name in ("gf", "wk")]
    rows = [(str(s.data_path), s.sequence, "", f"{s.name}{n}") for s in chosen for n in (1, 2)]
    rows.append((str(tmp_path / "none.mtz"), "GF", "", "none"))
    listed = tmp_path / "list.tsv"
    header = ("data", "sequence", "copies", "name")
    listed.write_text("".join("\t".join(row) + "\n" for row in [header, *rows]))
    kill = WorkerKiller()

    @contextmanager
    def killing(*_: object) -> Iterator[WorkerKiller]:
        yield kill

    monkeypatch.setattr(_solve_list, "progress_bar", killing)
    argv = ["solve", str(listed), "-o", str(tmp_path / "out"), "--scheduler", "local"]
    argv += ["--jobs", "2", "--time-limit", "2", "--method", "charge-flipping", "--json"]
    assert main(argv) == 1  # for the file that does not exist
    assert kill.killed
    results = json.loads(capsys.readouterr().out)
    assert results == json.loads((tmp_path / "out" / "results.json").read_text())
    status = {record["name"]: record["status"] for record in results["crystals"]}
    assert list(status) == [row[3] for row in rows]  # in the order of the list
    assert status.pop("none") == "failed"
    assert "failed" not in status.values()
    for name in status:
        assert (tmp_path / "out" / name / "solution.mtz").is_file()
        assert (tmp_path / "out" / name / "crysformer.log").is_file()
    assert not [path for path in tmp_path.rglob("*") if "partial" in path.name]
