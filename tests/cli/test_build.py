"""crysformer build, and the last stage of crysformer solve."""

from __future__ import annotations

import json
import re
from pathlib import Path

import gemmi
import numpy as np
import pytest

from crysformer.building.model_structure_factors import atomic_structure_factors, in_crystal
from crysformer.building.refinement import choice
from crysformer.cli import main
from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.io.write import write_phases
from crysformer.testing import sample

SAMPLE, SMALL = sample("5e5z"), sample("gf")
FILES = {
    "model.cif", "model.pdb", "solution.mtz", "open.py", "refinement.log", "summary.json",
    "crysformer.log",
}  # fmt: skip


@pytest.fixture(autouse=True)
def _without_servalcat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "find_servalcat", lambda: None)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_model_is_refined_into_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["build", str(SAMPLE.data_path), "--model", str(SAMPLE.model_path)]
    assert main([*command, "-o", str(out), "--sequence", SAMPLE.sequence, "--json", "-q"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert names(out) == FILES | {"density.png"}
    assert (out / "density.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((out / "summary.json").read_text()) == summary
    assert summary["refinement"]["r_work"] < 0.22
    assert summary["refinement"]["n_free"] == 18
    assert summary["refinement"]["r_free_k_fold"]["folds"] == 5
    assert summary["input"]["sequence"] == [SAMPLE.sequence]
    assert "ramachandran" in summary["validation"]
    mtz = gemmi.read_mtz_file(str(out / "solution.mtz"))
    assert {"FC", "PHIC", "FWT", "PHWT", "DELFWT", "PHDELWT", "FOM", "HLA"} <= set(
        mtz.column_labels()
    )
    model = gemmi.read_structure(str(out / "model.cif"))
    assert model.cell.approx(mtz.cell, 0.01)
    assert main([*command, "-o", str(out)]) == 2  # the folder is not empty
    assert "not empty" in capsys.readouterr().err
    # what was written can be built again, with the sequence that it holds
    again = ["build", str(out), "-o", str(tmp_path / "again"), "--build-time-limit", "5", "-q"]
    again.append("--no-report")
    assert main(again) == 0
    text = capsys.readouterr().out
    assert "report" not in text
    assert "model: Rwork 0." in text
    assert names(tmp_path / "again") == FILES


def test_a_solved_crystal_has_a_model_unless_it_is_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["solve", str(SMALL.data_path), "--sequence", SMALL.sequence]
    command += ["--method", "raar", "-o", str(tmp_path / "out")]
    assert main(command) == 0
    text = capsys.readouterr().out
    assert re.search(r"^  R-work(, 5-fold)?  +0\.0", text, re.MULTILINE)
    assert "model: 2 residues in 1 chain" in text
    assert "density.png, report.html" in text
    assert "open.py" in text
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["solved"]
    assert summary["refinement"]["r_work"] < 0.1
    assert names(tmp_path / "out") >= FILES | {"solution.ccp4", "state.safetensors"}
    # phases without a model replace those with one, and its files
    assert main([*command, "--no-build", "--overwrite"]) == 0
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["solved"]
    assert summary["refinement"] is None
    assert not names(tmp_path / "out") & {"model.pdb", "open.py", "refinement.log"}


def test_the_phases_stay_if_building_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["solve", str(SMALL.data_path), "-o", str(out), "--method", "raar"]
    assert main(command) == 0  # without a sequence there is nothing to build
    assert "model: not built" in capsys.readouterr().out
    summary = json.loads((out / "summary.json").read_text())
    assert "pass --sequence" in summary["refinement"]["failure"]
    phases = {
        "solution.mtz", "solution.ccp4", "summary.json", "state.safetensors", "report.html",
        "density.png", "crysformer.log",
    }  # fmt: skip
    assert names(out) == phases


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, model = str(SAMPLE.data_path), str(SAMPLE.model_path)
    out = ["-o", str(tmp_path / "out"), "-q"]
    other = tmp_path / "other.mtz"
    small = read_crystal(SMALL.data_path)
    write_phases(other, small, small.f, 0 * small.f, 0 * small.f + 1)
    broken = tmp_path / "broken.mtz"
    broken.write_bytes(other.read_bytes()[:500])
    cif = tmp_path / "no.cif"
    cif.write_text("data_nothing\n")
    cases = {
        ("build", data): (2, "give --map or --model, or a folder"),
        ("build", data, "--map", str(other), "--model", model): (2, "both given"),
        ("build", data, "--model", model, "--map-labin", "FWT,PHWT"): (2, "columns of --map"),
        ("build", data, "--model", model, "--copies", "0"): (2, "--copies is 0"),
        ("build", data, "--model", model, "--space-group", "P1"): (1, "space group P 1 21 1, exp"),
        ("build", data, "--map", str(other), "--map-labin", "FWT,PHWT", "--sequence", "LVHSSN"): (
            1, "other.mtz: cell 9.6"),
        ("build", data, "--map", str(broken), "--sequence", "LVHSSN"): (1, "broken.mtz"),
        ("build", data, "--map", str(tmp_path / "none.mtz")): (1, "no such file"),
        ("build", str(tmp_path / "missing.mtz")): (1, "no such file"),
        ("build", data, "--model", model, "--dictionary", str(cif)): (1, "holds no restraints"),
        ("build", str(tmp_path)): (1, "has no solution.mtz"),
        ("build", str(tmp_path), "--map", str(other)): (2, "--map belongs to a file"),
        ("build", str(tmp_path / "missing.mtz"), "--model", model): (1, "no such file"),
    }  # fmt: skip
    for command, (status, message) in cases.items():
        assert main([*command, *out]) == status, command
        error = capsys.readouterr().err.strip().splitlines()
        assert len(error) == 1, error
        assert message in error[0]
        assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_sequence_is_read_from_the_map_and_built(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = Path(__file__).parents[1] / "samples"
    data = read_crystal(samples / "2ol9.mtz.gz")
    model = gemmi.read_structure(str(samples / "2ol9.pdb.gz"))
    F = atomic_structure_factors(in_crystal(model, data), data)
    phases, out = tmp_path / "phases.mtz", tmp_path / "out"
    write_phases(phases, data, data.f, np.degrees(np.angle(F)), np.full(len(data), 0.9))
    command = ["build", str(samples / "2ol9.mtz.gz"), "--map", str(phases), "-o", str(out)]
    command += ["--sequence", "proposed", "--build-time-limit", "120"]
    assert main(command) == 0
    assert "proposed sequence: SNQNNF (probability 0." in capsys.readouterr().out
    summary = json.loads((out / "summary.json").read_text())
    assert summary["proposed_sequence"]["sequence"] == "SNQNNF"
    assert len(summary["proposed_sequence"]["chains"][0]["probability"]) == 6
    assert summary["input"]["sequence"] == ["SNQNNF"]
    assert summary["refinement"]["n_residues"] == 6
    assert summary["refinement"]["r_work"] < 0.2
    assert main([*command, "--overwrite", "--copies", "2"]) != 0
    assert "leave out --copies" in capsys.readouterr().err
