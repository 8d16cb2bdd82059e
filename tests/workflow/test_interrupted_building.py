"""Building that is interrupted leaves the solution and the best model so far."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import gemmi
import numpy as np
import pytest

from crysformer.building import build_run
from crysformer.building.refinement import choice
from crysformer.building.settings import BuildSettings
from crysformer.building.start import Start
from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.io.write import write_phases
from crysformer.signals import Terminated, sigterm_as_exception
from crysformer.testing import sample
from crysformer.workflow import build as workflow
from crysformer.workflow import reports
from crysformer.workflow.build import build_to_folder

SAMPLE = sample("gf")
QUICK = BuildSettings(cycles=3, short_cycles=2, more_cycles=0, rebuilds=1, folds=0)


@pytest.fixture(autouse=True)
def _without_servalcat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "find_servalcat", lambda: None)


def interrupted(folder: Path, kind: type[KeyboardInterrupt]) -> str:
    """Build into a folder that has phases; what the interruption says."""
    folder.mkdir()
    data = read_crystal(SAMPLE.data_path)
    zero = np.zeros(len(data))
    write_phases(folder / "solution.mtz", data, data.f, zero, zero)
    start = Start(gemmi.read_structure(str(SAMPLE.model_path)))
    with pytest.raises(kind) as caught, sigterm_as_exception():
        build_to_folder(data, folder, SAMPLE.sequence, start, settings=QUICK, overwrite=True)
    assert type(caught.value) is kind
    return str(caught.value)


@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_the_best_model_is_written(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: signal.Signals,
    kind: type[KeyboardInterrupt],
) -> None:
    def stop(*_: object) -> None:
        signal.raise_signal(number)

    monkeypatch.setattr(build_run.BuildRun, "improved", stop)
    out = tmp_path / "out"
    said = interrupted(out, kind)
    assert f"the best model so far is in {out}" in said
    assert f"`crysformer build {out} -o NEW` goes on" in said
    model = gemmi.read_structure(str(out / "model.cif"))
    assert [residue.name for residue in model[0][0]][:2] == ["GLY", "PHE"]
    refinement = json.loads((out / "summary.json").read_text())["refinement"]
    assert refinement["r_work"] < 0.1
    assert "building was interrupted: the model is the best so far" in refinement["notes"]
    assert not [path.name for path in out.iterdir() if path.name.startswith(".")]


def test_a_signal_while_files_are_written_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = workflow.write_building

    def late(*args: object) -> None:
        signal.raise_signal(signal.SIGINT)
        write(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(workflow, "write_building", late)
    out = tmp_path / "out"
    assert "the best model so far is in" in interrupted(out, KeyboardInterrupt)
    assert {"model.cif", "model.pdb", "summary.json", "refinement.log"} <= {
        path.name for path in out.iterdir()
    }


def test_before_there_is_a_model_the_phases_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(build_run.BuildRun, "first", stop)
    out = tmp_path / "out"
    assert "before there was a model" in interrupted(out, KeyboardInterrupt)
    assert [path.name for path in out.iterdir()] == ["solution.mtz"]


def test_only_the_report_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> str:
        signal.raise_signal(signal.SIGINT)
        return ""

    monkeypatch.setattr(reports, "html_report", stop)
    with pytest.raises(KeyboardInterrupt, match=f"`crysformer report {tmp_path}` writes"):
        reports.write_report(tmp_path)
    assert list(tmp_path.iterdir()) == []
