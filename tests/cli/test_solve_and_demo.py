"""The solve, predict and demo commands from end to end on a bundled crystal."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np
import pytest

from crysformer.cli import demo, main
from crysformer.crystal.io.write import read_map
from crysformer.samples import SAMPLES

GF = next(sample for sample in SAMPLES if sample.name == "gf")
REAL = next(sample for sample in SAMPLES if not sample.synthetic)


def test_solve_writes_what_it_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "solution"
    argv = ["solve", str(GF.data_path), "--sequence", GF.sequence, "--time-limit", "3"]
    assert main([*argv, "-o", str(out), "--json", "--no-build"]) == 0
    captured = capsys.readouterr()
    summary = json.loads(captured.out)
    assert summary == json.loads((out / "summary.json").read_text())
    assert {"solved", "confidence", "method", "hand_probability", "candidates"} <= set(summary)
    assert 0 <= summary["confidence"] <= 1
    assert "349 amplitudes to 1.51 A" in captured.err
    names = {path.name for path in out.iterdir()}
    assert names == {
        "solution.mtz", "solution.ccp4", "summary.json", "state.safetensors", "report.html",
        "crysformer.log", "density.png",
    }  # fmt: skip

    mtz = gemmi.read_mtz_file(str(out / "solution.mtz"))
    expected = ["H", "K", "L", "F", "SIGF", "FreeR_flag", "FWT", "PHWT", "FOM"]
    assert mtz.column_labels() == expected
    # the file has no free set: one is drawn, and numbered as CCP4 does
    flags = np.unique(mtz.column_with_label("FreeR_flag").array)
    assert (flags == np.arange(10)).all()
    assert any(note.startswith("free set drawn (seed 0): ") for note in summary["notes"])
    # The written map is the Fourier transform of the written coefficients.
    density = read_map(out / "solution.ccp4")
    again = np.array(
        mtz.transform_f_phi_to_map("FWT", "PHWT", exact_size=_even(density.shape)).array
    )
    assert again.std() == pytest.approx(density.values.std(), rel=0.02)


def _even(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """The same grid, the last dimension even as gemmi needs it."""
    return shape[0], shape[1], shape[2] + shape[2] % 2


def test_solve_keeps_space_group_and_every_reflection_of_real_data(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["solve", str(REAL.data_path), "--time-limit", "1", "-q", "-o", str(out)]) == 0
    assert "solved: " in capsys.readouterr().out
    before = gemmi.read_mtz_file(str(REAL.data_path))
    after = gemmi.read_mtz_file(str(out / "solution.mtz"))
    assert after.spacegroup.hm == before.spacegroup.hm
    assert after.cell.parameters == pytest.approx(before.cell.parameters)
    measured = ~np.isnan(before.array[:, before.column_labels().index("FP")])
    hkl_before = set(map(tuple, before.make_miller_array()[measured].tolist()))
    hkl_after = set(map(tuple, after.make_miller_array().tolist()))
    assert hkl_before <= hkl_after
    assert not {"I", "SIGI", "PHIC"} & set(after.column_labels())


def test_existing_solution_is_kept_without_overwrite(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["solve", str(GF.data_path), "--time-limit", "1", "-q", "-o", str(tmp_path / "out")]
    assert main(argv) == 0
    before = (tmp_path / "out" / "summary.json").read_bytes()
    assert main(argv) == 2
    assert (tmp_path / "out" / "summary.json").read_bytes() == before
    assert main([*argv, "--overwrite"]) == 0


def test_a_search_is_resumed_and_keeps_its_results_when_it_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["solve", str(REAL.data_path), "--time-limit", "0.5", "-q", "--json"]
    argv += ["--method", "charge-flipping", "-o", str(tmp_path / "out")]
    assert main([*argv, "--resume"]) == 0  # nothing to go on from: a first run
    first = json.loads(capsys.readouterr().out)
    assert main([*argv, "--resume"]) == 0
    second = json.loads(capsys.readouterr().out)
    assert second["starts"] > first["starts"]
    assert second["seconds"] > first["seconds"]
    assert any(note.startswith("resumed after") for note in second["notes"])
    kept = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert main([*argv, "--resume", "--sequence", REAL.sequence]) == 1
    error = capsys.readouterr().err.strip().splitlines()
    assert len(error) == 1
    assert f"the sequence unknown, not {REAL.sequence}" in error[0]
    assert kept == {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}


def test_demo_compares_with_the_truth(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "SAMPLES", (GF, replace(REAL, time_limit=1.0)))
    assert main(["demo", "-o", str(tmp_path / "demo"), "--json"]) == 0
    crystals = json.loads(capsys.readouterr().out)["crystals"]
    assert [c["name"] for c in crystals] == ["gf", "5e5z"]
    for crystal in crystals:
        assert 0 <= crystal["mean_phase_error_aligned"] <= 180
        assert crystal["right"] or not crystal["solved"]
        folder = Path(crystal["folder"])
        assert (folder / "maps.png").read_bytes().startswith(b"\x89PNG")
        assert gemmi.read_mtz_file(str(folder / "solution.mtz")).nreflections > 300
        assert (folder / "summary.json").is_file()
    assert not crystals[0]["right"] or crystals[0]["weighted_phase_error_aligned"] < 40
    assert main(["demo", "-o", str(tmp_path / "demo")]) == 2


def test_demo_shares_out_its_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "SAMPLES", (replace(GF, time_limit=2.0), REAL))
    monkeypatch.setattr(demo, "TIME_BUDGET", 3.0)
    assert main(["demo", "-o", str(tmp_path), "--json"]) == 0
    first, last = json.loads(capsys.readouterr().out)["crystals"]
    assert 1 <= first["time_limit"] <= 2
    assert 1 <= last["time_limit"] < 3 < REAL.time_limit


def test_demo_tells_a_person_what_to_expect(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "SAMPLES", (replace(GF, time_limit=1.0),))
    assert main(["demo", "-o", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("1 crystal, 45 s for all of them together\n")
    assert "were left for it" not in out
    for phrase in ("expected:", "came out:", "against the truth:", "network alone:", "coot --auto"):
        assert phrase in out
    log = (tmp_path / "crysformer.log").read_text()
    assert all(line in log for line in out.splitlines())
