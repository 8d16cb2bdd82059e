"""Builds: the same whatever the jobs, resumable, and clear about bad input."""

from __future__ import annotations

import errno
import gzip
import io
import json
import tarfile
from pathlib import Path

import gemmi
import pyarrow.parquet as pq
import pytest

from crysformer.data import FragmentStore, Manifest, build, check
from crysformer.data.dataset import shards
from crysformer.data.dataset.curate import Curator
from crysformer.data.store import FRAGMENTS, MANIFEST, SPLITS
from crysformer.errors import CrysformerError, InputError, UsageError


def content(folder: Path) -> str:
    return str(FragmentStore.open(folder).manifest["hashes"]["content"])


def test_sample_fills_every_split(dipeptides: FragmentStore, fifteens: FragmentStore) -> None:
    for store in (dipeptides, fifteens):
        counts = store.manifest["counts"]
        assert counts["files"] == 30
        assert {k: counts["clusters"][k] for k in SPLITS} == counts["entries"]
        assert all(counts["fragments"][split] > 10 for split in SPLITS)


def test_training_has_more_than_disjoint_pairs(dipeptides: FragmentStore) -> None:
    counts = dipeptides.manifest["counts"]
    for split, per_residue in (("train", 0.9), ("test", 0.4)):
        table = dipeptides.table(split)
        by_chain: dict[str, list[int]] = {}
        for entry, start in zip(table.entry, table.start.tolist(), strict=True):
            by_chain.setdefault(entry, []).append(start)
        residues = sum(max(starts) + 2 for starts in by_chain.values())
        assert len(table) == counts["fragments"][split]
        assert per_residue * residues < len(table) < (per_residue + 0.11) * residues


def test_same_hashes_with_two_jobs(
    structures: Path, dipeptides: FragmentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "_FILES_PER_SHARD", 7)
    two = build([structures], tmp_path / "two", "dipeptide", jobs=2)
    assert two.hashes == dipeptides.manifest["hashes"]
    assert two.discards == dipeptides.manifest["discards"]
    assert two.scales == dipeptides.manifest["scales"]


def test_archive_gives_what_the_folder_gives(
    structures: Path, dipeptides: FragmentStore, tmp_path: Path
) -> None:
    archive = tmp_path / "chains.tar.xz"
    with tarfile.open(archive, "w:xz", preset=0) as tar:
        for path in sorted(structures.glob("*.pdb.gz")):
            text = gzip.decompress(path.read_bytes())
            member = tarfile.TarInfo(f"x/{path.name.removesuffix('.gz')}")
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text))
    index = structures / "index.tsv"
    build([archive], tmp_path / "out", "dipeptide", index=index)
    assert content(tmp_path / "out") == content(dipeptides.folder)


def test_mmcif_gives_what_pdb_gives(structures: Path, tmp_path: Path) -> None:
    source = structures / "1shg_A.pdb.gz"
    structure = gemmi.read_structure(str(source))
    structure.setup_entities()
    structure.make_mmcif_document().write_file(str(tmp_path / "1shg_A.cif"))
    for name, path in (("cif", tmp_path / "1shg_A.cif"), ("pdb", source)):
        build([path], tmp_path / name, "dipeptide")
    assert content(tmp_path / "cif") == content(tmp_path / "pdb")


def test_killed_build_resumes(
    structures: Path, dipeptides: FragmentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "_FILES_PER_SHARD", 7)
    out = tmp_path / "out"
    curate, calls = Curator.curate, []

    def interrupted(self: Curator, files):  # type: ignore[no-untyped-def]
        calls.append(len(files))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return curate(self, files)

    monkeypatch.setattr(Curator, "curate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build([structures], out, "dipeptide")
    assert [p.name for p in out.iterdir()] == [".parts"]
    with pytest.raises(UsageError, match="`resume`"):
        build([structures], out, "dipeptide")
    with pytest.raises(UsageError, match="other settings"):
        build([structures], out, "dipeptide", seed=1, resume=True)
    build([structures], out, "dipeptide", resume=True)
    assert len(calls) == 3 + 3  # five shards, two of them finished before
    assert content(out) == content(dipeptides.folder)
    assert sorted(p.name for p in out.iterdir()) == [FRAGMENTS, MANIFEST]


def test_resuming_a_finished_build_does_nothing(structures: Path, tmp_path: Path) -> None:
    paths = [structures / "1shg_A.pdb.gz"]
    first = build(paths, tmp_path / "out", "dipeptide")
    stamp = (tmp_path / "out" / FRAGMENTS).stat().st_mtime_ns
    again = build(paths, tmp_path / "out", "dipeptide", resume=True)
    assert again == first
    assert (tmp_path / "out" / FRAGMENTS).stat().st_mtime_ns == stamp
    with pytest.raises(UsageError, match="other settings"):
        build(paths, tmp_path / "out", "fifteen", resume=True)


def test_folder_that_is_not_empty_is_refused(structures: Path, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        build([structures / "1shg_A.pdb.gz"], tmp_path, "dipeptide")
    build([structures / "1shg_A.pdb.gz"], tmp_path, "dipeptide", overwrite=True)
    assert (tmp_path / "note.txt").read_text() == "mine"


def test_bad_files_are_named_and_do_not_stop(structures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "1shg_A.pdb.gz").write_bytes((structures / "1shg_A.pdb.gz").read_bytes())
    (folder / "2bad.pdb.gz").write_bytes((structures / "1vfy_A.pdb.gz").read_bytes()[:3000])
    (folder / "3bad.cif").write_text("data_x\nloop_\n")
    (folder / "4bad.tar.xz").write_bytes(b"not an archive")
    (folder / "5non.pdb").write_text("REMARK nothing\nEND\n")
    (folder / "6het.pdb").write_text(
        "HETATM    1  O   HOH A   1      10.000  10.000  10.000  1.00 20.00           O\n"
    )
    manifest = build([folder], tmp_path / "out", "dipeptide")
    assert manifest.discards["file_unreadable"] == 3
    assert manifest.discards["file_without_atoms"] == 1
    assert manifest.discards["file_without_protein"] == 1
    names = [Path(p["file"]).name for p in manifest.unreadable]
    assert names == ["2bad.pdb.gz", "3bad.cif", "4bad.tar.xz"]
    assert sum(manifest.counts["fragments"].values()) > 25


def test_truncated_archive_keeps_what_came_before(structures: Path, tmp_path: Path) -> None:
    archive = tmp_path / "chains.tar"
    with tarfile.open(archive, "w") as tar:
        for path in sorted(structures.glob("*.pdb.gz"))[:4]:
            tar.add(path, path.name)
    archive.write_bytes(archive.read_bytes()[:35_000])
    manifest = build([archive], tmp_path / "out", "dipeptide")
    assert manifest.unreadable[0]["file"] == str(archive)
    assert 1 < manifest.counts["files"] < 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("END\n", "no atoms"),
        (
            "HETATM    1  O   HOH A   1      10.000  10.000  10.000  1.00 20.00           O\n",
            "no protein chain",
        ),
    ],
)
def test_nothing_usable_leaves_nothing(tmp_path: Path, text: str, message: str) -> None:
    source = tmp_path / "1abc.pdb"
    source.write_text(text)
    with pytest.raises(InputError, match=f"1abc.pdb: {message}"):
        build([source], tmp_path / "a" / "out", "dipeptide")
    assert not (tmp_path / "a" / "out").exists()


def test_only_refused_entries_say_why(structures: Path, tmp_path: Path) -> None:
    index = tmp_path / "index.tsv"
    index.write_text("id\tresolution\n1shg_A\t3.2\n")
    with pytest.raises(InputError, match=r"entry_resolution_worse_than_2\.75 1"):
        build([structures / "1shg_A.pdb.gz"], tmp_path / "out", "dipeptide", index=index)


def test_strict_drops_what_is_not_known(structures: Path, tmp_path: Path) -> None:
    # The sample's index gives no release dates.
    with pytest.raises(InputError, match="strict_release_date_unknown 30"):
        build([structures], tmp_path / "out", "dipeptide", strict=True)


def test_full_disk_is_one_line_and_resumable(
    structures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    paths = [structures / "1shg_A.pdb.gz"]
    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", full)
        with pytest.raises(CrysformerError, match="No space left on device"):
            build(paths, tmp_path / "out", "dipeptide")
    assert not (tmp_path / "out" / FRAGMENTS).exists()
    assert not (tmp_path / "out" / MANIFEST).exists()
    build(paths, tmp_path / "out", "dipeptide", resume=True)
    assert (tmp_path / "out" / MANIFEST).exists()


def test_the_same_chain_twice_counts_once(structures: Path, tmp_path: Path) -> None:
    source = structures / "1shg_A.pdb.gz"
    copy = tmp_path / "copy" / source.name
    copy.parent.mkdir()
    copy.write_bytes(source.read_bytes())
    once = build([source], tmp_path / "once", "dipeptide")
    twice = build([source, copy], tmp_path / "twice", "dipeptide")
    assert once.hashes["content"] == twice.hashes["content"]
    n = sum(once.counts["fragments"].values())
    assert twice.discards["fragment_of_chain_given_twice"] == n


def test_chain_given_again_with_other_gaps_adds_nothing(
    structures: Path, chain: gemmi.Structure, tmp_path: Path
) -> None:
    del chain[0][0][3]
    again = tmp_path / "again" / "1shg_A.pdb"
    again.parent.mkdir()
    chain.write_pdb(str(again))
    source = structures / "1shg_A.pdb.gz"
    once = build([source], tmp_path / "once", "fifteen")
    twice = build([source, again], tmp_path / "twice", "fifteen")
    assert once.hashes["content"] == twice.hashes["content"]
    assert check(tmp_path / "twice") == []


def test_limit_counts_files(structures: Path, tmp_path: Path) -> None:
    manifest = build([structures], tmp_path / "out", "fifteen", limit=3)
    assert manifest.counts["files"] == 3


def test_short_chains_are_left_out(chain: gemmi.Structure, tmp_path: Path) -> None:
    for _ in range(18):
        del chain[0][0][-1]
    source = tmp_path / "1abc_A.pdb"
    chain.write_pdb(str(source))
    with pytest.raises(InputError, match="chain_shorter_than_40 1"):
        build([source], tmp_path / "out", "dipeptide")


@pytest.mark.parametrize("paths", [["missing.pdb"], ["."], ["notes.txt"]])
def test_paths_that_hold_nothing(
    paths: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(InputError):
        build(paths, tmp_path / "out", "dipeptide")
    assert not (tmp_path / "out").exists()


def test_unknown_recipe(structures: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="dipeptide, fifteen"):
        build([structures], tmp_path / "out", "tripeptide")


def test_manifest_round_trip(dipeptides: FragmentStore) -> None:
    manifest = Manifest.read(dipeptides.folder / MANIFEST)
    assert json.loads(json.dumps(vars(manifest))) == dipeptides.manifest
    assert manifest.constants["min_contact"] == 2.75
    assert manifest.scales["density"]["scale"] == pytest.approx(
        max(manifest.scales["density"]["max"], -manifest.scales["density"]["min"])
    )
