"""The grid's conditions, their names, and the crystals made for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crysformer.data.store import FragmentStore, FragmentTable
from crysformer.errors import InputError, UsageError
from crysformer.evaluation.data_quality import DataQuality
from crysformer.evaluation.regimes.controls import CONTROLS
from crysformer.evaluation.regimes.grid import GRID, Condition, select
from crysformer.evaluation.regimes.synthetic_crystals import grid_crystal


@pytest.fixture(scope="module")
def table(fifteens: Path) -> FragmentTable:
    return FragmentStore.open(fifteens).table("test")


def by_name(name: str) -> Condition:
    (condition,) = select(GRID, name)
    return condition


def test_the_grid_spans_the_stated_factors() -> None:
    assert 55 <= len(GRID) <= 70
    assert len({c.name for c in (*GRID, *CONTROLS)}) == len(GRID) + len(CONTROLS)
    assert len(set(GRID)) == len(GRID)
    easy = {Condition(n, kind) for n in (2, 5, 8, 15) for kind in ("tight", "rich")}
    assert easy <= set(GRID)
    for base in (Condition(2, "tight"), Condition(15, "rich")):
        single = [c for c in GRID if c.contents == base.contents and len(c.changes) == 1]
        assert {c.quality.d_min for c in single} == {1.0, 1.5, 2.0, 2.5, 3.0}
        assert {c.quality.amplitude_error for c in single} == {0.0, 0.05, 0.1, 0.2}
        assert {(c.quality.completeness, c.quality.missing) for c in single} >= {
            (0.8, "random"), (0.6, "random"), (0.8, "wedge"), (0.6, "wedge"),
        }  # fmt: skip
        assert {c.b for c in single} == {"8", "20", "40", "mixed"}
        assert {c.copies for c in single} == {1, 2, 3, 4}
    assert sum(len(c.changes) >= 3 for c in GRID) >= 8  # hard corners


def test_selection_by_pattern() -> None:
    chosen = select(GRID, "15-rich,2-tight-B*")
    assert [c.name for c in chosen] == ["2-tight-B8", "2-tight-B40", "2-tight-Bmixed", "15-rich"]
    assert select(GRID, None) == GRID
    with pytest.raises(UsageError, match="`conditions` 3-tight: matches no condition"):
        select(GRID, "2-tight,3-tight")


def test_crystals_depend_on_seed_and_number_alone(table: FragmentTable) -> None:
    condition = by_name("2-tight-2.0A-err10-wedge80-B40")
    first, again, seeded, second = (
        grid_crystal(table, condition, number, seed)
        for number, seed in ((0, 0), (0, 0), (0, 1), (1, 0))
    )
    assert np.array_equal(first.data.f, again.data.f, equal_nan=True)
    assert np.array_equal(first.phi_true, again.phi_true)
    assert first.id != second.id
    assert not np.array_equal(first.data.f, seeded.data.f, equal_nan=True)


def test_conditions_differ_by_their_factor_alone(table: FragmentTable) -> None:
    base = grid_crystal(table, by_name("5-tight"), 0, 0)
    noisy = grid_crystal(table, by_name("5-tight-err10"), 0, 0)
    gaps = grid_crystal(table, by_name("5-tight-comp80"), 0, 0)
    coarse = grid_crystal(table, by_name("5-tight-2.5A"), 0, 0)
    assert len({crystal.id for crystal in (base, noisy, gaps, coarse)}) == 1
    assert base.data.measured.all()
    np.testing.assert_array_equal(base.data.f, base.f_true)
    np.testing.assert_array_equal(noisy.f_true, base.f_true)
    assert (noisy.data.f / base.f_true - 1).std() == pytest.approx(0.1, rel=0.1)
    assert gaps.data.measured.mean() == pytest.approx(0.8, abs=1 / len(gaps.data))
    kept = gaps.data.measured
    np.testing.assert_array_equal(gaps.data.f[kept], base.f_true[kept])
    assert coarse.data.d_min == pytest.approx(2.5, abs=0.05)
    assert coarse.data.cell.parameters == base.data.cell.parameters


def test_packing_and_copies(table: FragmentTable) -> None:
    tight = grid_crystal(table, by_name("2-tight"), 0, 0)
    rich = grid_crystal(table, by_name("2-rich"), 0, 0)
    assert rich.data.cell.volume / tight.data.cell.volume == pytest.approx(1.4**3)
    fifteen = grid_crystal(table, Condition(15, "rich", DataQuality(d_min=3.0)), 0, 0)
    assert fifteen.data.cell.parameters[:3] == (41, 30, 24)
    assert len(fifteen.sequence) == 15
    three = grid_crystal(table, by_name("2-tight-x3"), 0, 0)
    assert three.sequence == ",".join([tight.sequence] * 3)
    assert len(three.structure[0]) == 3


@pytest.mark.parametrize(("b", "low", "high"), [("8", 8, 8), ("40", 40, 40), ("mixed", 8, 32)])
def test_b_is_as_asked(table: FragmentTable, b: str, low: float, high: float) -> None:
    crystal = grid_crystal(table, Condition(15, "rich", DataQuality(d_min=3.0), b=b), 0, 0)
    found = np.array([site.atom.b_iso for site in crystal.structure[0].all()])
    assert found.min() >= low
    assert found.max() <= high
    spread = (high - low) / np.sqrt(12)
    assert found.mean() == pytest.approx((low + high) / 2, abs=3 * spread / np.sqrt(len(found)))
    assert found.std() == pytest.approx(spread, rel=0.15)


def test_too_short_or_too_few_fragments(table: FragmentTable, data_set: Path) -> None:
    dipeptides = FragmentStore.open(data_set).table("test")
    with pytest.raises(InputError, match="found 2 residues, 5 residues are needed"):
        grid_crystal(dipeptides, by_name("5-tight"), 0, 0)
    with pytest.raises(UsageError, match="`n`: the test split holds 2 fragments"):
        grid_crystal(table, by_name("5-tight"), 2, 0)
