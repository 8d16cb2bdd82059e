"""Reflections too strong for Wilson's distribution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.quality.anisotropy import fit_anisotropy
from crysformer.crystal.quality.outliers import wilson_outliers, without_outliers
from crysformer.crystal.quality.report import data_report
from crysformer.crystal.reflections import CrystalData
from crysformer.samples import SAMPLES

Maker = Callable[..., CrystalData]
SMALL = (10, 11, 12, 80, 95, 100)


def with_e(data: CrystalData, rows: list[int], e: float) -> CrystalData:
    """The same data with some reflections of this E."""
    expected = data.f / np.sqrt(fit_anisotropy(data).e_squared)
    f = data.f.copy()
    f[rows] = e * expected[rows]
    return replace(data, f=f)


@pytest.mark.parametrize("group", ["P 1", "P 21 21 21", "P -1"])
@pytest.mark.parametrize("seed", range(4))
def test_wilson_data_have_none(wilson: Maker, group: str, seed: int) -> None:
    assert (
        len(
            wilson_outliers(
                wilson(
                    group, SMALL if group[-1] == "1" else (20, 23, 31, 90, 90, 90), 1.5, seed=seed
                )
            )
        )
        == 0
    )


@pytest.mark.parametrize("e", [8.0, 25.0, 1000.0])
@pytest.mark.parametrize("place", ["inside", "lowest", "highest"])
def test_one_wild_reflection_is_named(wilson: Maker, e: float, place: str) -> None:
    data = wilson("P 1", SMALL, 1.5)
    order = np.argsort(data.d)
    row = int(order[{"inside": len(data) // 2, "lowest": -1, "highest": 0}[place]])
    found = wilson_outliers(with_e(data, [row], e))
    assert found.rows.tolist() == [row]
    assert found.e[0] == pytest.approx(e, rel=0.35)
    assert " ".join(map(str, data.hkl[row])) in found.names()


def test_several_do_not_hide_each_other(wilson: Maker) -> None:
    data = with_e(wilson("P 1", SMALL, 1.5), [100], 40.0)
    data = replace(data, f=with_e(data, [101, 102], 9.0).f)
    assert set(wilson_outliers(data).rows.tolist()) >= {100, 101}


def test_limits_are_those_of_centric_and_acentric_reflections(wilson: Maker) -> None:
    data = wilson("P 21 21 21", d_min=2.2)
    centric = np.array(data.space_group.operations().centric_flag_array(data.hkl), dtype=bool)
    rows = {flag: int(np.flatnonzero(centric == flag)[50]) for flag in (True, False)}
    for e, found in ((4.3, {False}), (5.5, {False, True}), (3.3, set())):
        flagged = wilson_outliers(with_e(data, list(rows.values()), e)).rows.tolist()
        assert set(flagged) == {rows[flag] for flag in found}


def test_direction_is_allowed_for(wilson: Maker) -> None:
    strong = wilson(b=np.diag([5.0, 20.0, 60.0]), d_min=1.8)
    assert len(wilson_outliers(strong)) == 0


def test_pseudo_translation_is_allowed_for(wilson: Maker) -> None:
    """Copies half a cell apart make every other reflection weak, and the rest look too strong."""
    data = wilson("P 1", (20, 22, 60, 90, 90, 90), 2.5)
    phase = 2 * np.pi * data.hkl @ np.array([0.02, 0.0, 0.5])
    modulated = replace(data, f=data.f * np.sqrt(1 + 0.97 * np.cos(phase)))
    assert len(wilson_outliers(modulated)) == 0


def test_another_distribution_has_no_outliers(wilson: Maker) -> None:
    """A few heavy atoms: many strong reflections, none of them wrong."""
    data = wilson("P 1", SMALL, 1.5)
    assert len(wilson_outliers(replace(data, f=data.f**4))) == 0


def test_statistics_do_not_count_them_but_the_list_does(wilson: Maker) -> None:
    data = wilson("P 1", SMALL, 1.5)
    before = data_report(data)
    after = data_report(with_e(data, [200], 30.0))
    assert after.wilson.b_iso == pytest.approx(before.wilson.b_iso, abs=0.5)
    assert after.acentric is not None
    assert before.acentric is not None
    assert after.acentric.second == pytest.approx(before.acentric.second, abs=0.05)
    assert after.completeness.measured == before.completeness.measured
    assert after.warnings[0].startswith("far too strong for Wilson's distribution: (")
    assert after.to_dict()["outliers"][0]["hkl"] == data.hkl[200].tolist()
    # one that chance or a regular structure may bring is named, and no more
    mild = data_report(with_e(data, [200], 4.6))
    assert mild.warnings == ()
    assert "left out at the start" in mild.text()
    assert any("left out at the start" in line for line in mild.lines())


def test_nothing_is_taken_away(wilson: Maker) -> None:
    data = wilson("P 1", SMALL, 1.5)
    found = wilson_outliers(data)
    assert without_outliers(data, found) is data
    wild = with_e(data, [7], 50.0)
    clean = without_outliers(wild, wilson_outliers(wild))
    assert np.flatnonzero(~clean.measured).tolist() == [7]
    assert len(clean) == len(wild)


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda s: s.name)
def test_bundled_crystals_have_none(sample: object) -> None:
    assert len(wilson_outliers(read_crystal(sample.data_path))) == 0  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "name",
    ["experimental/1yjp-sf.cif.gz", "experimental/5e5z.mtz", "peptides/2ol9.mtz",
     "peptides/5awl.mtz", "peptides/4ubz.mtz", "peptides/2ona.mtz"],
)  # fmt: skip
def test_strands_keep_their_strong_reflections(shared_dir: Path, name: str) -> None:
    assert len(wilson_outliers(read_crystal(shared_dir / name))) == 0
