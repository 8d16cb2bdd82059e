"""What is known of an entry, and who is refused."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from crysformer.data.dataset.entries import (
    Entry,
    EntryIndex,
    entry_name,
    refusals,
    unknowns,
    with_header,
)
from crysformer.data.dataset.sources import StructureFile
from crysformer.data.dataset.standardise import parse
from crysformer.errors import InputError

GOOD = Entry("1abc", "X-RAY DIFFRACTION", 2.0, 0.25, 2001, "c")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"method": "SOLUTION NMR"}, "entry_not_xray"),
        ({"year": 1995}, "entry_released_before_1996"),
        ({"resolution": 2.76}, "entry_resolution_worse_than_2.75"),
        ({"r_free": 0.281}, "entry_r_free_above_0.28"),
    ],
)
def test_each_criterion(change: dict[str, object], reason: str) -> None:
    assert refusals(GOOD) == []
    assert refusals(Entry(**{**vars(GOOD), **change})) == [reason]  # type: ignore[arg-type]


def test_limits_themselves_pass() -> None:
    assert refusals(Entry("1abc", "X-RAY DIFFRACTION", 2.75, 0.28, 1996, None)) == []


def test_unknown_is_kept_and_counted() -> None:
    nothing = Entry("1abc")
    assert refusals(nothing) == []
    assert len(unknowns(nothing)) == 4
    diffraction = Entry("1abc", "DIFFRACTION (PDB_ENTRY_TYPE)", 2.0, 0.2, 2001)
    assert refusals(diffraction) == []
    assert unknowns(diffraction) == ["method_unspecified_diffraction"]


@pytest.mark.parametrize(
    ("stem", "name"),
    [("1ABC_A", "1abc"), ("1abc-lu_B", "1abc"), ("pdb_00001abc_B", "pdb_00001abc"), ("my", "my")],
)
def test_entry_names(stem: str, name: str) -> None:
    assert entry_name(stem) == name


HEADER = b"""\
HEADER    TRANSCRIPTION                           02-MAR-98   1TF6
EXPDTA    X-RAY DIFFRACTION
REVDAT   2   10-JUL-99 1TF6    1
REVDAT   1   10-JUL-98 1TF6    0
REMARK   2
REMARK   2 RESOLUTION.    3.10 ANGSTROMS.
REMARK   3
REMARK   3  DATA USED IN REFINEMENT.
REMARK   3   FREE R VALUE                     : 0.363
ATOM      1  CA  ALA A   1       0.000   0.000   0.000  1.00 20.00           C
"""


def test_header_fills_what_the_index_lacks() -> None:
    structure = parse(StructureFile("1tf6.pdb", HEADER))
    entry = with_header(Entry("1tf6", resolution=3.0), structure, HEADER)
    assert entry.method == "X-RAY DIFFRACTION"
    assert (entry.resolution, entry.year) == (3.0, 1998)
    assert entry.r_free == pytest.approx(0.363)
    assert refusals(entry) == ["entry_resolution_worse_than_2.75", "entry_r_free_above_0.28"]


def test_mmcif_release_date_is_the_first_revision() -> None:
    text = (
        b"data_1abc\nloop_\n_pdbx_audit_revision_history.ordinal\n"
        b"_pdbx_audit_revision_history.revision_date\n1 1994-05-31\n2 2011-07-13\n"
    )
    structure = parse(StructureFile("1abc.cif", text))
    assert with_header(Entry("1abc"), structure, text).year == 1994


def test_deposited_entries(shared_dir: Path) -> None:
    refused = {}
    for path in sorted((shared_dir / "deposited").glob("*.gz")):
        content = gzip.decompress(path.read_bytes())
        structure = parse(StructureFile(path.name, content))
        stem = StructureFile(path.name, None).stem
        reasons = refusals(with_header(Entry(stem), structure, content))
        if reasons:
            refused[stem] = reasons
    assert refused == {
        "1bhp": ["entry_r_free_above_0.28"],
        "1shg": ["entry_released_before_1996"],
        "1tf6": ["entry_resolution_worse_than_2.75", "entry_r_free_above_0.28"],
        "3cyo": ["entry_r_free_above_0.28"],
    }


def test_index_ties_rows_to_files(tmp_path: Path) -> None:
    table = tmp_path / "index.tsv"
    table.write_text("id\tpdb_id\tchain\tr_free\tcluster_30\n1abc_A\t1ABC\tA\t\tc1\n")
    entry = EntryIndex.read(table).of_file("1abc_A")
    assert (entry.name, entry.r_free, entry.cluster) == ("1abc", None, "c1")
    assert EntryIndex.read(table).of_file("2xyz_A") == Entry("2xyz")


def test_free_text_names_no_entry_but_joins(tmp_path: Path) -> None:
    table = tmp_path / "index.tsv"
    table.write_text("id\tpdb_id\tchain\n1abc-lu_B\tunbound partner of 1abc\tB\n")
    entry = EntryIndex.read(table).of_file("1abc-lu_B")
    assert (entry.name, entry.recorded_as) == ("1abc-lu", "unbound partner of 1abc")


@pytest.mark.parametrize(
    ("text", "message"),
    [("a\tb\n1\t2\n", "expected one of id, file"), ("id\tresolution\nx\thigh\n", "line 2")],
)
def test_bad_index(tmp_path: Path, text: str, message: str) -> None:
    table = tmp_path / "index.tsv"
    table.write_text(text)
    with pytest.raises(InputError, match=message):
        EntryIndex.read(table)


def test_missing_index(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        EntryIndex.read(tmp_path / "none.tsv")
