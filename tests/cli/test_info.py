"""The report on data before phasing, by `info DATA` and by `solve`."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import gemmi
import numpy as np
import pytest

from crysformer.cli import main
from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.quality.report import data_report
from crysformer.samples import SAMPLES

GF = next(sample for sample in SAMPLES if sample.name == "gf")
REAL = next(sample for sample in SAMPLES if not sample.synthetic)


def test_info_on_data_prints_the_report(capsys: pytest.CaptureFixture[str]) -> None:
    report = data_report(read_crystal(REAL.data_path), REAL.sequence)
    argv = ["info", str(REAL.data_path), "--sequence", REAL.sequence]
    assert main(argv) == 0
    assert capsys.readouterr().out == report.text() + "\n"
    assert main([*argv, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["source"] == str(REAL.data_path)
    assert {name: printed[name] for name in report.to_dict()} == report.to_dict()
    assert printed["packing"]["copies"] == 1


def test_the_report_begins_with_the_crystal_and_the_file(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["info", str(REAL.data_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    names = ["cell", "space group", "columns", "wavelength", "free set", "resolution"]
    assert [line.split("  ")[0] for line in lines[1:7]] == names
    assert "9.643 9.609 19.029 90 101.22 90" in lines[1]
    assert lines[2].endswith("P 1 21 1")
    assert any("Cartesian" in line for line in lines)


def test_mean_i_over_sigma_of_the_shells(capsys: pytest.CaptureFixture[str]) -> None:
    """The mean over all reflections, from F and SIGF as gemmi reads them."""
    assert main(["info", str(REAL.data_path), "--json"]) == 0
    shells = json.loads(capsys.readouterr().out)["completeness"]["shells"]
    mtz = gemmi.read_mtz_file(str(REAL.data_path))
    f, sigf = (np.array(mtz.column_with_label(name)) for name in ("FP", "SIGFP"))
    there = np.isfinite(f)
    total = sum(shell["i_over_sigma"] * shell["measured"] for shell in shells)
    assert total == pytest.approx((f[there] / (2 * sigf[there])).sum(), rel=1e-3)


def test_info_on_data_imports_no_torch() -> None:
    """A report within a second or so, which the import of torch alone would take."""
    program = (
        "import sys, crysformer.cli as c; c.main(sys.argv[1:]); assert 'torch' not in sys.modules"
    )
    command = [sys.executable, "-c", program, "info", str(REAL.data_path)]
    subprocess.run(command, check=True, capture_output=True)


def test_info_names_missing_features_and_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = importlib.util.find_spec

    def without(name: str) -> object:
        return None if name in ("distributed", "wandb") else found(name)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    assert main(["info", "--json"]) == 0
    features = {x["needs"]: x for x in json.loads(capsys.readouterr().out)["features"]}
    assert not features["dask.distributed"]["installed"]
    assert features["scikit-image"]["installed"] == (found("skimage") is not None)
    assert main(["info"]) == 0
    text = capsys.readouterr().out
    assert "dask.distributed is missing: pip install 'crysformer[cluster]'" in text
    assert "Weights and Biases is missing: pip install wandb" in text


def test_info_on_data_without_space_group(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`solve` takes it, so `info` does: the Laue class is that of the reflections."""
    cell, group = gemmi.UnitCell(9, 11, 14, 90, 90, 90), gemmi.SpaceGroup("P 21 21 21")
    hkl = gemmi.make_miller_array(cell, group, 1.2)
    i = np.random.default_rng(0).exponential(500, len(hkl)) + 1
    rows = zip(hkl.tolist(), i.tolist(), strict=True)
    path = tmp_path / "x.hkl"
    line = "{:4d}{:4d}{:4d}{:8.2f}{:8.2f}\n"
    path.write_text("".join(line.format(*h, v, v / 20) for h, v in rows))
    argv = ["info", str(path), "--cell", "9,11,14,90,90,90"]
    assert main([*argv, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["space_group"] is None
    assert printed["laue_class"] == "mmm"
    assert printed["completeness"]["overall"] == pytest.approx(1, abs=0.05)  # without absences
    assert main(argv) == 0
    text = capsys.readouterr().out
    assert f"{len(hkl)} amplitudes of " in text
    assert "not given, Laue class mmm" in text
    # also where one index is wrong: refused before the possible reflections are listed
    path.write_text(path.read_text() + "4000 999 999  500.00   10.00\n")
    assert main(argv) == 1
    assert "reflection 4000 999 999" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--sequence", "GG"], 2, "--sequence needs DATA"),
        (["--space-group", "P1"], 2, "--space-group needs DATA"),
        (["--composition", "C6H6"], 2, "--composition needs DATA"),
        ([str(GF.data_path), "--composition", "C6Xx"], 2, "'Xx' is not an element"),
        ([str(GF.data_path), "--composition", ""], 2, "--composition is empty"),
        ([str(GF.data_path), "--composition", "C400"], 1, "the composition has 400 atoms"),
        ([str(GF.data_path), "--composition", "C6", "--sequence", "GF"], 2, "--sequence and"),
        (["no/such.mtz"], 1, "no/such.mtz: no such file"),
        ([str(GF.data_path), "--copies", "0", "--sequence", "GF"], 2, "copies"),
    ],
)
def test_info_says_what_is_wrong_in_one_line(
    options: list[str], status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["info", *options]) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert message in captured.err


def test_solve_reports_first_and_keeps_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, gaps = tmp_path / "out", tmp_path / "gaps.mtz"
    mtz = gemmi.read_mtz_file(str(GF.data_path))
    mtz.set_data(mtz.array[np.arange(mtz.nreflections) % 3 > 0])
    mtz.write_to_file(str(gaps))
    assert main(["solve", str(gaps), "--time-limit", "1", "-o", str(out), "--json"]) == 0
    captured = capsys.readouterr()
    summary = json.loads((out / "summary.json").read_text())
    assert summary == json.loads(captured.out)
    report = data_report(read_crystal(gaps))
    assert report.warnings[0].startswith("only 6")
    assert summary["data"] == report.to_dict()
    for line in report.lines():
        assert line in captured.err
    for warning in report.warnings:
        assert f"warning: {warning}" in captured.err
        assert warning in summary["notes"]


def test_blocked_ends_and_d_residues_are_understood_everywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for sequence, mass in (("Ac-GF-NH2", 263.29), ("G(DPN)", 222.24)):
        assert main(["info", str(GF.data_path), "--sequence", sequence, "--json"]) == 0
        packing = json.loads(capsys.readouterr().out)["packing"]
        volume = read_crystal(GF.data_path).cell.volume
        assert volume / packing["matthews"] == pytest.approx(mass, abs=0.1)
    argv = [str(GF.data_path), "--sequence", "Ac-GF-NH2", "-o", str(tmp_path / "out")]
    assert main(["solve", *argv, "--time-limit", "0.1"]) == 0
    capsys.readouterr()
    assert main(["predict", *argv]) == 1
    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "Ac-GF-NH2" in message or "blocked" in message or "end" in message


def test_a_composition_gives_the_contents(capsys: pytest.CaptureFixture[str]) -> None:
    formula = "C11H14N2O3"  # of Gly-Phe
    assert main(["info", str(GF.data_path), "--composition", formula, "--json"]) == 0
    packing = json.loads(capsys.readouterr().out)["packing"]
    volume = read_crystal(GF.data_path).cell.volume
    assert packing["copies"] == 1
    assert volume / packing["matthews"] == pytest.approx(222.24, abs=0.1)
    assert packing["volume_per_atom"] == pytest.approx(volume / 16, rel=1e-3)
