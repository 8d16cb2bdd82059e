"""Columns that are not what they seem: differences, wrong labels and types, equal names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gemmi
import numpy as np
import pytest

from crysformer.crystal.io.column_labels import is_difference, kind_by_label
from crysformer.crystal.io.column_selection import choose_columns
from crysformer.crystal.io.labin import column_names
from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.io.reflection_table import Column, ReflectionTable
from crysformer.errors import InputError

N = 400


def table(*columns: tuple[str, str, np.ndarray]) -> ReflectionTable:
    made = tuple(Column(label, type_, np.asarray(values)) for label, type_, values in columns)
    return ReflectionTable("x.mtz", np.zeros((N, 3), dtype=np.int32), made)


@pytest.fixture
def f() -> np.ndarray:
    return np.sqrt(np.random.default_rng(0).exponential(100, N))


# --- labels ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "label",
    [
        "DANO",
        "SIGDANO",
        "ANOM",
        "SIGANOM",
        "DF",
        "SIGDF",
        "dF",
        "D_F",
        "DISO",
        "SIGDISO",
        "DP",
        "SIGDP",
        "DelF",
        "DELF",
        "FDIFF",
        "delta_F",
        "F_anom",
        "Diff",
        "DelAnom",
        "DPH",
        "sigma(DANO)",
        "F_ano",
        "DIMEAN",
        "DDISP",
    ],
)
def test_labels_of_differences(label: str) -> None:
    assert is_difference(label)


@pytest.mark.parametrize(
    "label",
    [
        "F",
        "FP",
        "FOBS",
        "F-obs",
        "SIGF",
        "SIGFP",
        "IMEAN",
        "SIGIMEAN",
        "F_meas_au",
        "FOBS_X",
        "native",
        "FNAT",
        "D123",
        "Data",
        "F-model",
        "FDNA",
        "F_peak",
        "Fpeak",
        "F_DIFFRACTION",
        "I-obs",
        "SIGI",
        "Dataset1_F",
        "Danish",
    ],
)
def test_labels_of_others(label: str) -> None:
    assert not is_difference(label)


def test_what_labels_claim() -> None:
    for label in [
        "F",
        "FP",
        "Fobs",
        "F-obs",
        "F_meas_au",
        "FOBS_X",
        "F(+)",
        "Fo",
        "fmean",
        "AMPLITUDE",
    ]:
        assert kind_by_label(label) == "amplitudes", label
    for label in [
        "I",
        "IMEAN",
        "Iobs",
        "I-obs",
        "I(+)",
        "intensity_meas",
        "F_squared_meas",
        "Fo^2",
        "FSQ",
        "JUNK",
        "J",
    ]:
        expected = None if label == "JUNK" else "intensities"
        assert kind_by_label(label) == expected, label
    assert kind_by_label("native") is None
    assert kind_by_label("12") is None


# --- differences ----------------------------------------------------------------------------------


@pytest.mark.parametrize("label", ["ANOM", "DF", "delta"])
def test_differences_typed_as_amplitudes_are_not_used(f: np.ndarray, label: str) -> None:
    noise = np.abs(np.random.default_rng(1).normal(0, 2, N))
    found = choose_columns(
        table(("IMEAN", "J", f**2), ("SIGIMEAN", "Q", f), (label, "F", noise), ("SIG", "Q", f))
    )
    assert found.labels == ("IMEAN", "SIGIMEAN")
    assert f"{label}, SIG not used: by the label a difference" in found.notes[0]


def test_a_pair_of_mates_beside_their_difference(f: np.ndarray) -> None:
    """No label says it: the values do."""
    minus = f + np.random.default_rng(1).normal(0, 0.5, N)
    found = choose_columns(
        table(
            ("F(+)", "G", f), ("SIGF(+)", "L", f), ("F(-)", "G", minus), ("SIGF(-)", "L", f),
            ("X", "F", np.abs(f - minus).astype(np.float32)), ("SIGX", "Q", f),
        )
    )  # fmt: skip
    assert found.labels == ("F(+)", "SIGF(+)", "F(-)", "SIGF(-)")
    assert "it is the difference of F(+) and F(-)" in found.notes[0]


def test_signed_columns_are_no_amplitudes(f: np.ndarray) -> None:
    signed = np.random.default_rng(1).normal(0, 2, N)
    found = choose_columns(
        table(("I", "J", f**2), ("SIGI", "Q", f), ("X", "F", signed), ("SIGX", "Q", f))
    )
    assert found.labels == ("I", "SIGI")
    assert "many values are negative" in found.notes[0]


def test_what_has_nothing_to_do_with_the_intensities(f: np.ndarray) -> None:
    other = np.random.default_rng(1).permutation(f)
    pairs = (("I", "J", f**2), ("SIGI", "Q", f))
    unnamed = choose_columns(table(*pairs, ("X", "F", other), ("SIGX", "Q", f)))
    assert unnamed.labels == ("I", "SIGI")
    assert "does not go with the intensities" in unnamed.notes[0]
    # what calls itself an amplitude is used, and doubted
    named = choose_columns(table(*pairs, ("FP", "F", other), ("SIGFP", "Q", f)))
    assert named.labels == ("FP", "SIGFP")
    assert "does not go with the intensities of the same file (I)" in named.warnings[0]
    right = choose_columns(table(*pairs, ("FP", "F", f), ("SIGFP", "Q", f)))
    assert right.labels == ("FP", "SIGFP")
    assert right.warnings == right.notes == ()


def test_a_difference_alone_is_refused_but_can_be_had(f: np.ndarray) -> None:
    alone = table(("DANO", "F", f), ("SIGDANO", "Q", f))
    with pytest.raises(InputError, match="by the label a difference"):
        choose_columns(alone)
    found = choose_columns(alone, "DANO,SIGDANO")
    assert found.kind == "amplitudes"
    assert "a difference by its label" in found.warnings[0]


# --- labels against types -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("label", "type_", "pasted"),
    [("IMEAN", "F", "I=IMEAN,SIGI=SIGIMEAN"), ("FOBS", "J", "F=FOBS,SIGF=SIGFOBS")],
)
def test_label_contradicts_type(f: np.ndarray, label: str, type_: str, pasted: str) -> None:
    columns = table((label, type_, f), (f"SIG{label}", "Q", f))
    found = choose_columns(columns)
    assert f"because its type is {type_}" in found.warnings[0]
    assert f"`labin` {pasted}" in found.warnings[0]
    other = choose_columns(columns, pasted)
    assert {found.kind, other.kind} == {"amplitudes", "intensities"}
    assert other.labels == found.labels
    assert other.warnings == ()


@pytest.mark.parametrize(
    ("value", "sigma", "kind"),
    [
        ("Fobs", "SigFobs", "amplitudes"),
        ("F-obs", "SIGF-obs", "amplitudes"),
        ("f_obs", "sigma_f_obs", "amplitudes"),
        ("I-obs", "SIGI-obs", "intensities"),
        ("Iobs", "sigmaIobs", "intensities"),
    ],
)
def test_untyped_columns_are_found_once(f: np.ndarray, value: str, sigma: str, kind: str) -> None:
    found = choose_columns(table((value, "R", f), (sigma, "R", f)))
    assert found.labels == (value, sigma)
    assert found.kind == kind


# --- several data sets ----------------------------------------------------------------------------


def two_sets(path: Path, hkl: np.ndarray, names: list[tuple[str, str]]) -> Path:
    """The same labels in two data sets, the second with twice the values."""
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup = gemmi.SpaceGroup("P 21 21 21")
    for i, (crystal, name) in enumerate(names):
        mtz.add_dataset(name).crystal_name = crystal
        mtz.add_column("F", "F", dataset_id=i + 1)
        mtz.add_column("SIGF", "Q", dataset_id=i + 1)
    mtz.set_cell_for_all(gemmi.UnitCell(20, 23, 31, 90, 90, 90))
    f = np.random.default_rng(0).uniform(5, 100, len(hkl))
    mtz.set_data(np.column_stack([hkl, f, f / 10, 2 * f, f / 5]).astype(np.float32))
    mtz.datasets[1].wavelength = 0.9793
    mtz.write_to_file(str(path))
    return path


@pytest.mark.parametrize(
    "names",
    [
        [("x", "peak"), ("x", "remote")],
        [("native", "d"), ("heavy", "d")],
        [("x", "d"), ("x", "d")],
    ],
)
def test_equal_labels_are_told_apart(
    tmp_path: Path, unique_hkl: np.ndarray, names: list[tuple[str, str]]
) -> None:
    path = two_sets(tmp_path / "x.mtz", unique_hkl, names)
    with pytest.raises(InputError, match="2 sets of amplitudes fit") as caught:
        read_crystal(path)
    options = [part.split()[0] for part in str(caught.value).split("`labin` ")[1:]]
    assert len(set(options)) == 2
    one, two = (read_crystal(path, labin=option) for option in options)
    np.testing.assert_allclose(two.f, 2 * one.f)
    np.testing.assert_allclose(two.sigf, 2 * one.sigf)
    assert ",".join(two.labels) == options[1]
    assert one.wavelength == pytest.approx(0.9793)
    assert two.wavelength is None
    with pytest.raises(InputError, match="2 columns are named F"):
        read_crystal(path, labin="F,SIGF")
    with pytest.raises(InputError, match="no column elsewhere/F"):
        read_crystal(path, labin="elsewhere/F,elsewhere/SIGF")


def test_names_are_always_different() -> None:
    columns = [Column("F", "F", np.ones(1), datasets=("d", "x/d", "1")) for _ in range(3)]
    assert len(set(column_names(columns))) == 3


# --- Miller indices -------------------------------------------------------------------------------

WriteMtz = Callable[..., Path]


def shuffled_mtz(path: Path, hkl: np.ndarray, columns: list[tuple[str, str]]) -> Path:
    """An MTZ whose columns stand in any order: H, K, L and F by label, a running number else."""
    mtz = gemmi.Mtz()
    mtz.spacegroup = gemmi.SpaceGroup("P 21 21 21")
    mtz.add_dataset("x")
    values = {"H": hkl[:, 0], "K": hkl[:, 1], "L": hkl[:, 2]}
    for label, type_ in columns:
        mtz.add_column(label, type_)
    mtz.set_cell_for_all(gemmi.UnitCell(20, 23, 31, 90, 90, 90))
    running = np.arange(len(hkl)) % 20 + 1.0
    mtz.set_data(
        np.column_stack([values.get(label, running) for label, _ in columns]).astype(np.float32)
    )
    mtz.write_to_file(str(path))
    return path


@pytest.mark.parametrize(
    "columns",
    [
        "FREE/I H/H K/H L/H FP/F SIGFP/Q",
        "FP/F SIGFP/Q L/H K/H H/H",
        "FP/F H/R K/R L/R SIGFP/Q",
        "SIGFP/Q H/H K/H L/H FP/F",
    ],
)
def test_miller_indices_stand_anywhere(
    tmp_path: Path, unique_hkl: np.ndarray, columns: str
) -> None:
    listed = [(word.split("/")[0], word.split("/")[1]) for word in columns.split()]
    data = read_crystal(shuffled_mtz(tmp_path / "x.mtz", unique_hkl, listed))
    np.testing.assert_array_equal(data.hkl, unique_hkl)
    assert data.labels == ("FP", "SIGFP")


def test_no_miller_indices(tmp_path: Path, unique_hkl: np.ndarray) -> None:
    columns = [("FP", "F"), ("SIGFP", "Q"), ("H", "H"), ("K", "H")]
    with pytest.raises(InputError, match=r"2 columns of Miller indices \(type H\) among FP\(F\)"):
        read_crystal(shuffled_mtz(tmp_path / "x.mtz", unique_hkl, columns))


# --- unmerged -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ("M/ISYM/Y BATCH/B I/J SIGI/Q", "columns BATCH, M/ISYM"),
        ("BATCH/I I/J SIGI/Q", "columns BATCH"),
        ("M_ISYM/I I/J SIGI/Q", "columns M_ISYM"),
    ],
)
def test_unmerged_without_batch_headers(tmp_path: Path, labels: str, says: str) -> None:
    hkl = np.repeat([[1, 2, 3], [1, 2, 4]], 3, axis=0)
    columns = [(f"{l}", "H") for l in "HKL"]  # noqa: E741
    columns += [tuple(word.rsplit("/", 1)) for word in labels.split()]  # type: ignore[misc]
    with pytest.raises(InputError, match=f"unmerged data \\({says}\\) without batch headers"):
        read_crystal(shuffled_mtz(tmp_path / "x.mtz", hkl, columns))


def test_merged_mates_with_isym_are_read(
    write_mtz: WriteMtz, tmp_path: Path, unique_hkl: np.ndarray
) -> None:
    """One row for each Friedel mate, which M/ISYM tells apart."""
    hkl = np.repeat(unique_hkl, 2, axis=0)
    i = np.full(len(hkl), 100.0)
    isym = np.tile([1.0, 2.0], len(unique_hkl))
    path = write_mtz(
        tmp_path / "x.mtz", hkl, [("M/ISYM", "Y", isym), ("I", "J", i), ("SIGI", "Q", i / 10)]
    )
    assert len(read_crystal(path)) == len(unique_hkl)


def test_repeated_indices_without_any_batch_column(
    write_mtz: WriteMtz, tmp_path: Path, unique_hkl: np.ndarray
) -> None:
    hkl = np.repeat(unique_hkl, 2, axis=0)
    i = np.full(len(hkl), 100.0)
    columns = [("I", "J", i), ("SIGI", "Q", i / 10)]
    with pytest.raises(InputError, match="unmerged data \\(1168 rows for 584 different Miller"):
        read_crystal(write_mtz(tmp_path / "x.mtz", hkl, columns))
    text = "data_x\nloop_\n" + "".join(
        f"_refln.{tag}\n"
        for tag in ("index_h", "index_k", "index_l", "F_meas_au", "F_meas_sigma_au")
    )
    (tmp_path / "x.cif").write_text(
        text + "".join(f"{h} {k} {l} 10 1\n" for h, k, l in hkl.tolist())  # noqa: E741
    )
    with pytest.raises(InputError, match="unmerged data"):
        read_crystal(tmp_path / "x.cif", cell=gemmi.UnitCell(20, 23, 31, 90, 90, 90))
    # a slip is none
    few = np.vstack([unique_hkl, unique_hkl[:5]])
    f = np.full(len(few), 10.0)
    path = write_mtz(tmp_path / "y.mtz", few, [("F", "F", f), ("SIGF", "Q", f / 10)])
    assert len(read_crystal(path)) == len(unique_hkl)


def test_mates_of_the_wrong_type_get_an_option_for_both(f: np.ndarray) -> None:
    columns = table(
        ("I(+)", "G", f), ("SIGI(+)", "L", f), ("I(-)", "G", f + 1), ("SIGI(-)", "L", f)
    )
    found = choose_columns(columns)
    assert found.kind == "amplitudes"
    pasted = found.warnings[0].split("`labin` ")[1].strip("'")
    other = choose_columns(columns, pasted)
    assert other.kind == "intensities"
    assert other.labels == found.labels == ("I(+)", "SIGI(+)", "I(-)", "SIGI(-)")
