"""The report as a whole: what it warns of, and what it leaves alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gemmi
import numpy as np
import pytest

import crysformer
from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.quality.anisotropy import fit_anisotropy
from crysformer.crystal.quality.report import DataReport, data_report
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import InputError, UsageError
from crysformer.samples import SAMPLES

Maker = Callable[..., CrystalData]


def one_warning(report: DataReport, beginning: str) -> None:
    assert len(report.warnings) == 1
    assert report.warnings[0].startswith(beginning)
    assert f"warning: {beginning}" in report.text()


def test_ordinary_data_pass_without_a_warning(wilson: Maker) -> None:
    for group in ("P 1", "P 21 21 21"):
        report = data_report(wilson(group, d_min=2.2))
        assert report.warnings == ()
        assert report.wilson.b_iso == pytest.approx(20, abs=3)
        assert "warning" not in report.text()
    assert crysformer.data_report is data_report


def test_wilson_b_is_told_with_its_range(wilson: Maker) -> None:
    report = data_report(wilson())
    assert report.wilson.d_max <= 3.5
    assert report.wilson.d_min == pytest.approx(2.0, abs=0.02)
    assert report.wilson.d_max == pytest.approx(3.5, abs=0.05)
    assert "from 3.50 to 2.00 A" in " ".join(report.lines())
    moved = data_report(replace(wilson(), f=wilson().f * np.exp(-0.25 * 15 * wilson().d ** -2.0)))
    assert moved.wilson.b_iso - report.wilson.b_iso == pytest.approx(15, abs=1.0)
    one_warning(data_report(wilson(b=-10.0)), "the Wilson plot gives a B of -")


def test_a_cold_crystal_at_atomic_resolution_passes_without_a_warning(wilson: Maker) -> None:
    report = data_report(wilson(b=1.5, d_min=0.9))
    assert 0.3 < report.wilson.b_iso < 3
    assert report.warnings == ()


def test_twins_are_told(wilson: Maker) -> None:
    for twin in (0.25, 0.5):
        report = data_report(wilson(twin=twin, d_min=2.5))
        one_warning(report, "twinned: <|L|> is ")
        assert report.l_test is not None
        assert report.l_test.twin_fraction == pytest.approx(twin, abs=0.08)


def test_few_reflections_give_a_number_and_no_alarm(wilson: Maker) -> None:
    small = (9.0, 8.0, 7.0, 90.0, 90.0, 90.0)
    for seed in range(40):
        report = data_report(wilson("P 1", small, 1.6, seed))
        assert report.l_test is not None
        assert not [w for w in report.warnings if "twin" in w or "centric" in w]


def test_a_missed_axis_is_told(wilson: Maker) -> None:
    full = wilson("P 41 21 2", (40, 40, 60, 90, 90, 90), 2.5)
    tetragonal = gemmi.SpaceGroup("P 41")
    hkl = gemmi.make_miller_array(full.cell, tetragonal, 2.5).astype(np.int32)
    asu, operations = gemmi.ReciprocalAsu(full.space_group), full.space_group.operations()
    known = {tuple(x): f for x, f in zip(full.hkl.tolist(), full.f.tolist(), strict=True)}
    f = np.array([known.get(tuple(asu.to_asu(x, operations)[0]), np.nan) for x in hkl.tolist()])
    report = data_report(replace(full, space_group=tetragonal, hkl=hkl, f=f, sigf=None))
    one_warning(report, "the symmetry may be higher: ")


def test_centric_statistics_of_an_acentric_group_are_told(wilson: Maker) -> None:
    data = wilson("P -1", (20, 22, 24, 80, 95, 100), 1.5)
    assert data_report(data).warnings == ()
    assert data_report(data).centric_fraction == 1
    acentric = replace(data, space_group=gemmi.SpaceGroup("P 1"))
    one_warning(data_report(acentric), "acentric reflections look centric")


def test_gaps_and_anisotropy_are_told(wilson: Maker) -> None:
    data = wilson(d_min=2.2)
    rng = np.random.default_rng(0)
    gaps = replace(data, f=np.where(rng.random(len(data)) < 0.3, np.nan, data.f))
    one_warning(data_report(gaps), "only 70 % of the reflections")
    hidden = replace(data, f=np.where(data.d > 8, np.nan, data.f))
    lowest = data_report(hidden).completeness.shells[0].completeness
    assert lowest < 0.8
    one_warning(data_report(hidden), f"only {100 * lowest:.0f} % of the reflections with d above")
    strong = data_report(wilson(b=np.diag([10.0, 20.0, 50.0])))
    one_warning(strong, "strongly anisotropic: B differs by ")
    assert max(strong.principal_b) - min(strong.principal_b) == pytest.approx(40, abs=4)


def test_weak_reflections_left_out_are_not_called_a_twin(wilson: Maker) -> None:
    data = wilson(d_min=2.2)
    e2 = fit_anisotropy(data).e_squared
    for least in (0.12, 0.3):
        cut = data_report(replace(data, f=np.where(e2 > least, data.f, np.nan)))
        assert cut.l_test is not None
        assert cut.l_test.mean_abs < 0.44
        assert cut.completeness.overall < 0.9
        told = [w for w in cut.warnings if "twin" in w]
        assert len(told) == 1
        assert "weak reflections were left out" in told[0]
        assert told[0].endswith("twinning cannot be judged")


def test_the_report_is_plain_json_with_and_without_a_sequence(wilson: Maker) -> None:
    data = wilson("P 1 21 1", (11, 12, 13, 90, 100, 90), 2.0)
    for sequence in (None, "GNNQQNY"):
        report = data_report(data, sequence)
        content = json.loads(json.dumps(report.to_dict(), allow_nan=False))
        assert len(content["completeness"]["shells"]) == len(report.completeness.shells)
        assert content["warnings"] == list(report.warnings)
        assert (content["packing"] is None) == (sequence is None)
        assert ("% solvent" in report.text()) == (sequence is not None)
        assert content["patterson_peak"] is None
        assert "too small" in content["patterson_not_applicable"]
    bare = data_report(replace(data, sigf=None))
    assert bare.axis_limits == (None, None, None)
    assert bare.least_f_over_sigma is None
    weak = data_report(replace(data, sigf=2 * data.f.max() * np.ones(len(data))))
    assert weak.strong_d_min is weak.l_test is weak.acentric is None
    assert "no shell has a mean I/sigma of 3" in weak.text()


def test_what_cannot_be_reported_on(wilson: Maker) -> None:
    data = wilson("P 1", (8, 9, 10, 90, 90, 90), 2.0)
    with pytest.raises(InputError, match="12 amplitudes above zero, too few"):
        data_report(data.select(np.arange(len(data)) < 12))
    with pytest.raises(InputError, match="atoms"):
        data_report(data, "W" * 40)
    with pytest.raises(UsageError, match="copies"):
        data_report(data, "GG", copies=0)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)
def test_bundled_crystals_are_not_called_twins(sample: object) -> None:
    report = data_report(read_crystal(sample.data_path), sample.sequence)  # type: ignore[attr-defined]
    assert report.warnings == ()


@pytest.mark.parametrize(
    ("name", "beginnings"),
    [
        (
            "1l2h.mtz",
            [
                "only 74 %",
                "far too strong for Wilson's distribution: (8 32 16) E 6.4 at 1.55 A;",
                "twinned: <|L|> is 0.3",
            ],
        ),
        ("4rwb.mtz", []),
        ("hewl_reciprocalspaceship.mtz", []),
        ("2uui.mtz", []),
        ("1ubq.mtz", []),
        ("1aba.mtz", []),
        ("1crb.mtz", []),
        ("1byz.mtz", []),
        ("5e5z.mtz", []),
        ("1yjp-sf.cif.gz", []),
        ("1cbs.mtz", ["only 72 % of the reflections with d above"]),
        ("1v9g-sf.cif.gz", ["only 78 %", "the Wilson plot", "the L-test reads twinned"]),
    ],
)
def test_measured_data(shared_dir: Path, name: str, beginnings: list[str]) -> None:
    report = data_report(read_crystal(shared_dir / "experimental" / name))
    assert len(report.warnings) == len(beginnings)
    for warning, beginning in zip(report.warnings, beginnings, strict=True):
        assert warning.startswith(beginning)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("group", ["P 1", "P 1 21 1", "P 6 2 2", "F d -3 m:1"])
def test_odd_data_give_a_report_all_the_same(wilson: Maker, group: str) -> None:
    cells = {"1": (12, 13, 14, 90, 90, 90), "6": (30, 30, 40, 90, 90, 120)}
    cells |= {"d": (40, 40, 40, 90, 90, 90)}
    data = wilson(group, cells[group[2]], 2.0)
    n, rng = len(data), np.random.default_rng(0)
    for f in (
        np.ones(n),
        np.where(np.arange(n) == 5, 1e6 * data.f.max(), data.f),
        np.where(rng.random(n) < 0.6, 0.0, data.f),
        np.where(rng.random(n) < 0.5, np.nan, data.f),
        1e-12 * data.f,
        1e12 * data.f,
    ):
        for sigf in (None, np.full(n, 0.05 * np.nanmean(f))):
            report = data_report(replace(data, f=f, sigf=sigf))
            json.dumps(report.to_dict(), allow_nan=False)
            assert report.text()
            measured = report.anisotropy.e_squared[np.isfinite(f)]
            assert np.isfinite(measured).all()
