"""The building experiment: models of known maps, continuation, faults, tables and figures."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crysformer.cli import main
from crysformer.crystal.reflections import CrystalData
from crysformer.data.recipe import DIPEPTIDE
from crysformer.data.store import FragmentStore
from crysformer.data.synthetic.synthetic_crystal import SyntheticCrystal
from crysformer.errors import InputError, UsageError
from crysformer.evaluation import methods
from crysformer.evaluation.building import run as runs
from crysformer.evaluation.building.measure import build_models
from crysformer.evaluation.building.programs.shelxe import Shelxe
from crysformer.evaluation.building.result import (
    FIXED,
    MODIFIED,
    OWN,
    PLAIN,
    BuildingResult,
    ModelFigures,
    PolyAlanine,
)
from crysformer.evaluation.building.run import (
    Limits,
    chosen_maps,
    result_options,
    run_building,
)
from crysformer.evaluation.building.summary import summary
from crysformer.evaluation.data_quality import DataQuality
from crysformer.evaluation.methods import Phasing, Settings
from crysformer.evaluation.record import Record
from crysformer.evaluation.runner import crystal_of
from crysformer.report.building_report import write_building_report

SETTINGS, LIMITS = Settings(1.0, device="cpu"), Limits(60.0, 60.0)
RIGHT = ModelFigures(0.1, 0.12, 0.95, 0.1, 0.2, 0.99, True, 2)
LOW_R = ModelFigures(0.3, 0.39, 0.2, 4.0, 5.0, 0.01, False, 2)  # R < 0.38, and wrong


def figures_of(crystal: SyntheticCrystal, *_: object) -> tuple[dict[str, Any], dict[str, Any]]:
    """In place of building: the crystal's first letter decides."""
    figures = asdict(RIGHT if crystal.sequence < "M" else LOW_R)
    fixed = {**figures, "r_free": None}
    return (
        {FIXED: fixed, PLAIN: figures, MODIFIED: figures},
        asdict(PolyAlanine(0.7, 0.6, 2)),
    )


@pytest.fixture
def no_building(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "build_models", figures_of)


def log_of(folder: Path, data: Path) -> Record[BuildingResult]:
    return Record(folder, result_options(data, "test", SETTINGS, LIMITS), True, BuildingResult)


def build(log: Record[BuildingResult], data: Path, n: int, *names: str, **more: Any) -> list[str]:
    return run_building(log, data, names or ("random",), (), SETTINGS, LIMITS, limit=n, **more)


@pytest.mark.slow
def test_a_right_map_gives_right_models(data_set: Path) -> None:
    table = FragmentStore.open(data_set).table("test")
    crystal = crystal_of(table, 0, DIPEPTIDE, DataQuality(), 0)
    models, alanines = build_models(crystal, crystal.phi_true, 60.0, 0)
    for name in (FIXED, PLAIN, MODIFIED):
        figures = ModelFigures(**models[name])
        assert figures.backbone_rmsd < 0.2
        assert figures.all_atom_rmsd < 0.3
        assert figures.r_work < 0.25
        assert figures.n_residues == 2
    assert models[PLAIN]["r_work"] < 0.05 < models[FIXED]["r_work"]
    assert models[FIXED]["r_free"] is None
    assert models[FIXED]["accepted"]
    assert alanines["cc_e"] > 0.25
    assert alanines["n_residues"] == 2


def test_results_do_not_depend_on_interruptions(
    data_set: Path, tmp_path: Path, no_building: None
) -> None:
    whole = log_of(tmp_path / "whole", data_set)
    ids = build(whole, data_set, 4)
    assert len(set(ids)) == 4
    parts = log_of(tmp_path / "parts", data_set)
    assert set(build(parts, data_set, 2)) <= set(ids)  # more crystals keep those there are
    lines = parts.path.read_text().splitlines(keepends=True)
    parts.path.write_text(lines[0] + lines[1][:50])  # killed while writing
    parts = log_of(tmp_path / "parts", data_set)
    build(parts, data_set, 4)

    def untimed(log: Record[BuildingResult]) -> list[dict[str, Any]]:
        rows = [asdict(r) for _, r in sorted(log.results.items())]
        return [{k: v for k, v in row.items() if "seconds" not in k} for row in rows]

    assert untimed(parts) == untimed(whole)
    assert parts.path.read_text().startswith(lines[0])
    assert len(parts.path.read_text().splitlines()) == 4


def test_control_maps_differ_from_crystal_to_crystal(
    data_set: Path, tmp_path: Path, no_building: None
) -> None:
    log = log_of(tmp_path / "log", data_set)
    build(log, data_set, 4)
    errors = {r.phase_error for r in log.results.values()}
    assert len(errors) == 4
    assert min(e for e in errors if e is not None) > 40


def test_one_bad_crystal_does_not_stop_the_others(
    data_set: Path, tmp_path: Path, no_building: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []

    def phase(data: CrystalData, sequence: str, settings: Settings) -> Phasing:
        seen.append(sequence)
        if len(seen) == 1:
            raise ZeroDivisionError("by accident")
        if len(seen) == 2:
            raise InputError("too few reflections")
        return Phasing(np.zeros(len(data)), 0.1)

    monkeypatch.setitem(methods.METHODS, "random", phase)
    log = log_of(tmp_path / "log", data_set)
    ids = build(log, data_set, 3)
    states = [log.results[name, "random", OWN].status for name in ids]
    assert states == ["crashed", "not applicable", "done"]
    assert (
        "ZeroDivisionError at test_building_experiment.py"
        in log.results[ids[0], "random", OWN].message
    )
    build(log, data_set, 3)  # a crash is tried again, the others are not
    assert len(seen) == 4
    assert log.results[ids[0], "random", OWN].status == "done"


def test_other_programs_build_from_the_same_map(
    data_set: Path, tmp_path: Path, no_building: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "shelxe"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\necho ' Best trace (cycle   1 with CC 37.26%) was saved as map.pdb'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    log = log_of(tmp_path / "log", data_set)
    ids = build(log, data_set, 1)
    run_building(log, data_set, ("random",), (Shelxe(),), SETTINGS, LIMITS, limit=1)
    assert set(log.results) == {(ids[0], "random", OWN), (ids[0], "random", "shelxe")}
    found = summary(log.results.values(), ("random",))
    assert found["methods"]["random"]["n"] == 1
    shelxe = found["other_programs"]["shelxe"]["random"]
    assert shelxe["cc_from_0.25"] == 1
    assert shelxe["r_below_0.38"] is None  # it gives none
    assert "shelxe" not in json.dumps(found["methods"])


def test_tables_tell_low_r_from_right(data_set: Path, tmp_path: Path, no_building: None) -> None:
    log = log_of(tmp_path / "log", data_set)
    options = result_options(data_set, "test", SETTINGS, LIMITS)
    ids = build(log, data_set, 6, "random", "network-one-pass")
    results = list(log.results.values())
    right = sum(r.sequence < "M" for r in results if r.method == "random")
    assert 0 < right < 6
    table = write_building_report(
        tmp_path, results, ("random", "network-one-pass"), "data", "test", len(ids), options
    )
    model = table["methods"]["random"]["models"][MODIFIED]
    assert model["r_below_0.38"] == 1
    assert model["solved"] == model["backbone_within_0.5"] == right / 6
    assert model["r_free_below_0.38"] == right / 6
    assert model["accepted_wrong"] == 0
    assert table["methods"]["random"]["models"][FIXED]["r_free_below_0.38"] is None
    page = (tmp_path / "building.md").read_text()
    assert "| paper: network maps, Autobuild | 302 | | density-modified, refined | 93 % |" in page
    assert json.loads((tmp_path / "building.json").read_text()) == table
    for name in ("figure-10.png", "figure-11.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_damaged_results_are_named(data_set: Path) -> None:
    result = BuildingResult("x", "random", OWN, "done", models={PLAIN: {"r_work": "low"}})
    with pytest.raises(InputError, match="result of x is damaged"):
        result.model(PLAIN)


def test_the_command(
    data_set: Path, tmp_path: Path, no_building: None, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["experiment", "building", "--data", str(data_set), "-o", str(out), "--device", "cpu"]
    words += ["--methods", "random,network-one-pass", "--json"]
    assert main([*words, "--limit", "2"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["methods"]["random"]["n"] == 2
    assert main([*words, "--limit", "3"]) == 0
    assert json.loads(capsys.readouterr().out)["methods"]["random"]["n"] == 3
    assert main([*words, "--limit", "3", "--seed", "1"]) == 1
    assert "begun with seed = 0" in capsys.readouterr().err


def test_a_network_that_does_not_fit_is_named_as_missing(
    fifteens: Path, tmp_path: Path, no_building: None
) -> None:
    out = tmp_path / "out"
    words = ["experiment", "building", "--data", str(fifteens), "-o", str(out), "--device", "cpu"]
    assert main([*words, "--methods", "network-one-pass,random", "--limit", "1"]) == 0
    page = (out / "building.md").read_text()
    assert "Missing: network (" in page
    assert "trained on 2 residues" in page


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--budget", "1"], "--budget does not go with building"),
        (["--cases", "trp"], "--cases does not go with building"),
        (["--methods", "magic"], "expected some of"),
        (["--programs", "arpwarp"], "expected some of phenix.autobuild"),
        (["--programs", "phenix.autobuild"], "is not on the PATH"),
        (["--time-limit", "-1"], "above zero"),
        (["--weights", "a", "--weights", "b"], "more than once"),
    ],
)
def test_options_that_do_not_fit(
    options: list[str],
    message: str,
    data_set: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    out = tmp_path / "out"
    assert main(["experiment", "building", "--data", str(data_set), "-o", str(out), *options]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1
    assert not out.exists()


def test_methods_by_name() -> None:
    assert "random" in chosen_maps(None)
    assert chosen_maps("solve, random") == ("solve", "random")
    with pytest.raises(UsageError, match="magic"):
        chosen_maps("magic")
