"""Free-R flags under every label, kept through merging, and written again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gemmi
import numpy as np
import pytest

from crysformer.crystal.io.free_flags import NO_FLAG
from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.io.write import write_phases

WriteMtz = Callable[..., Path]
MtzColumn = tuple[str, str, np.ndarray]


@pytest.fixture
def measured(unique_hkl: np.ndarray) -> list[MtzColumn]:
    f = np.random.default_rng(0).uniform(5, 100, len(unique_hkl))
    return [("F", "F", f), ("SIGF", "Q", f / 10)]


@pytest.mark.parametrize(
    ("label", "kind", "noted"),
    [
        ("FreeR_flag", "I", False),
        ("FREE", "I", False),
        ("R-free-flags", "I", False),
        ("FREERFLAG_FREER", "I", True),
        ("F_xds_isFree", "I", True),
        ("FreeR_flag", "R", True),
        ("my_free_set", "I", True),
    ],
)
def test_labels(
    write_mtz: WriteMtz,
    tmp_path: Path,
    unique_hkl: np.ndarray,
    measured: list[MtzColumn],
    label: str,
    kind: str,
    noted: bool,
) -> None:
    flags = np.arange(len(unique_hkl)) % 20
    other = ("NUMBER", "I", np.arange(len(unique_hkl)))
    path = write_mtz(tmp_path / "x.mtz", unique_hkl, [*measured, other, (label, kind, flags)])
    data = read_crystal(path)
    assert data.free is not None
    np.testing.assert_array_equal(data.free, flags)
    assert data.free_label == label
    assert any(label in note for note in data.notes) == noted
    phi = np.zeros(len(data))
    write_phases(tmp_path / "out.mtz", data, data.f, phi, phi)
    written = gemmi.read_mtz_file(str(tmp_path / "out.mtz")).column_with_label("FreeR_flag")
    np.testing.assert_array_equal(written.array, flags)


@pytest.mark.parametrize(
    ("label", "kind", "values"),
    [
        ("FREE_LUNCH", "R", lambda n: np.linspace(0, 7.3, n)),
        ("FREE_NUMBER", "I", np.arange),
        ("ALLFREE", "I", np.ones),
    ],
)
def test_columns_that_are_no_flags(
    write_mtz: WriteMtz,
    tmp_path: Path,
    unique_hkl: np.ndarray,
    measured: list[MtzColumn],
    label: str,
    kind: str,
    values: Callable[[int], np.ndarray],
) -> None:
    column = (label, kind, values(len(unique_hkl)))
    data = read_crystal(write_mtz(tmp_path / "x.mtz", unique_hkl, [*measured, column]))
    assert data.free is None
    assert data.free_label == ""


def test_two_columns_of_flags(
    write_mtz: WriteMtz, tmp_path: Path, unique_hkl: np.ndarray, measured: list[MtzColumn]
) -> None:
    n = len(unique_hkl)
    columns = [
        *measured, ("my_free", "I", np.arange(n) % 10), ("FreeR_flag", "I", np.arange(n) % 20),
    ]  # fmt: skip
    data = read_crystal(write_mtz(tmp_path / "x.mtz", unique_hkl, columns))
    assert data.free_label == "FreeR_flag"
    assert "free flags FreeR_flag are used, not my_free" in data.notes


def test_flags_of_merged_reflections(write_mtz: WriteMtz, tmp_path: Path) -> None:
    hkl = np.array([[1, 2, 3], [-1, 2, -3], [2, 2, 2], [2, -2, -2], [4, 0, 0]])
    free = np.array([np.nan, 1, 0, 1, np.nan])
    f = np.full(5, 9.0)
    path = write_mtz(
        tmp_path / "x.mtz",
        hkl,
        [("F", "F", f), ("SIGF", "Q", f / 10), ("FREE", "I", free)],
    )
    data = read_crystal(path)
    assert data.free is not None
    assert data.free.tolist() == [1, 0, NO_FLAG]
