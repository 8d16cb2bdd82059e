"""Reading of every format, and what is done with what is found there."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import gemmi
import numpy as np
import pytest

from crysformer.crystal.io.free_flags import NO_FLAG
from crysformer.crystal.io.read import read_crystal

WriteMtz = Callable[..., Path]
GROUP = gemmi.SpaceGroup("P 21 21 21")
CELL = gemmi.UnitCell(20, 23, 31, 90, 90, 90)


@pytest.fixture(scope="module")
def amplitudes(unique_hkl: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).uniform(5, 100, len(unique_hkl)).astype(np.float32)


def said(notes: tuple[str, ...], words: str) -> bool:
    return any(words in note for note in notes)


# --- MTZ ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("name", ["data.mtz", "data", "data.mtz.gz", "data.dat"])
def test_mtz_by_content_not_name(
    write_mtz: WriteMtz,
    tmp_path: Path,
    unique_hkl: np.ndarray,
    amplitudes: np.ndarray,
    name: str,
    compressed: bool,
) -> None:
    columns = [("FP", "F", amplitudes), ("SIGFP", "Q", amplitudes / 10)]
    plain = write_mtz(tmp_path / "plain.mtz", unique_hkl, columns)
    path = tmp_path / name
    content = plain.read_bytes()
    path.write_bytes(gzip.compress(content) if compressed else content)
    data = read_crystal(path)
    np.testing.assert_array_equal(data.hkl, unique_hkl)
    np.testing.assert_allclose(data.f, amplitudes)
    np.testing.assert_allclose(data.sigf, amplitudes / 10, rtol=1e-6)
    assert data.labels == ("FP", "SIGFP")
    assert data.space_group.hm == "P 21 21 21"
    assert data.cell.parameters == pytest.approx(CELL.parameters)
    assert data.source == str(path)
    assert data.notes == ()


def test_column_order_is_free_and_rows_keep_theirs(
    write_mtz: WriteMtz, tmp_path: Path, unique_hkl: np.ndarray, amplitudes: np.ndarray
) -> None:
    shuffled = np.random.default_rng(1).permutation(len(unique_hkl))
    flags = np.arange(len(unique_hkl)) % 20
    path = write_mtz(
        tmp_path / "odd.mtz",
        unique_hkl[shuffled],
        [
            ("PHIC", "P", amplitudes),
            ("SIGF", "Q", (amplitudes / 10)[shuffled]),
            ("FREE", "I", flags[shuffled]),
            ("FC", "F", amplitudes * 2),
            ("F", "F", amplitudes[shuffled]),
        ],
    )
    data = read_crystal(path)
    np.testing.assert_array_equal(data.hkl, unique_hkl[shuffled])
    np.testing.assert_allclose(data.f, amplitudes[shuffled])
    np.testing.assert_array_equal(data.free, flags[shuffled])


def test_phases_and_calculated_columns_have_no_influence(
    write_mtz: WriteMtz, tmp_path: Path, unique_hkl: np.ndarray, amplitudes: np.ndarray
) -> None:
    measured = [("FP", "F", amplitudes), ("SIGFP", "Q", amplitudes / 10)]
    results = []
    for seed in (1, 2):
        other = np.random.default_rng(seed).uniform(0, 90, (3, len(amplitudes)))
        model = [("FC", "F", other[0]), ("PHIC", "P", other[1]), ("FOM", "W", other[2] / 90)]
        results.append(read_crystal(write_mtz(tmp_path / "x.mtz", unique_hkl, measured + model)))
    np.testing.assert_array_equal(results[0].f, results[1].f)
    assert results[0].labels == results[1].labels == ("FP", "SIGFP")


def test_missing_values_stay_missing(
    write_mtz: WriteMtz, tmp_path: Path, unique_hkl: np.ndarray, amplitudes: np.ndarray
) -> None:
    f = amplitudes.copy()
    f[3] = np.nan
    free = np.ones(len(f))
    free[4] = np.nan
    path = write_mtz(
        tmp_path / "x.mtz",
        unique_hkl,
        [("FP", "F", f), ("SIGFP", "Q", amplitudes), ("FREE", "I", free)],
    )
    data = read_crystal(path)
    assert len(data) == len(f)
    assert np.flatnonzero(~data.measured).tolist() == [3]
    assert data.sigf is not None
    assert np.isnan(data.sigf[3])
    assert data.free is not None
    assert np.flatnonzero(data.free == NO_FLAG).tolist() == [4]


def test_number_that_marks_missing_values(
    write_mtz: WriteMtz, tmp_path: Path, unique_hkl: np.ndarray, amplitudes: np.ndarray
) -> None:
    f = amplitudes.copy()
    f[:5] = -999.0
    path = write_mtz(tmp_path / "x.mtz", unique_hkl, [("FP", "F", f), ("SIGFP", "Q", amplitudes)])
    content = path.read_bytes()
    assert content.count(b"VALM NAN") == 1
    path.write_bytes(content.replace(b"VALM NAN    ", b"VALM -999.0 "))
    assert np.flatnonzero(~read_crystal(path).measured).tolist() == [0, 1, 2, 3, 4]


# --- what cannot be a measurement -----------------------------------------------------------------


def test_origin_absences_negatives_and_sigmas(
    write_mtz: WriteMtz, tmp_path: Path, unique_hkl: np.ndarray, amplitudes: np.ndarray
) -> None:
    hkl = np.vstack([[0, 0, 0], [0, 0, 3], [5, 0, 0], unique_hkl])
    f = np.concatenate([[9000.0, 4.0, 4.0], amplitudes])
    sigma = f / 10
    f[10] = -1.0
    sigma[11], sigma[12] = 0.0, -2.0
    path = write_mtz(tmp_path / "x.mtz", hkl, [("FP", "F", f), ("SIGFP", "Q", sigma)])
    data = read_crystal(path)
    assert data.hkl.any(axis=1).all()
    assert said(data.notes, "F(000)")
    assert said(data.notes, "2 systematically absent")
    assert said(data.notes, "1 negative FP")
    assert said(data.notes, "2 FP without a positive uncertainty")
    # Rows move up by one where F(000) is left out.
    assert np.flatnonzero(~data.measured).tolist() == [0, 1, 9, 10, 11]


def test_amplitudes_alone_when_asked_for(
    write_mtz: WriteMtz, tmp_path: Path, unique_hkl: np.ndarray, amplitudes: np.ndarray
) -> None:
    path = write_mtz(tmp_path / "x.mtz", unique_hkl, [("FC", "F", amplitudes)])
    data = read_crystal(path, labin="FC")
    np.testing.assert_allclose(data.f, amplitudes)
    assert data.sigf is None


# --- merging --------------------------------------------------------------------------------------


def test_equivalents_are_merged_with_inverse_variance(write_mtz: WriteMtz, tmp_path: Path) -> None:
    hkl = np.array([[1, 2, 3], [2, 2, 2], [-1, 2, -3], [1, -2, -3], [4, 0, 0]])
    f = np.array([10.0, 50.0, 20.0, np.nan, 7.0])
    sigma = np.array([1.0, 2.0, 2.0, np.nan, 1.0])
    path = write_mtz(tmp_path / "x.mtz", hkl, [("F", "F", f), ("SIGF", "Q", sigma)])
    data = read_crystal(path)
    np.testing.assert_array_equal(data.hkl, [[1, 2, 3], [2, 2, 2], [4, 0, 0]])
    np.testing.assert_allclose(data.f, [(10 / 1 + 20 / 4) / (1 + 1 / 4), 50, 7])
    np.testing.assert_allclose(data.sigf, [1 / np.sqrt(1 + 1 / 4), 2, 1])
    assert said(data.notes, "5 reflections merged to 3")


def test_p1_friedel_mates_outside_the_hemisphere(write_mtz: WriteMtz, tmp_path: Path) -> None:
    cell = (9.0, 10.0, 11.0, 80.0, 95.0, 101.0)
    half = gemmi.make_miller_array(gemmi.UnitCell(*cell), gemmi.SpaceGroup("P 1"), 2.0)
    f = np.random.default_rng(0).uniform(1, 9, len(half))
    both = np.vstack([-half, half])
    path = write_mtz(
        tmp_path / "x.mtz",
        both,
        [("F", "F", np.tile(f, 2)), ("SIGF", "Q", np.ones(2 * len(f)))],
        cell=cell,
        space_group="P 1",
    )
    data = read_crystal(path)
    np.testing.assert_array_equal(data.hkl, -half)
    np.testing.assert_allclose(data.f, f, rtol=1e-6)
    np.testing.assert_allclose(data.sigf, 1 / np.sqrt(2))


@pytest.mark.parametrize(
    ("symbol", "cell"),
    [
        ("P 1", (9, 10, 11, 80, 95, 101)),
        ("C 1 2 1", (19, 8, 12, 90, 111, 90)),
        ("P 32 2 1", (14, 14, 20, 90, 90, 120)),
        ("I 4 2 2", (15, 15, 22, 90, 90, 90)),
        ("F 2 3", (24, 24, 24, 90, 90, 90)),
    ],
)
def test_merging_of_a_whole_sphere_equals_gemmi(
    write_mtz: WriteMtz, tmp_path: Path, symbol: str, cell: tuple[float, ...]
) -> None:
    group = gemmi.SpaceGroup(symbol)
    unit_cell = gemmi.UnitCell(*cell)
    half = gemmi.make_miller_array(unit_cell, gemmi.SpaceGroup("P 1"), 2.2)
    hkl = np.vstack([half, -half])
    hkl = hkl[~np.array(group.operations().systematic_absences(hkl))]
    rng = np.random.default_rng(3)
    f, sigma = rng.uniform(10, 20, len(hkl)), rng.uniform(0.5, 3, len(hkl))
    path = write_mtz(
        tmp_path / "x.mtz",
        hkl,
        [("F", "F", f), ("SIGF", "Q", sigma)],
        cell=cell,
        space_group=symbol,
    )
    data = read_crystal(path)

    reference = gemmi.Intensities()
    reference.set_data(
        unit_cell,
        group,
        hkl.astype(np.int32),
        f.astype(np.float32).astype(float),
        sigma.astype(np.float32).astype(float),
    )
    reference.merge_in_place(gemmi.DataType.Mean)
    asu = gemmi.ReciprocalAsu(group)
    operations = group.operations()
    unique = [tuple(asu.to_asu(list(h), operations)[0]) for h in data.hkl.tolist()]
    expected = {
        tuple(h): (value, error)
        for h, value, error in zip(
            reference.miller_array.tolist(),
            reference.value_array,
            reference.sigma_array,
            strict=True,
        )
    }
    assert set(unique) == set(expected)
    assert len(unique) == len(expected)
    found = np.column_stack([data.f, data.sigf])
    np.testing.assert_allclose(found, [expected[h] for h in unique], rtol=1e-5)


# --- intensities and Friedel mates ----------------------------------------------------------------


def test_intensities_become_amplitudes(
    write_mtz: WriteMtz, tmp_path: Path, unique_hkl: np.ndarray
) -> None:
    rng = np.random.default_rng(0)
    i = rng.exponential(100, len(unique_hkl)) + rng.normal(0, 20, len(unique_hkl))
    assert (i < 0).any()
    path = write_mtz(
        tmp_path / "x.mtz", unique_hkl, [("I", "J", i), ("SIGI", "Q", np.full(len(i), 20.0))]
    )
    data = read_crystal(path)
    assert (data.f[data.measured] > 0).all()
    strong = i > 200
    np.testing.assert_allclose(data.f[strong], np.sqrt(i[strong]), rtol=0.08)
    assert said(data.notes, "French & Wilson")


def test_friedel_mates_alone_are_averaged(
    write_mtz: WriteMtz, tmp_path: Path, unique_hkl: np.ndarray, amplitudes: np.ndarray
) -> None:
    n = len(unique_hkl)
    plus, minus = amplitudes + 1, amplitudes - 1
    minus[:3] = np.nan
    plus[3] = minus[3] = 33.0
    columns = [
        ("F(+)", "G", plus),
        ("SIGF(+)", "L", np.full(n, 0.5)),
        ("F(-)", "G", minus),
        ("SIGF(-)", "L", np.full(n, 0.5)),
    ]
    data = read_crystal(write_mtz(tmp_path / "x.mtz", unique_hkl, columns))
    assert data.labels == ("F(+)", "SIGF(+)", "F(-)", "SIGF(-)")
    assert said(data.notes, "Friedel mates averaged")
    np.testing.assert_allclose(data.f[4:], amplitudes[4:], rtol=1e-6)
    np.testing.assert_allclose(data.f[:3], plus[:3], rtol=1e-6)
    assert data.sigf is not None
    np.testing.assert_allclose(data.sigf[4:], 0.5 / np.sqrt(2))
    # One mate only, or one measurement under both signs: its own uncertainty.
    np.testing.assert_allclose(data.sigf[:4], 0.5)


# --- cell and space group -------------------------------------------------------------------------


def test_options_supply_and_override(
    write_mtz: WriteMtz, tmp_path: Path, unique_hkl: np.ndarray, amplitudes: np.ndarray
) -> None:
    columns = [("F", "F", amplitudes), ("SIGF", "Q", amplitudes)]
    bare = write_mtz(tmp_path / "bare.mtz", unique_hkl, columns, cell=None, space_group=None)
    data = read_crystal(bare, cell=CELL, space_group="P212121")
    assert data.space_group.hm == "P 21 21 21"
    assert data.cell.parameters == CELL.parameters
    full = write_mtz(tmp_path / "full.mtz", unique_hkl, columns)
    other = read_crystal(full, space_group="P 2 2 2")
    assert other.space_group.hm == "P 2 2 2"
    assert said(other.notes, "instead of the file's P 21 21 21")
    lower = read_crystal(full, space_group="P 1 21 1")
    assert said(lower.notes, "covers only part")


# --- SF-mmCIF -------------------------------------------------------------------------------------

CIF = """\
data_r1abcsf
_cell.length_a 20.0
_cell.length_b 23.0
_cell.length_c 31.0
_cell.angle_alpha 90.0
_cell.angle_beta  90.0
_cell.angle_gamma 90.0
_symmetry.space_group_name_H-M 'P 21 21 21'
loop_
_refln.crystal_id
_refln.index_h
_refln.index_k
_refln.index_l
_refln.status
{tags}
"""


def write_cif(path: Path, tags: str, rows: list[str], header: str = CIF) -> Path:
    text = header.format(tags="\n".join(f"_refln.{tag}" for tag in tags.split()))
    path.write_text(text + "\n".join(rows) + "\n")
    return path


def test_sf_cif_amplitudes_and_status(tmp_path: Path) -> None:
    path = write_cif(
        tmp_path / "r1abcsf.ent",
        "F_meas_sigma_au F_meas_au F_calc phase_calc",
        [
            "1 1 2 3 o 0.5 10.0 11 90",
            "1 1 2 4 f 0.6 20.0 11 90",
            "1 1 2 5 x 0.7 30.0 11 90",
            "1 1 2 6 o ? ? 11 90",
            "2 1 2 7 o 0.7 40.0 11 90",
        ],
    )
    data = read_crystal(path)
    np.testing.assert_array_equal(data.hkl, [[1, 2, 3], [1, 2, 4], [1, 2, 5], [1, 2, 6]])
    np.testing.assert_allclose(data.f, [10, 20, np.nan, np.nan])
    np.testing.assert_allclose(data.sigf, [0.5, 0.6, np.nan, np.nan])
    assert data.free is not None
    assert data.free.tolist() == [1, 0, 1, 1]
    assert data.labels == ("F_meas_au", "F_meas_sigma_au")
    assert said(data.notes, "1 reflection of status x or - is not used")
    assert said(data.notes, "others: r1abcsf/2/1 (1 amplitudes); to choose give `block`")


def test_sf_cif_empty_amplitudes_beside_intensities(tmp_path: Path) -> None:
    path = write_cif(
        tmp_path / "x.cif",
        "F_meas_au F_meas_sigma_au intensity_meas intensity_sigma pdbx_r_free_flag",
        [f"1 1 2 {l} o ? ? {100 + l} 5 {l}" for l in range(1, 8)],  # noqa: E741
    )
    zipped = tmp_path / "x.cif.gz"
    zipped.write_bytes(gzip.compress(path.read_bytes()))
    data = read_crystal(zipped)
    assert data.labels == ("intensity_meas", "intensity_sigma")
    assert data.free is not None
    assert data.free.tolist() == list(range(1, 8))
    assert data.f == pytest.approx(np.sqrt(np.arange(101, 108)), rel=0.01)


def test_sf_cif_needs_what_its_block_lacks(tmp_path: Path) -> None:
    path = write_cif(
        tmp_path / "x.cif",
        "F_meas_au F_meas_sigma_au",
        ["1 1 2 3 o 10 1"],
        header="data_x\n" + CIF[CIF.index("loop_") :],
    )
    data = read_crystal(path, cell=CELL, space_group=GROUP)
    assert data.f.tolist() == [10.0]


# --- SHELX ----------------------------------------------------------------------------------------


def hkl_lines(hkl: np.ndarray, values: np.ndarray, sigma: np.ndarray) -> str:
    rows = [
        f"{h:4d}{k:4d}{l:4d}{v:8.2f}{s:8.2f}{1:4d}"
        for (h, k, l), v, s in zip(hkl, values, sigma, strict=True)  # noqa: E741
    ]
    return "\n".join([*rows, f"{0:4d}{0:4d}{0:4d}{0:8.2f}{0:8.2f}{0:4d}", "", "TITL rest"]) + "\n"


INS = """\
TITL test in P2(1)2(1)2(1)
CELL 0.71073 20.0 23.0 31.0 90 90 90
ZERR 4 0.01 0.01 0.01 0 0 0
LATT -1
SYMM 0.5-X, -Y, 0.5+Z
SYMM -X, 0.5+Y, 0.5-Z
SYMM 0.5+X, 0.5-Y, -Z
SFAC C H N O
HKLF {hklf}
END
"""


@pytest.mark.parametrize("hklf", [3, 4])
def test_shelx_with_instructions(
    tmp_path: Path, unique_hkl: np.ndarray, amplitudes: np.ndarray, hklf: int
) -> None:
    values = amplitudes if hklf == 3 else amplitudes**2
    path = tmp_path / "x.hkl"
    path.write_text(hkl_lines(unique_hkl, values, np.full(len(values), 0.05)))
    (tmp_path / "x.ins").write_text(INS.format(hklf=hklf))
    data = read_crystal(path)
    assert data.space_group.hm == "P 21 21 21"
    assert data.cell.parameters == CELL.parameters
    np.testing.assert_allclose(data.f, amplitudes, atol=0.01)
    assert said(data.notes, "x.ins")


def test_shelx_alone_unmerged_and_spaced(tmp_path: Path) -> None:
    path = tmp_path / "x.hkl"
    path.write_text("1 2 3 100.0 1.0\n-1 -2 3 104.0 1.0\n10 0 0 2500.0 3.0\n0 0 0 0 0\n")
    data = read_crystal(path, cell=CELL, space_group="P 21 21 21")
    np.testing.assert_array_equal(data.hkl, [[1, 2, 3], [10, 0, 0]])
    np.testing.assert_allclose(data.f, [np.sqrt(102), 50], rtol=1e-3)
    assert said(data.notes, "taken as HKLF 4")
    assert said(data.notes, "3 reflections merged to 2")
    as_amplitudes = read_crystal(path, cell=CELL, space_group="P 21 21 21", labin="F,SIGF")
    np.testing.assert_allclose(as_amplitudes.f, [102, 2500])


def test_shelx_large_numbers_fill_their_columns(tmp_path: Path) -> None:
    path = tmp_path / "x.hkl"
    path.write_text("-100-101-1021234567.12345.67\n   1   2   3  100.00    1.00\n")
    data = read_crystal(path, cell=gemmi.UnitCell(90, 90, 90, 90, 90, 90), space_group="P 2 3")
    np.testing.assert_array_equal(data.hkl, [[-100, -101, -102], [1, 2, 3]])
    assert data.f[0] == pytest.approx(np.sqrt(1234567), rel=1e-2)


# --- real files -----------------------------------------------------------------------------------

REAL = [
    ("1aba.mtz", "FP SIGFP", "P 21 21 21", 16153),
    ("1byz.mtz", "FP SIGFP", "P 1", 23681),
    ("1cbs.mtz", "FP SIGFP", "P 21 21 21", 14540),
    ("1crb.mtz", "FOBS_X SIGFOBS_X", "P 21 21 21", 6491),
    ("1l2h.mtz", "IMEAN SIGIMEAN", "P 43", 31781),
    ("1ubq.mtz", "FOBS SIGFOBS", "P 21 21 21", 6029),
    ("1v9g-sf.cif.gz", "F_meas_au F_meas_sigma_au", "P 21 21 21", 2770),
    ("1yjp-sf.cif.gz", "F_meas_au F_meas_sigma_au", "P 1 21 1", 495),
    ("2uui.mtz", "F SIGF", "F 2 3", 27274),
    ("4rwb.mtz", "FP SIGFP", "P 1 21/c 1", 5920),
    ("5e5z.mtz", "FP SIGFP", "P 1 21 1", 403),
    ("5edl.mtz", "FP SIGFP", "I 4 2 2", 18753),
    (
        "hewl_reciprocalspaceship.mtz",
        "F-obs-filtered(+) SIGF-obs-filtered(+) F-obs-filtered(-) SIGF-obs-filtered(-)",
        "P 43 21 2",
        12542,
    ),
]


@pytest.mark.parametrize(("name", "labels", "group", "measured"), REAL)
def test_experimental_file(
    shared_dir: Path, name: str, labels: str, group: str, measured: int
) -> None:
    data = read_crystal(shared_dir / "experimental" / name)
    assert data.labels == tuple(labels.split())
    assert data.space_group.xhm() == group
    assert data.measured.sum() == measured
    assert data.sigf is not None
    assert (data.sigf[data.measured] > 0).all()
    assert (data.f[data.measured] >= 0).all()


def test_french_wilson_amplitudes_match_the_deposited_ones(shared_dir: Path) -> None:
    """5EDL carries its intensities and the amplitudes that the depositors made of them."""
    path = shared_dir / "experimental" / "5edl.mtz"
    deposited = read_crystal(path)
    mine = read_crystal(path, labin="I,SIGI")
    both = deposited.measured & mine.measured
    assert both.sum() > 0.99 * deposited.measured.sum()
    scale = (deposited.f[both] @ mine.f[both]) / (mine.f[both] @ mine.f[both])
    difference = np.abs(deposited.f[both] - scale * mine.f[both])
    assert difference.sum() / deposited.f[both].sum() < 0.02


def test_file_without_cell_and_space_group_is_completed(shared_dir: Path) -> None:
    data = read_crystal(
        shared_dir / "experimental" / "1kip-sf.cif.gz",
        cell=gemmi.UnitCell(129.23, 60.44, 56.63, 90, 119.05, 90),
        space_group="C 1 2 1",
    )
    assert data.measured.sum() > 17000
    assert 2.0 < data.d_min < 2.2
