"""Which files of a folder are read, and which are named as passed over."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from crysformer.data import build
from crysformer.data.dataset.sources import find_sources, passed_over, read_sources
from crysformer.errors import InputError


@pytest.mark.parametrize(
    ("ending", "compress"),
    [("", bytes), (".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)],
)
def test_compressed_structures(
    tmp_path: Path, ending: str, compress: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / f"1abc_A.cif{ending}"
    path.write_bytes(compress(b"data_x\n"))
    (file,) = read_sources(find_sources([tmp_path]))
    assert (file.content, file.stem, file.is_cif) == (b"data_x\n", "1abc_A", True)
    path.write_bytes(compress(b"data_x\n" * 100)[:20])
    (file,) = read_sources([path])
    assert (file.content is None) == bool(ending)


def test_what_looks_like_a_structure_is_named(tmp_path: Path) -> None:
    names = ["a.pdb1", "b.cif.Z", "c.ent.zst", "d.bcif", "e.tar.zst", "f.zip", "sub/g.pdb2.gz"]
    others = ["index.tsv", "README", "notes.txt", "x.mtz", "pdb_list.csv", "h.pdb", "i.cif.gz"]
    (tmp_path / "sub").mkdir()
    for name in names + others:
        (tmp_path / name).write_bytes(b"")
    assert [p.relative_to(tmp_path).as_posix() for p in passed_over([tmp_path])] == sorted(names)
    assert passed_over([tmp_path / "h.pdb"]) == []


def test_a_build_says_what_it_passed_over(
    structures: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    text = gzip.decompress((structures / "1shg_A.pdb.gz").read_bytes())
    (folder / "1shg_A.pdb.xz").write_bytes(lzma.compress(text))
    (folder / "1vfy_A.pdb1").write_bytes(text)
    manifest = build([folder], tmp_path / "out", "dipeptide")
    assert manifest.counts["files"] == 1
    assert manifest.discards["file_passed_over"] == 1
    assert [p["kind"] for p in manifest.problems] == ["file_passed_over"]
    assert "1vfy_A.pdb1: passed over" in caplog.text
    assert manifest.unreadable == []
    with pytest.raises(InputError, match=r"expected \.pdb, .*\.gz, \.bz2, \.xz"):
        build([folder / "1vfy_A.pdb1"], tmp_path / "other", "dipeptide")


def test_copies_of_a_chain_share_a_split(structures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    text = gzip.decompress((structures / "1shg_A.pdb.gz").read_bytes())
    for name in ("9aaa_A", "9aab_A", "copy of 9aaa"):
        (folder / f"{name}.pdb").write_bytes(text)
    for seed in range(3):
        manifest = build([folder], tmp_path / f"{seed}", "dipeptide", seed=seed)
        assert sorted(manifest.counts["entries"].values()) == [0, 0, 3]
        assert sorted(manifest.counts["clusters"].values()) == [0, 0, 1]
