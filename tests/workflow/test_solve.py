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
from crysformer.crystal.io.read_res import read_res_atoms
from crysformer.crystal.quality.report import DataReport
from crysformer.errors import CrysformerError, InputError
from crysformer.phasing import solver
from crysformer.phasing.atoms.atomic_structure import AtomicStructure
from crysformer.report.html import page
from crysformer.samples import SAMPLES
from crysformer.workflow.solution_files import write_solution
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


def test_atoms_are_written_with_the_name_of_the_file_alone(tmp_path: Path) -> None:
    """And, as all of them are fixed, with 10 added to an occupancy of at most 1."""
    data = read_crystal(SAMPLE.data_path)
    solution = solver.solve(data, method="raar", time_limit=0.1)
    atoms = AtomicStructure(
        frac=np.array([[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]]), number=np.array([6, 8]),
        b_iso=np.array([10.0, 20.0]), occupancy=np.array([1.3, 0.8]),
        F=np.zeros(len(data), dtype=complex), r=0.1, cell=data.cell, space_group=data.space_group,
    )  # fmt: skip
    write_solution(tmp_path, data, replace(solution, atoms=atoms))
    lines = (tmp_path / "atoms.res").read_text().splitlines()
    assert Path(data.source).is_absolute()
    assert lines[0] == "TITL gf.mtz.gz in P 1"
    assert [line.split()[5] for line in lines if line[:2] in ("C1", "O1")] == [
        "11.00000", "10.80000",
    ]  # fmt: skip
    assert read_res_atoms(tmp_path / "atoms.res").occupancy == pytest.approx([1.0, 0.8])


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


@pytest.mark.parametrize("starts", [0, 1])
def test_a_model_stays_unless_its_phases_are_replaced(tmp_path: Path, starts: int) -> None:
    """`starts` more than in the run that the model is of."""
    data, out = read_crystal(SAMPLE.data_path), tmp_path / "out"
    options: dict[str, Any] = {"method": "raar", "time_limit": 60.0, "report_page": False}
    _, summary = solve_to_folder(data, out, SAMPLE.sequence, **options)
    built = {"refinement": {"n_residues": 2}, "starts": summary["starts"] - starts}
    (out / "summary.json").write_text(json.dumps({**summary, **built}))
    for name in ("model.cif", "model.pdb", "refinement.log"):
        (out / name).write_text("the model")
    before = (out / "solution.mtz").stat().st_mtime_ns
    solution, again = solve_to_folder(data, out, SAMPLE.sequence, resume=True, **options)
    told = [note for note in solution.notes if "the model of an earlier run" in note]
    assert len(told) == 1
    assert ("stays" in told[0]) == (starts == 0)
    assert (out / "model.pdb").exists() == (starts == 0)
    assert (out / "refinement.log").exists() == (starts == 0)
    assert ((out / "solution.mtz").stat().st_mtime_ns == before) == (starts == 0)
    assert (again["refinement"] == {"n_residues": 2}) == (starts == 0)
