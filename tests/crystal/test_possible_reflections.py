"""Bounds on what a file may claim, before memory and time go into it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gemmi
import numpy as np
import pytest

from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.possible_reflections import MOST_POSSIBLE, check_possible, estimate_possible
from crysformer.crystal.quality.completeness import completeness
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import InputError

P1 = gemmi.SpaceGroup("P 1")


@pytest.mark.parametrize(
    ("symbol", "cell"),
    [
        ("P 1", (31, 33, 42, 80, 95, 101)),
        ("C 1 2 1", (59, 38, 42, 90, 111, 90)),
        ("P 43 21 2", (55, 55, 80, 90, 90, 90)),
        ("F 2 3", (94, 94, 94, 90, 90, 90)),
        ("R 3:H", (54, 54, 70, 90, 90, 120)),
    ],
)
def test_estimate_is_near_the_count(symbol: str, cell: tuple[float, ...]) -> None:
    unit_cell, group = gemmi.UnitCell(*cell), gemmi.SpaceGroup(symbol)
    count = len(gemmi.make_miller_array(unit_cell, group, 1.5))
    # reflections on symmetry elements have fewer mates, so there are somewhat more
    assert 0.8 * count < estimate_possible(unit_cell, group, 1.5) < 1.02 * count


WriteMtz = Callable[..., Path]


@pytest.mark.parametrize(
    ("index", "says"),
    [
        ((1, 2, 900), "reflection 1 2 900 has d = 0.0344 A"),
        ((0, 0, 4999), "has d = 0.0062 A"),
        ((0, 0, 5001), "a Miller index of 5001"),
        ((-(2**31), 0, 0), "Miller ind"),
    ],
)
def test_one_wild_index(
    write_mtz: WriteMtz, tmp_path: Path, index: tuple[int, int, int], says: str
) -> None:
    cell = (20.0, 23.0, 31.0, 90.0, 90.0, 90.0)
    hkl = np.vstack([gemmi.make_miller_array(gemmi.UnitCell(*cell), P1, 2.5), index])
    f = np.full(len(hkl), 9.0)
    path = write_mtz(
        tmp_path / "x.mtz",
        hkl,
        [("F", "F", f), ("SIGF", "Q", f / 10)],
        cell=cell,
        space_group="P 1",
    )
    with pytest.raises(InputError, match=says):
        read_crystal(path)


def test_a_huge_cell_is_refused_before_its_reflections_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "x.hkl"
    path.write_text("".join(f"{h:4d}{200:4d}{h:4d}{90.0:8.2f}{1.0:8.2f}\n" for h in range(99)))
    cell = gemmi.UnitCell(300, 300, 300, 80, 85, 95)
    with pytest.raises(InputError, match=r"about 2\.72e\+07 unique reflections are possible"):
        read_crystal(path, cell=cell, space_group="P 1")
    hkl = np.array([[0, 0, 250]], dtype=np.int32)
    data = CrystalData(cell, P1, hkl, np.ones(1), source="x")
    with pytest.raises(
        InputError, match=f"expected at most {MOST_POSSIBLE:.3g}".replace("+", r"\+")
    ):
        completeness(data)
    check_possible("x", cell, P1, np.array([[0, 0, 30]], dtype=np.int32))


def test_completeness_without_measurements() -> None:
    data = CrystalData(
        gemmi.UnitCell(9, 9, 9, 90, 90, 90), P1, np.ones((1, 3), np.int32), np.full(1, np.nan)
    )
    assert completeness(data).overall == 0.0
