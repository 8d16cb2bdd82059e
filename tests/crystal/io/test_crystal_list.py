"""Lists of crystals: what is read, and every mistake in one line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from crysformer.crystal.io.crystal_list import ListedCrystal, read_list
from crysformer.errors import InputError


def listed(folder: Path, text: str) -> tuple[ListedCrystal, ...]:
    path = folder / "list.tsv"
    path.write_text(text, encoding="utf-8")
    return read_list(path)


def test_rows_with_paths_relative_to_the_list(tmp_path: Path) -> None:
    (tmp_path / "seq.fasta").write_text(">a\nGG\n")
    rows = listed(
        tmp_path,
        "copies\tdata\tsequence\n"
        "\tone.mtz\tGG,AA\n"
        "\n"
        "2\tsub/two-sf.cif.gz\tseq.fasta\n"
        " \t/far/away/three.hkl\n",
    )
    assert rows == (
        ListedCrystal("one", tmp_path / "one.mtz", "GG,AA", None),
        ListedCrystal("two-sf", tmp_path / "sub/two-sf.cif.gz", str(tmp_path / "seq.fasta"), 2),
        ListedCrystal("three", Path("/far/away/three.hkl"), None, None),
    )


def test_a_name_tells_equal_files_apart(tmp_path: Path) -> None:
    text = "data\tsequence\tcopies\tname\na/x.mtz\t\t\tfirst\nb/x.mtz\t\t\t\n"
    assert [row.name for row in listed(tmp_path, text)] == ["first", "x"]
    assert listed(tmp_path, "\ufeff" + text)[0].name == "first"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("data\tsequence\tcopies\n", "no rows below the header"),
        ("one.mtz\tGG\t1\n", "expected a header line"),
        ("data\tsequence\n1.mtz\tGG\n", "columns data, sequence"),
        ("data,sequence,copies\n1.mtz,GG,1\n", "tab-separated"),
        ("data\tsequence\tcopies\tcolour\n1.mtz\t\t\tred\n", "colour"),
        ("data\tdata\tsequence\tcopies\n", "expected a header"),
        ("data\tsequence\tcopies\na/x.mtz\t\t\nb/x.mtz\t\t\n", "lines 2 and 3 both .* 'x'"),
        ("data\tsequence\tcopies\n\tGG\t1\n", "line 2: no reflection file"),
        ("data\tsequence\tcopies\nx.mtz\tGG\tmany\n", "copies 'many'"),
        ("data\tsequence\tcopies\nx.mtz\tGG\t0\n", "copies '0'"),
        ("data\tsequence\tcopies\nx.mtz\tGG\t1\t1\n", "4 columns, expected 3"),
        ("data\tsequence\tcopies\tname\nx.mtz\t\t\t../x\n", "cannot be the name"),
    ],
)
def test_mistakes_are_one_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message) as caught:
        listed(tmp_path, text)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "list.tsv") in str(caught.value)


def test_lists_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_list(tmp_path / "none.tsv")
    (tmp_path / "binary.tsv").write_bytes(b"\xff\xfe\x00\x80")
    with pytest.raises(InputError, match="cannot be read"):
        read_list(tmp_path / "binary.tsv")
    (tmp_path / "wide.tsv").write_text("data\tsequence\tcopies\nx.mtz\t" + "A" * 200_000 + "\t\n")
    with pytest.raises(InputError, match="cannot be read"):
        read_list(tmp_path / "wide.tsv")
    (tmp_path / "folder.tsv").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        read_list(tmp_path / "folder.tsv")


@pytest.mark.parametrize("length", [255, 256, 300, 5000])
def test_sequences_longer_than_any_file_name(tmp_path: Path, length: int) -> None:
    rows = listed(tmp_path, f"data\tsequence\tcopies\nx.mtz\t{'A' * length}\t\ny.mtz\tGG\t\n")
    assert [row.sequence for row in rows] == ["A" * length, "GG"]


def test_names_longer_than_any_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be the name of a folder"):
        listed(tmp_path, f"data\tsequence\tcopies\n{'x' * 300}.mtz\tGG\t\n")


def test_file_names_that_are_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "list.tsv"
    path.write_bytes(b"data\tsequence\tcopies\ncaf\xe9.mtz\tGG\t\n")
    assert os.fsencode(read_list(path)[0].data).endswith(b"/caf\xe9.mtz")
