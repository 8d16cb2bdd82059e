"""The scripts in benchmarks/: they start from any folder, and reproduce what the package ships."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import resources
from pathlib import Path

import gemmi
import numpy as np
import pytest

from crysformer.data.dataset.export import export
from crysformer.data.molecule import Molecule
from crysformer.peptide.residues import ATOMS, INDEX
from crysformer.testing import (
    conformer_pairs,
    fifteen_residue_models,
    random_network,
    tiny_network,
    write_data_set,
)

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "benchmarks").glob("*.py"))


RUN_ALL = """
import contextlib, io, runpy, sys
from pathlib import Path
for script in sys.argv[1:]:
    sys.path[0], sys.argv, out = str(Path(script).parent), [script, "--help"], io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            runpy.run_path(script, run_name="__main__")
        except SystemExit as stop:
            assert not stop.code, (script, stop.code)
    assert f"usage: {Path(script).name}" in out.getvalue(), script
"""


def test_each_script_shows_its_help_from_any_folder(tmp_path: Path) -> None:
    # one process for all of them: most of the time goes into importing torch
    command = [sys.executable, "-c", RUN_ALL, *map(str, SCRIPTS)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not os.listdir(tmp_path)


def test_the_stored_rows_give_the_shipped_confidence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from calibrate_confidence import KINDS, fitted, read_rows, rows_to_fit

    names = ("confidence-rows.tsv", "sequence-rows.tsv", "measured-rows.tsv")
    rows = read_rows([ROOT / "benchmarks" / name for name in names])
    text = resources.files("crysformer.phasing.merit").joinpath("confidence.json").read_text()
    shipped = json.loads(text)
    for kind in KINDS:
        found = fitted(kind, rows_to_fit(kind, rows))
        assert found["candidates"] == shipped[kind]["candidates"]
        assert found["crystals"] == shipped[kind]["crystals"]
        assert found["intercept"] == pytest.approx(shipped[kind]["intercept"], rel=2e-3)
        assert found["coefficients"] == pytest.approx(shipped[kind]["coefficients"], rel=2e-3)


def test_controls_count_claims_and_bound_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from atomic_controls import ControlResult, report

    common = {"space_group": "P 1", "d_min": 0.9, "reflections": 99, "sequence": "GG"}

    def run(control: str, number: int, **more: object) -> ControlResult:
        return ControlResult(number, control, True, 0, status="done", **common, **more)

    results = [
        *(run("shuffled", k, confidence=0.1 * k) for k in range(9)),
        run("shuffled", 9, claimed=True, confidence=0.95),
        run("wrong-sequence", 0, claimed=True, confidence=0.99, weighted_phase_error=12.0),
        run("wrong-sequence", 1, claimed=True, confidence=0.92, weighted_phase_error=85.0),
    ]
    rows = {
        line.split(" | ")[0].strip("| "): [cell.strip() for cell in line.strip("|").split("|")]
        for line in report(results, "A test.").splitlines()
        if line.startswith("| ")
    }
    # one false claim in ten: 39.4 % (Clopper and Pearson)
    assert rows["shuffled"][3:8] == ["10", "1", "1", "39.4%", "0.95"]
    assert rows["wrong-sequence"][3:6] == ["2", "2", "1"]
    assert rows["wrong-sequence"][7] == "0.92"
    assert rows["all"][3:6] == ["12", "3", "2"]
    assert results[0].key == (0, "shuffled", True, 0)


def test_the_plain_rendering_is_the_same_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import torch

    from plain_training import Files, difference, plain_of

    data = tmp_path / "data"
    data.mkdir()
    write_data_set(data, "dipeptide", conformer_pairs())
    export(data, tmp_path / "pt", "pt", "train", 12)
    config = tiny_network(patterson_scale=120.0, density_scale=4.0, partial_patch=4, max_patches=32)
    files = Files(tmp_path / "pt", 2)
    model = random_network(config)
    assert difference(model, plain_of(model), files, torch.arange(20)) < 1e-5
    other = random_network(config, seed=1)
    assert difference(model, plain_of(other), files, torch.arange(20)) > 0.01


@pytest.mark.slow
def test_control_crystals_are_packed_in_their_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from atomic_controls import make

    structure = fifteen_residue_models()[0]
    crystals = [make(_molecule(structure), number, 3) for number in (1, 1, 2)]
    one, same, other = crystals
    assert one.data.space_group.xhm() == "P 1 21 1"
    assert other.data.space_group.xhm() == "P 21 21 21"
    assert one.data.d_min == pytest.approx(0.85, abs=0.002)
    assert one.data.measured.mean() == pytest.approx(0.95, abs=0.01)
    assert np.array_equal(one.data.f, same.data.f, equal_nan=True)


def _molecule(path: Path) -> Molecule:
    structure = gemmi.read_structure(str(path))
    residues = [r for r in structure[0][0] if r.name in INDEX][:5]
    xyz = [r[name][0].pos.tolist() for r in residues for name in ATOMS[INDEX[r.name]]]
    return Molecule(path.stem, gemmi.one_letter_code([r.name for r in residues]), np.array(xyz))
