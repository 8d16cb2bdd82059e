"""A solution in a notebook: its verdict, pictures, view, and files."""

from __future__ import annotations

import base64
import gc
import json
import re
import time
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest

import crysformer
from crysformer.cli import main
from crysformer.errors import UsageError
from crysformer.report import progress_display
from crysformer.testing import sample
from crysformer.workflow.interactive import Solution

SAMPLE = sample("gf")


@pytest.fixture(scope="module")
def solution() -> Solution:
    data = crysformer.read_crystal(SAMPLE.data_path)
    return crysformer.solve(data, SAMPLE.sequence, time_limit=20, copies=1)


def test_verdict_and_projections(solution: Solution) -> None:
    assert re.fullmatch(
        r"<Solution in P 1: solved \(confidence [\d.]+\), method [\w-]+, [\d.]+ s>", repr(solution)
    )
    html = solution._repr_html_()
    assert html.count("<svg") == 3
    assert "Solved (confidence" in html
    assert "most probably wrong" not in html
    assert "most probably wrong" in replace(solution, solved=False)._repr_html_()
    assert len(html) < 100_000


def test_the_view_has_the_map_and_loads_nothing(
    solution: Solution, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    view = solution.view(height=500)
    frame = view._repr_html_()
    assert list(tmp_path.iterdir()) == []
    assert "height:500px" in frame
    page = unescape(re.search(r'srcdoc="([^"]*)"', frame)[1])  # type: ignore[index]
    assert page == view.page
    assert not re.findall(r'<(?:script|link|img|iframe)[^>]* (?:src|href)="?(?!data:)', page)
    content = json.loads(re.search(r'id="content">(.*?)</script>', page, re.DOTALL)[1])  # type: ignore[index]
    (one,) = content["maps"]
    ccp4 = base64.b64decode(one["data"])
    assert ccp4[208:212] == b"MAP "
    (tmp_path / "map.ccp4").write_bytes(ccp4)
    shown = gemmi.read_ccp4_map(str(tmp_path / "map.ccp4"), setup=True).grid
    mtz = solution.to_gemmi()
    expected = mtz.transform_f_phi_to_map("FWT", "PHWT", exact_size=shown.shape)
    assert np.corrcoef(np.array(shown).ravel(), np.array(expected).ravel())[0, 1] > 0.999


def test_the_same_files_as_the_command(solution: Solution, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    assert solution.write(ours) == ours
    command = ["solve", str(SAMPLE.data_path), "--sequence", SAMPLE.sequence, "--copies", "1"]
    assert main([*command, "--time-limit", "20", "--no-build", "-q", "-o", str(theirs)]) == 0
    extra = {"state.safetensors", "crysformer.log"}  # a resumed search, and the command line
    assert {path.name for path in theirs.iterdir()} - {
        path.name for path in ours.iterdir()
    } == extra
    first, second = (json.loads((f / "summary.json").read_text()) for f in (ours, theirs))
    assert first.keys() == second.keys()
    assert first["input"] == second["input"]
    assert first["data"] == second["data"]
    written = gemmi.read_mtz_file(str(ours / "solution.mtz"))
    command_line = gemmi.read_mtz_file(str(theirs / "solution.mtz"))
    assert written.column_labels() == command_line.column_labels()
    with pytest.raises(UsageError, match="not empty"):
        solution.write(ours)
    solution.write(ours, overwrite=True)


def test_progress_without_a_notebook(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_display, "HEARTBEAT", 0.0)
    shown = crysformer.ProgressDisplay("exporting")
    shown.begin("solving", 60.0)
    shown(0.5, "raar: 24 starts")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("solving: 0:00 of 1:00")
    assert lines[1] == "solving: 0:30 of 1:00, 0:30 left, raar: 24 starts"
    assert 'value="0.500"' in shown._bar()._repr_html_()
    assert repr(shown._bar()) == shown._clock.line()


class Output:
    """Output of a cell that keeps everything that it showed."""

    def __init__(self) -> None:
        self.shown: list[str] = []

    def update(self, content: Any) -> None:
        self.shown.append(content._repr_html_())

    @property
    def fractions(self) -> list[float]:
        return [float(text.split('"')[1]) for text in self.shown]


@pytest.fixture
def output(monkeypatch: pytest.MonkeyPatch) -> Output:
    made = Output()
    monkeypatch.setattr(progress_display, "_TICK", 0.05)
    monkeypatch.setattr(progress_display, "_INTERVAL", 0.0)
    monkeypatch.setattr(progress_display, "_notebook_display", lambda text: made)
    return made


def test_the_bar_of_a_notebook_moves_without_reports(output: Output) -> None:
    shown = crysformer.ProgressDisplay()
    shown.begin("solving", 1.0)
    time.sleep(0.4)
    assert len(output.shown) > 3
    assert output.fractions == sorted(output.fractions)
    assert 0.1 < output.fractions[-1] < 1
    shown.end()
    assert output.fractions[-1] == 1
    assert "solving: took 0:00" in output.shown[-1]
    n = len(output.shown)
    time.sleep(0.15)
    assert len(output.shown) == n
    shown.begin("building", 300.0)
    assert "building: 0:00 of 5:00" in output.shown[-1]
    shown.end()


def test_a_function_without_stages_ends_with_its_last_report(output: Output) -> None:
    shown = crysformer.ProgressDisplay("exporting")
    shown(0.5, "10 of 20")
    shown(1.0, "20 of 20")
    assert output.shown[-1].endswith("exporting: took 0:00")
    n = len(output.shown)
    time.sleep(0.15)
    assert len(output.shown) == n


def test_a_forgotten_bar_stops(output: Output) -> None:
    shown = crysformer.ProgressDisplay("exporting")
    shown(0.5, "half")
    del shown
    gc.collect()
    time.sleep(0.15)
    n = len(output.shown)
    time.sleep(0.15)
    assert len(output.shown) == n


def test_a_solution_ends_its_stage(output: Output) -> None:
    shown = crysformer.ProgressDisplay()
    crysformer.solve(
        crysformer.read_crystal(SAMPLE.data_path), method="raar", time_limit=0.2, progress=shown
    )
    assert "solving: took" in output.shown[-1]
    with pytest.raises(UsageError):
        crysformer.solve(crysformer.read_crystal(SAMPLE.data_path), method="none", progress=shown)
    assert shown._clock.has_ended
