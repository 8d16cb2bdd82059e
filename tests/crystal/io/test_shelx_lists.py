"""SHELX lists as programs and people leave them."""

from __future__ import annotations

from pathlib import Path

import gemmi
import numpy as np
import pytest

from crysformer.crystal.io.hkl_records import looks_like_hkl, read_hkl_list
from crysformer.crystal.io.hklf_transform import read_hklf
from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import InputError

CELL = gemmi.UnitCell(20, 23, 31, 90, 90, 90)
END = f"{0:4d}{0:4d}{0:4d}{0:8.2f}{0:8.2f}\n"


def lines(hkl: np.ndarray, i: np.ndarray, rest: str = "") -> str:
    return "".join(
        f"{h:4d}{k:4d}{l:4d}{value:8.2f}{value / 10:8.2f}{rest}\n"
        for (h, k, l), value in zip(hkl.tolist(), i.tolist(), strict=True)  # noqa: E741
    )


@pytest.fixture(scope="module")
def intensities(unique_hkl: np.ndarray) -> np.ndarray:
    return np.round(np.random.default_rng(0).exponential(100, len(unique_hkl)) + 1, 2)


def read(folder: Path, text: str, ins: str = "", **options: object) -> CrystalData:
    path = folder / "x.hkl"
    path.write_text(text)
    if ins:
        (folder / "x.ins").write_text(
            "CELL 0.71073 20 23 31 90 90 90\nLATT -1\nSYMM .5-X,-Y,.5+Z\nSYMM -X,.5+Y,.5-Z\n"
            f"SYMM .5+X,.5-Y,-Z\n{ins}\n"
        )
        return read_crystal(path, **options)  # type: ignore[arg-type]
    return read_crystal(path, cell=CELL, space_group="P212121", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "end", [END, " 0 0 0 0.00 0.00\n", "0 0 0\n", "  0  0  0     0.    0.  0\n"]
)
def test_the_end_in_any_columns(
    tmp_path: Path, unique_hkl: np.ndarray, intensities: np.ndarray, end: str
) -> None:
    data = read(tmp_path, lines(unique_hkl, intensities) + end + "REM more\n")
    assert len(data) == len(unique_hkl)
    assert any("text after the list" in note for note in data.notes)


# --- HKLF -----------------------------------------------------------------------------------------


def test_matrix_and_scales(tmp_path: Path, unique_hkl: np.ndarray, intensities: np.ndarray) -> None:
    turned = unique_hkl[:, [2, 0, 1]]  # new h = k, k = l, l = h of the list
    data = read(tmp_path, lines(turned, intensities), "HKLF 3 4.0 0 1 0 0 0 1 1 0 0 2.0")
    plain = read(tmp_path, lines(unique_hkl, intensities), "HKLF 3")
    np.testing.assert_array_equal(data.hkl, unique_hkl)
    np.testing.assert_allclose(data.f, 4 * intensities)
    assert data.sigf is not None
    assert plain.sigf is not None
    np.testing.assert_allclose(data.sigf, 8 * plain.sigf)
    assert any("transformed by the matrix of HKLF (0 1 0 0 0 1 1 0 0)" in n for n in data.notes)
    assert not any("transformed" in n for n in plain.notes)
    assert plain.wavelength == pytest.approx(0.71073)


def test_indices_that_a_matrix_makes_fractional(tmp_path: Path, unique_hkl: np.ndarray) -> None:
    text = lines(unique_hkl * [2, 1, 1], np.full(len(unique_hkl), 50.0))
    text += "   3   1   1   50.00    5.00\n"
    data = read(tmp_path, text, "HKLF 4 1 0.5 0 0 0 1 0 0 0 1")
    np.testing.assert_array_equal(data.hkl, unique_hkl)
    assert any("1 reflection without whole indices" in n for n in data.notes)
    with pytest.raises(InputError, match="gives no reflection whole Miller indices"):
        read(tmp_path, "   3   1   1   50.00    5.00\n", "HKLF 4 1 0.5 0 0 0 1 0 0 0 1")


@pytest.mark.parametrize("numbers", ["1 1 0 0 0 1 0 0 0", "1 1 0 0 1 0 0 0 0 1", "1 1 0 0 x"])
def test_broken_matrices_are_named(tmp_path: Path, numbers: str) -> None:
    with pytest.raises(InputError, match=r"x\.ins: cannot be read as SHELX instructions"):
        read(tmp_path, "   3   1   1   50.00    5.00\n", f"HKLF 4 {numbers}")


def test_hklf_without_numbers_changes_nothing() -> None:
    written_out = ["HKLF", "4", "1", *"100010001", "1", "0"]
    assert read_hklf(["HKLF", "4"]) == read_hklf(written_out)


# --- batch numbers --------------------------------------------------------------------------------


@pytest.mark.parametrize("spaced", [False, True])
def test_twin_domains_are_refused(tmp_path: Path, spaced: bool) -> None:
    text = "   1   2   3   50.00    5.00  -2\n   3   2   1   50.00    5.00   1\n"
    text = " ".join(text.split(" ")) if not spaced else text.replace("  ", " ").replace("  ", " ")
    with pytest.raises(InputError, match=r"negative batch numbers .*\(-2 to 1\) mean HKLF 5"):
        read(tmp_path, text)
    with pytest.raises(InputError, match="mean HKLF 5"):
        read(tmp_path, text, "HKLF 4")


def test_batch_number_of_the_free_set(
    tmp_path: Path, unique_hkl: np.ndarray, intensities: np.ndarray
) -> None:
    work = np.arange(len(unique_hkl)) % 10 > 0
    text = lines(unique_hkl[work], intensities[work], "   1")
    text += lines(unique_hkl[~work], intensities[~work], "  -1")
    data = read(tmp_path, text)
    assert data.free is not None
    np.testing.assert_array_equal(data.free, [1] * work.sum() + [0] * (~work).sum())
    assert any("batch number -1 marks the free set" in n for n in data.notes)


def test_several_batches_are_told(
    tmp_path: Path, unique_hkl: np.ndarray, intensities: np.ndarray
) -> None:
    half = len(unique_hkl) // 2
    text = lines(unique_hkl[:half], intensities[:half], "   1")
    text += lines(unique_hkl[half:], intensities[half:], "   2")
    data = read(tmp_path, text)
    assert data.free is None
    assert any("2 batch numbers (1 to 2) are taken as one scale" in n for n in data.notes)


# --- what follows the list ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tail", "says"),
    [
        ("_exptl_absorpt_process_details\nSADABS 2016/2\n", True),
        (END + "\ndata_x\n_exptl_absorpt_correction_type multi-scan\n", True),
        (END + "TITL x\nCELL 0.7 20 23 31 90 90 90\n", True),
        ("\x1a", False),
        (END + "\x1a\n", False),
        ("; 1 2 3 written by hand\n   7   7   7  10.00    1.00\n", True),
    ],
)
def test_tails(
    tmp_path: Path, unique_hkl: np.ndarray, intensities: np.ndarray, tail: str, says: bool
) -> None:
    data = read(tmp_path, lines(unique_hkl, intensities) + tail)
    np.testing.assert_array_equal(data.hkl, unique_hkl)
    assert any("text after the list, from line " in n for n in data.notes) == says


@pytest.mark.parametrize(
    "bad", ["   1   2   x  10.00    1.00", "   1   2", "# from here: crystal 2"]
)
def test_the_line_that_is_wrong_is_named(
    tmp_path: Path, unique_hkl: np.ndarray, intensities: np.ndarray, bad: str
) -> None:
    text = lines(unique_hkl[:50], intensities[:50]) + bad + "\n"
    with pytest.raises(InputError, match=f"line 51 \\('{bad.strip()[:12]}"):
        read(tmp_path, text + lines(unique_hkl[50:], intensities[50:]))


# --- columns --------------------------------------------------------------------------------------


@pytest.mark.parametrize("spaced", [False, True])
def test_four_numbers_are_two_friedel_mates(
    tmp_path: Path, unique_hkl: np.ndarray, spaced: bool
) -> None:
    n = len(unique_hkl)
    plus = np.round(np.random.default_rng(0).uniform(1000, 9000, n), 2)
    minus = plus + 4
    rows = []
    for (h, k, l), one, other in zip(unique_hkl.tolist(), plus, minus, strict=True):  # noqa: E741
        if spaced:
            rows.append(f"{h} {k} {l} {one:.2f} 3.0 {other:.2f} 3.0")
        else:
            rows.append(f"{h:4d}{k:4d}{l:4d}{one:8.2f}{3:8.2f}{other:8.2f}{3:8.2f}")
    rows[0] = " ".join(rows[0].split()[:5]) if spaced else rows[0][:28]
    data = read(tmp_path, "\n".join(rows) + "\n")
    assert data.labels == ("I(+)", "SIGI(+)", "I(-)", "SIGI(-)")
    np.testing.assert_allclose(data.f[1:] ** 2, plus[1:] + 2, rtol=1e-3)
    assert data.f[0] ** 2 == pytest.approx(plus[0], rel=1e-3)
    assert any("Friedel mates averaged" in n for n in data.notes)


def test_direction_cosines_are_no_friedel_mate() -> None:
    listed = read_hkl_list(
        "   1   2   3  100.00   10.00   1-0.12345 0.54321 0.10000-0.20000 0.30000 0.40000\n", "x"
    )
    assert listed.mates is None
    assert listed.batches is not None
    assert listed.batches.tolist() == [1]
    assert "are not read" in listed.notes[0]


@pytest.mark.parametrize("text", ["{h} {k} {l} {i}", "{h:4d}{k:4d}{l:4d}{i:8.2f}"])
def test_a_list_without_uncertainties(
    tmp_path: Path, unique_hkl: np.ndarray, intensities: np.ndarray, text: str
) -> None:
    rows = [
        text.format(h=h, k=k, l=l, i=i)
        for (h, k, l), i in zip(unique_hkl.tolist(), intensities, strict=True)  # noqa: E741
    ]
    data = read(tmp_path, "\n".join(rows) + "\n")
    np.testing.assert_allclose(data.f, np.sqrt(intensities))
    assert data.sigf is None
    assert any("by their square root" in n for n in data.notes)


def test_numbers_that_only_python_writes_are_no_reflection() -> None:
    assert looks_like_hkl("1 2 3 4.0 1.0")
    for text in ("1 2 3 nan 1.0", "1 2 3 1_0.0 1.0", "1 2 3", "hello world"):
        assert not looks_like_hkl(text)
