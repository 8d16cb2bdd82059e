"""A crystal solved into a folder, from Python as on the command line."""

from __future__ import annotations

import inspect
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest

from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.quality.report import DataReport
from crysformer.errors import CrysformerError, InputError
from crysformer.phasing import solver
from crysformer.report.html import page
from crysformer.samples import SAMPLES
from crysformer.workflow.solve import solve_to_folder

SAMPLE = next(sample for sample in SAMPLES if sample.name == "gf")


def test_a_folder_holds_what_the_solution_says(tmp_path: Path) -> None:
    data, reports = read_crystal(SAMPLE.data_path), list[DataReport]()
    solution, summary = solve_to_folder(
        data, tmp_path / "out", SAMPLE.sequence, method="raar", time_limit=60.0,
        on_report=reports.append, translate=str.upper,
    )  # fmt: skip
    assert solution.solved
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "solution.mtz", "solution.ccp4", "summary.json", "state.safetensors", "report.html",
        "density.png",
    }  # fmt: skip
    written = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert written == json.loads(json.dumps(summary))
    assert summary["data"] == reports[0].to_dict()
    assert all(note == note.upper() for note in solution.notes)
    mtz = gemmi.read_mtz_file(str(tmp_path / "out" / "solution.mtz"))
    fom = mtz.column_with_label("FOM").array
    assert np.nanmax(fom) == pytest.approx(float(solution.fom.max()), abs=1e-4)


def test_the_data_report_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report for a browser describes the file that was given, not the solution's copy."""

    def again(*args: Any) -> DataReport:
        raise AssertionError("made a second time")

    monkeypatch.setattr(page, "data_report", again)
    data = replace(read_crystal(SAMPLE.data_path), sigf=None)
    solve_to_folder(data, tmp_path / "out", SAMPLE.sequence, method="raar", time_limit=0.1)
    written = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Wilson plot" in written
    assert "Signal to noise" not in written


def test_a_search_that_fails_leaves_no_folder(tmp_path: Path) -> None:
    data = read_crystal(SAMPLE.data_path)
    few = replace(data, f=np.where(np.arange(len(data)) < 20, data.f, np.nan))
    with pytest.raises(InputError):
        solve_to_folder(few, tmp_path / "out", SAMPLE.sequence)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_not_empty_is_kept(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(CrysformerError, match="not empty"):
        solve_to_folder(read_crystal(SAMPLE.data_path), tmp_path, SAMPLE.sequence)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_report_counts_towards_the_time_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One clock: what the report takes is not left for the search."""
    begun: list[float] = []
    search = solver.Search
    bound = inspect.signature(search)

    def spy(*args: Any) -> Any:
        begun.append(bound.bind(*args).arguments["begun"])
        return search(*args)

    monkeypatch.setattr(solver, "Search", spy)
    reported: list[float] = []
    before = time.monotonic()
    solve_to_folder(
        read_crystal(SAMPLE.data_path), tmp_path / "out", SAMPLE.sequence, method="raar",
        on_report=lambda report: reported.append(time.monotonic()),
    )  # fmt: skip
    assert before <= begun[0] < reported[0]
