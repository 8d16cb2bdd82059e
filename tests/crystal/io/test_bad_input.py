"""Files that cannot be used are refused with one line that says what to do."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Callable
from pathlib import Path

import gemmi
import numpy as np
import pytest

from crysformer.crystal.io.read import read_crystal
from crysformer.crystal.io.write import read_map
from crysformer.errors import CrysformerError, InputError, UsageError

WriteMtz = Callable[..., Path]


@pytest.fixture(scope="module")
def columns(unique_hkl: np.ndarray) -> list[tuple[str, str, np.ndarray]]:
    f = np.random.default_rng(0).uniform(5, 100, len(unique_hkl))
    return [("F", "F", f), ("SIGF", "Q", f / 10)]


def refusal(path: Path, **options: object) -> str:
    with pytest.raises(InputError) as caught:
        read_crystal(path, **options)  # type: ignore[arg-type]
    message = str(caught.value)
    assert message.startswith(str(path))
    assert "\n" not in message
    return message


@pytest.mark.parametrize("kept", ["COLUMN", "PROJECT", "DATASET", "DCELL"])
def test_mtz_cut_in_its_header(
    write_mtz: WriteMtz,
    tmp_path: Path,
    unique_hkl: np.ndarray,
    columns: list[tuple[str, str, np.ndarray]],
    kept: str,
) -> None:
    """gemmi reads what is left, perhaps without data sets."""
    path = write_mtz(tmp_path / "x.mtz", unique_hkl, columns)
    content = path.read_bytes()
    path.write_bytes(content[: content.rindex(kept.encode()) + 80])
    assert "the header has no record END, so it is cut short" in refusal(path)


@pytest.mark.parametrize("angles", ["0 90 90", "90 0 90", "90 90 0", "180 90 90", "90 180 90"])
def test_angles_of_no_cell(tmp_path: Path, unique_hkl: np.ndarray, angles: str) -> None:
    """gemmi raises RuntimeError for some of them."""
    rows = [(*hkl, 100.0, 10.0) for hkl in unique_hkl.tolist()]
    cif = [f"data_x\n_cell.length_{x} 20" for x in "a"] + [f"_cell.length_{x} 20" for x in "bc"]
    cif += [
        f"_cell.angle_{n} {x}"
        for n, x in zip(("alpha", "beta", "gamma"), angles.split(), strict=True)
    ]
    cif += ["_symmetry.space_group_name_H-M 'P 1'", "loop_"]
    cif += [f"_refln.{n}" for n in ("index_h", "index_k", "index_l")]
    cif += ["_refln.intensity_meas", "_refln.intensity_sigma"]
    sca = ["    1", " -985", f" 20 20 20 {angles} p1"]
    xds = ["!FORMAT=XDS_ASCII    MERGE=TRUE    FRIEDEL'S_LAW=TRUE", "!SPACE_GROUP_NUMBER=    1"]
    xds += [f"!UNIT_CELL_CONSTANTS= 20 20 20 {angles}", "!NUMBER_OF_ITEMS_IN_EACH_DATA_RECORD=5"]
    xds += ["!ITEM_H=1", "!ITEM_K=2", "!ITEM_L=3", "!ITEM_IOBS=4", "!ITEM_SIGMA(IOBS)=5"]
    xds += ["!END_OF_HEADER"]
    ins = f"CELL 1.0 20 20 20 {angles}\nLATT -1\nHKLF 4\nEND\n"
    (tmp_path / "shelx.ins").write_text(ins)
    fixed = [f"{h:4d}{k:4d}{l:4d}{i:8.1f}{s:8.1f}" for h, k, l, i, s in rows]  # noqa: E741
    free = [" ".join(map(str, row)) for row in rows]
    for name, lines in {
        "x.cif": [*cif, *free],
        "x.sca": [*sca, *fixed],
        "x.HKL": [*xds, *free, "!END_OF_DATA"],
        "shelx.hkl": fixed,
    }.items():
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        refusal(path)


def test_missing_file(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "no.mtz")


def test_folder(tmp_path: Path) -> None:
    assert "is a folder" in refusal(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"\n \n", gzip.compress(b"")], ids=["empty", "blank", "gzipped"]
)
def test_empty(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.mtz"
    path.write_bytes(content)
    assert "is empty" in refusal(path)


@pytest.mark.parametrize(
    "content",
    [b"hello world\n", bytes(range(256)) * 20, b"1 2 3\n4 5 6\n", b"{}", b"\x00" * 500],
    ids=["text", "binary", "numbers", "json", "zeros"],
)
def test_unknown_content(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.mtz"
    path.write_bytes(content)
    assert "neither MTZ, SF-mmCIF, SHELX .hkl, XDS_ASCII nor scalepack" in refusal(path)


def test_coordinates(tmp_path: Path) -> None:
    pdb = tmp_path / "x.pdb"
    pdb.write_text("CRYST1   20.000   23.000   31.000  90.00  90.00  90.00 P 21 21 21\n")
    assert "coordinate file" in refusal(pdb)
    cif = tmp_path / "x.cif"
    cif.write_text("data_x\nloop_\n_atom_site.id\n_atom_site.Cartn_x\n1 2.0\n")
    assert "coordinate file" in refusal(cif)


@pytest.mark.parametrize("share", [0.001, 0.02, 0.3, 0.6, 0.9])
@pytest.mark.parametrize("compressed", [False, True])
def test_truncated_mtz(
    write_mtz: WriteMtz,
    tmp_path: Path,
    unique_hkl: np.ndarray,
    columns: list[tuple[str, str, np.ndarray]],
    share: float,
    compressed: bool,
) -> None:
    path = write_mtz(tmp_path / "x.mtz", unique_hkl, columns)
    content = path.read_bytes()
    if compressed:
        content = gzip.compress(content)
    path.write_bytes(content[: max(8, int(share * len(content)))])
    assert "truncated or broken" in refusal(path)


def test_broken_cif(tmp_path: Path) -> None:
    path = tmp_path / "x.cif"
    path.write_text("data_x\nloop_\n_refln.index_h\n_refln.index_k\n1 2 3\n")
    assert "truncated or broken CIF" in refusal(path)


def test_cif_without_measurements(tmp_path: Path) -> None:
    path = tmp_path / "x.cif"
    tags = ["index_h", "index_k", "index_l", "F_calc", "phase_calc"]
    path.write_text("data_x\nloop_\n" + "".join(f"_refln.{t}\n" for t in tags) + "1 2 3 10 90\n")
    assert "no measured reflections" in refusal(path)


def test_unmerged_cif(tmp_path: Path) -> None:
    path = tmp_path / "x.cif"
    tags = ["index_h", "index_k", "index_l", "intensity_net", "intensity_sigma"]
    path.write_text(
        "data_x\nloop_\n" + "".join(f"_diffrn_refln.{t}\n" for t in tags) + "1 2 3 10 1\n"
    )
    assert "unmerged" in refusal(path)


def test_broken_line_in_hkl(tmp_path: Path) -> None:
    path = tmp_path / "x.hkl"
    path.write_text("   1   2   3  100.00    1.00\n   1   2   4  10\n")
    assert "line 2" in refusal(path)


def test_only_a_terminator_in_hkl(tmp_path: Path) -> None:
    path = tmp_path / "x.hkl"
    path.write_text("   0   0   0    0.00    0.00\n")
    assert "no reflections" in refusal(path)


def test_twinned_hkl(tmp_path: Path) -> None:
    path = tmp_path / "x.hkl"
    path.write_text("   1   2   3  100.00    1.00\n")
    (tmp_path / "x.ins").write_text("CELL 0.7 10 11 12 90 90 90\nLATT -1\nHKLF 5\n")
    assert "HKLF 5" in refusal(path)


def test_broken_instructions(tmp_path: Path) -> None:
    path = tmp_path / "x.hkl"
    path.write_text("   1   2   3  100.00    1.00\n")
    (tmp_path / "x.ins").write_text("CELL 0.7 10 eleven 12 90 90 90\n")
    with pytest.raises(InputError, match=r"x\.ins: cannot be read as SHELX instructions"):
        read_crystal(path)


def test_hkl_without_cell_and_space_group(tmp_path: Path) -> None:
    path = tmp_path / "x.hkl"
    path.write_text("   1   2   3  100.00    1.00\n")
    message = refusal(path)
    assert "no unit cell and no space group" in message
    assert "`cell` A,B,C,ALPHA,BETA,GAMMA `space_group` SYMBOL" in message


def test_mtz_without_cell_or_space_group(
    write_mtz: WriteMtz,
    tmp_path: Path,
    unique_hkl: np.ndarray,
    columns: list[tuple[str, str, np.ndarray]],
) -> None:
    no_cell = write_mtz(tmp_path / "a.mtz", unique_hkl, columns, cell=None)
    message = refusal(no_cell)
    assert "no unit cell; supply `cell`" in message
    assert "`space_group`" not in message
    no_group = write_mtz(tmp_path / "b.mtz", unique_hkl, columns, space_group=None)
    message = refusal(no_group)
    assert "no space group; supply `space_group` SYMBOL" in message
    assert "`cell`" not in message


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"space_group": "P 4"}, "contradicts space group P 4 (tetragonal)"),
        ({"space_group": "P 61"}, "contradicts space group P 61 (hexagonal)"),
        ({"cell": gemmi.UnitCell(20, 23, 31, 90, 95, 90)}, "contradicts space group P 21 21 21"),
        ({"cell": gemmi.UnitCell(-20, 23, 31, 90, 90, 90)}, "is impossible"),
        ({"cell": gemmi.UnitCell(20, 23, 31, 90, 30, 30)}, "is impossible"),
        ({"labin": "FX,SIGFX"}, "no column FX"),
        ({"labin": "SIGF"}, "of type Q"),
    ],
)
def test_options_that_contradict_the_file(
    write_mtz: WriteMtz,
    tmp_path: Path,
    unique_hkl: np.ndarray,
    columns: list[tuple[str, str, np.ndarray]],
    options: dict[str, object],
    says: str,
) -> None:
    assert says in refusal(write_mtz(tmp_path / "x.mtz", unique_hkl, columns), **options)


def test_a_space_group_that_means_nothing_is_a_fault_of_usage(
    write_mtz: WriteMtz,
    tmp_path: Path,
    unique_hkl: np.ndarray,
    columns: list[tuple[str, str, np.ndarray]],
) -> None:
    path = write_mtz(tmp_path / "x.mtz", unique_hkl, columns)
    with pytest.raises(UsageError, match="unknown space group 'nonsense'"):
        read_crystal(path, space_group="nonsense")


def test_small_strain_is_no_contradiction(
    write_mtz: WriteMtz,
    tmp_path: Path,
    unique_hkl: np.ndarray,
    columns: list[tuple[str, str, np.ndarray]],
) -> None:
    path = write_mtz(
        tmp_path / "x.mtz", unique_hkl, columns, cell=(20.0, 20.02, 31.0, 90.0, 90.1, 90.0)
    )
    assert read_crystal(path, space_group="P 41 21 2").space_group.number == 92


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda f: np.full_like(f, np.nan), "no positive measurement"),
        (lambda f: np.zeros_like(f), "no positive measurement"),
        (lambda f: -f, "are negative"),
        (lambda f: np.where(np.arange(len(f)) % 20 == 0, -f, f), "are negative"),
        (lambda f: np.full_like(f, np.inf), "no positive measurement"),
    ],
    ids=["nan", "zero", "negative", "some-negative", "infinite"],
)
def test_unusable_amplitudes(
    write_mtz: WriteMtz,
    tmp_path: Path,
    unique_hkl: np.ndarray,
    columns: list[tuple[str, str, np.ndarray]],
    change: Callable[[np.ndarray], np.ndarray],
    says: str,
) -> None:
    (label, kind, f), sigma = columns
    path = write_mtz(tmp_path / "x.mtz", unique_hkl, [(label, kind, change(f)), sigma])
    assert says in refusal(path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda i: -i, "expected it positive"),
        (lambda i: np.full_like(i, np.nan), "no positive measurement"),
    ],
    ids=["negative", "nan"],
)
def test_unusable_intensities(
    write_mtz: WriteMtz,
    tmp_path: Path,
    unique_hkl: np.ndarray,
    change: Callable[[np.ndarray], np.ndarray],
    says: str,
) -> None:
    i = np.random.default_rng(0).exponential(100, len(unique_hkl))
    path = write_mtz(
        tmp_path / "x.mtz",
        unique_hkl,
        [("I", "J", change(i)), ("SIGI", "Q", np.full_like(i, 10.0))],
    )
    assert says in refusal(path)


def test_absurd_miller_index(write_mtz: WriteMtz, tmp_path: Path) -> None:
    hkl = np.array([[1, 2, 3], [1, 2, 900_000]])
    path = write_mtz(tmp_path / "x.mtz", hkl, [("F", "F", np.ones(2)), ("SIGF", "Q", np.ones(2))])
    assert "Miller index of 900000" in refusal(path)


@pytest.mark.parametrize("seed", range(40))
def test_damaged_bytes_never_raise_anything_else(
    write_mtz: WriteMtz,
    tmp_path: Path,
    unique_hkl: np.ndarray,
    columns: list[tuple[str, str, np.ndarray]],
    seed: int,
) -> None:
    """Random bytes anywhere, half of the time in the header: read, or refused as bad input."""
    rng = np.random.default_rng(seed)
    path = write_mtz(tmp_path / "x.mtz", unique_hkl, columns)
    content = np.frombuffer(path.read_bytes(), dtype=np.uint8).copy()
    header = path.read_bytes().index(b"VERS MTZ")
    places = rng.integers(header if seed % 2 else 0, len(content), 10)
    content[places] = rng.integers(0, 256, 10)
    path.write_bytes(content.tobytes())
    with contextlib.suppress(InputError):
        assert read_crystal(path).measured.any()


def test_all_absent_in_the_wrong_space_group(write_mtz: WriteMtz, tmp_path: Path) -> None:
    hkl = np.array([[1, 2, 4], [1, 0, 0], [3, 2, 2]])
    path = write_mtz(
        tmp_path / "x.mtz", hkl, [("F", "F", np.full(3, 9.0)), ("SIGF", "Q", np.ones(3))]
    )
    message = refusal(path, space_group="I 2 2 2")
    assert "3 systematically absent" in message
    assert "check the space group" in message


def test_unmerged_mtz(tmp_path: Path) -> None:
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup = gemmi.SpaceGroup("P 1")
    mtz.set_cell_for_all(gemmi.UnitCell(10, 11, 12, 90, 90, 90))
    for label, column_type in [("M/ISYM", "Y"), ("BATCH", "B"), ("I", "J"), ("SIGI", "Q")]:
        mtz.add_column(label, column_type)
    mtz.set_data(np.array([[1, 2, 3, 1, 1, 100, 10]], dtype=np.float32))
    batch = mtz.Batch()
    batch.number = 1
    batch.cell = mtz.cell
    mtz.batches.append(batch)
    path = tmp_path / "x.mtz"
    mtz.write_to_file(str(path))
    assert "unmerged data in 1 batch;" in refusal(path)


def test_experimental_file_without_space_group(shared_dir: Path) -> None:
    message = refusal(shared_dir / "experimental" / "1kip-sf.cif.gz")
    assert "no unit cell and no space group" in message
    assert "`space_group`" in message


@pytest.mark.parametrize("content", [None, b"", b"hello", b"\x00" * 2000])
def test_maps_that_are_none(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.ccp4"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CrysformerError, match=r"x\.ccp4") as caught:
        read_map(path)
    assert "\n" not in str(caught.value)
