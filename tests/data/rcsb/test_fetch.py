"""Downloads against a server on this machine: whole, resumable, and patient with failures."""

from __future__ import annotations

import csv
import gzip
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import time
from email.message import Message
from pathlib import Path

import pytest

from crysformer.data import build
from crysformer.data.criteria import Criteria
from crysformer.data.dataset.entries import EntryIndex
from crysformer.data.dataset.splits import Splitter
from crysformer.data.rcsb import search_query
from crysformer.data.rcsb.fetch import fetch
from crysformer.data.rcsb.fetch_record import Fetched, Service
from crysformer.data.rcsb.http_client import user_agent
from crysformer.errors import CrysformerError, UsageError
from crysformer.files import write_bytes
from crysformer.parallel import Workers
from crysformer.testing import WorkerKiller

from .conftest import QUICK, Archive, downloads, files, get


def test_everything_that_fits_with_checksums(archive: Archive, out: Path) -> None:
    fetched = get(archive, out)
    assert files(out) == archive.files
    assert fetched.counts == {
        "hits": 6, "entities": 6, "entries": 6, "kept": 0, "downloaded": 6, "changed": 0,
        "missing": 0, "failed": 0, "bytes": sum(map(len, archive.files.values())),
    }  # fmt: skip
    assert Fetched.read(out / "fetch.json") == fetched
    lines = (out / "SHA256SUMS").read_text().splitlines()
    assert len(lines) == 6
    for line in lines:
        digest, name = line.split("  ")
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest
    if shutil.which("sha256sum"):
        subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=out, check=True)
    assert all(agent.startswith("crysformer/") for agent in archive.agents)


def test_query_is_that_of_the_paper(archive: Archive, out: Path) -> None:
    get(archive, out, limit=1)
    (query,) = archive.queries
    nodes = [node["parameters"] for node in query["query"]["nodes"]]
    conditions = {node["attribute"]: (node["operator"], node["value"]) for node in nodes}
    assert query["query"]["logical_operator"] == "and"
    assert query["return_type"] == "polymer_entity"
    assert conditions == {
        "exptl.method": ("exact_match", "X-RAY DIFFRACTION"),
        "rcsb_accession_info.initial_release_date": ("greater_or_equal", "1996-01-01T00:00:00Z"),
        "entity_poly.rcsb_entity_polymer_type": ("exact_match", "Protein"),
        "entity_poly.rcsb_sample_sequence_length": ("greater_or_equal", 40),
        "rcsb_entry_info.resolution_combined": ("less_or_equal", 2.75),
        "refine.ls_R_factor_R_free": ("less_or_equal", 0.28),
    }
    options = query["request_options"]
    assert options["results_content_type"] == ["experimental"]
    assert options["group_by"]["aggregation_method"] == "sequence_identity"
    assert options["group_by"]["similarity_cutoff"] == 30
    assert options["group_by_return_type"] == "representatives"
    assert json.loads((out / "fetch.json").read_text())["request"] == query


def test_pages_are_joined(archive: Archive, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = search_query.search.__defaults__
    assert defaults is not None
    monkeypatch.setattr(search_query.search, "__defaults__", (*defaults[:-1], 4))
    assert get(archive, out).counts["hits"] == 6
    starts = [query["request_options"]["paginate"]["start"] for query in archive.queries]
    assert starts == [0, 4]


def test_seed_limit_and_fraction_choose_a_beginning(archive: Archive, tmp_path: Path) -> None:
    whole = get(archive, tmp_path / "a").entities
    half = get(archive, tmp_path / "b", fraction=0.5)
    assert half.counts["entities"] == 3
    assert set(files(tmp_path / "b")) == {f"{e[:4]}.cif.gz" for e in whole[:3]}
    other = get(archive, tmp_path / "c", seed=1, limit=2)
    assert other.entities != whole
    assert len(files(tmp_path / "c")) == 2
    archive.entities.remove(whole[0].upper())  # an archive that changes keeps the order
    assert get(archive, tmp_path / "d").entities == whole[1:]
    again = get(archive, tmp_path / "b", limit=4, resume=True)  # more of the same search
    assert again.counts["kept"] == 3
    assert set(files(tmp_path / "b")) == {f"{e[:4]}.cif.gz" for e in whole[:4]}


def test_another_choice_leaves_no_files_of_the_first(archive: Archive, out: Path) -> None:
    get(archive, out, limit=4)
    with pytest.raises(UsageError, match="2 files beyond"):
        get(archive, out, limit=2, resume=True)
    assert len(files(out)) == 4
    chosen = get(archive, out, limit=2, overwrite=True).entities[:2]
    assert set(files(out)) == {f"{entity[:4]}.cif.gz" for entity in chosen}


def test_index_keeps_clusters_together(archive: Archive, out: Path) -> None:
    get(archive, out)
    a, b, c, *_, last = (entity[:4].lower() for entity in archive.entities)
    with (out / "index.tsv").open() as file:
        rows = {row["id"]: row for row in csv.DictReader(file, delimiter="\t")}
    assert rows[a]["cluster_30"] == f"{a}_1"
    assert rows[b]["cluster_30"] == rows[f"{c}_2"]["cluster_30"] == "9xyz_1"
    assert rows[c]["cluster_30"] == f"{c}_1"
    assert rows[last]["cluster_30"] == f"{last}_1"  # in no cluster: its own
    index = EntryIndex.read(out / "index.tsv")
    splitter = Splitter(index.entries(), 0)
    assert splitter.group(b) == splitter.group(c)  # through the second chain of c
    assert splitter.group(a) != splitter.group(b)


def test_folder_builds_and_every_criterion_is_known(archive: Archive, out: Path) -> None:
    get(archive, out)
    manifest = build([out], out.parent / "data", "dipeptide", strict=True)
    assert manifest.index is not None
    assert manifest.counts["files"] == 6
    assert manifest.kept_unknown == {}
    assert sum(manifest.counts["fragments"].values()) > 300
    assert len(set(manifest.counts["entries"].values())) > 1


def test_kept_files_are_not_asked_for_again(archive: Archive, out: Path) -> None:
    get(archive, out)
    archive.requests.clear()
    with pytest.raises(UsageError, match="not empty"):
        get(archive, out)
    assert get(archive, out, resume=True).counts["kept"] == 6
    assert archive.requests == []
    with pytest.raises(UsageError, match="another request"):
        get(archive, out, resume=True, criteria=Criteria(max_resolution=2.0))
    assert get(archive, out, overwrite=True).counts["kept"] == 6
    assert [name for _, name in archive.requests] == ["query", "clusters-30.txt"]


def test_changed_files_are_read_again(archive: Archive, out: Path) -> None:
    get(archive, out)
    first, second, third = sorted(out.rglob("*.cif.gz"))[:3]
    first.write_bytes(b"edited")
    second.unlink()
    third.unlink()  # and the archive has another version of it now
    text = gzip.decompress(archive.files[third.name]).replace(b"2001-03-07", b"2002-03-07")
    archive.files[third.name] = gzip.compress(text, 1)
    archive.requests.clear()
    fetched = get(archive, out, resume=True)
    assert sorted(downloads(archive)) == sorted(p.name for p in (first, second, third))
    assert files(out) == archive.files
    assert {k: fetched.counts[k] for k in ("kept", "downloaded", "changed")} == {
        "kept": 3, "downloaded": 2, "changed": 1,
    }  # fmt: skip
    assert get(archive, out, resume=True).counts["kept"] == 6


def test_rate_is_kept(archive: Archive, out: Path) -> None:
    begun = time.monotonic()
    get(archive, out, max_rate=10.0)
    assert time.monotonic() - begun >= 0.5  # six downloads, five intervals


def test_killed_run_goes_on(archive: Archive, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def interrupted(path: Path, content: bytes) -> None:
        calls.append(path)
        if len(calls) == 3:
            raise KeyboardInterrupt
        write_bytes(path, content)

    with monkeypatch.context() as patch:
        patch.setattr("crysformer.data.rcsb.download.write_bytes", interrupted)
        with pytest.raises(KeyboardInterrupt, match="`resume`"):
            get(archive, out)
    # as a process leaves it that is killed while it writes
    with (out / "SHA256SUMS").open("a") as file:
        file.write("0123456789abcdef")
    left = next((out / "structures").glob("*/")) / ".abcd1234.partial.cif.gz"
    left.write_bytes(b"half")
    archive.requests.clear()
    fetched = get(archive, out, resume=True)
    assert fetched.counts["kept"] == 2
    assert len(archive.requests) == 4
    assert not left.exists()
    assert files(out) == archive.files


@pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")
def test_process_that_is_killed_goes_on(archive: Archive, out: Path) -> None:
    argv = [sys.executable, "-m", "crysformer", "dataset", "fetch", "-o", str(out), "-q"]
    argv += ["--search-url", archive.service.search, "--files-url", archive.service.files]
    argv += ["--clusters-url", archive.service.clusters]
    process = subprocess.Popen([*argv, "--max-rate", "5"], stdout=subprocess.DEVNULL)
    until = time.monotonic() + 60
    # a file that is being written has a name that begins with a dot
    while len(list(out.rglob("[!.]*.cif.gz"))) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    process.kill()
    process.wait()
    there = {name: data for name, data in files(out).items() if not name.startswith(".")}
    assert 2 <= len(there) < 6
    assert all(archive.files[name] == content for name, content in there.items())
    archive.requests.clear()
    subprocess.run([*argv, "--resume"], check=True, stdout=subprocess.DEVNULL)
    assert files(out) == archive.files
    assert len(archive.requests) in (6 - len(there), 7 - len(there))  # one may not be listed yet


def test_user_agent_names_the_project(monkeypatch: pytest.MonkeyPatch) -> None:
    stated = Message()
    stated["Project-URL"] = "Homepage, https://example.org/crysformer"
    monkeypatch.setattr("crysformer.data.rcsb.http_client.metadata.metadata", lambda _: stated)
    assert user_agent().endswith(" (+https://example.org/crysformer)")


def test_list_of_clusters_is_that_of_the_search(archive: Archive, out: Path) -> None:
    get(archive, out)
    clusters = out / "clusters-by-entity-30.txt"
    clusters.write_bytes(clusters.read_bytes().upper() + b"1abc_1\n")
    with pytest.raises(CrysformerError, match="was changed"):
        get(archive, out, resume=True)


def test_two_processes_download_the_same(archive: Archive, out: Path) -> None:
    get(archive, out, workers=Workers(2))
    assert files(out) == archive.files


def test_mirror_is_part_of_the_request(archive: Archive, out: Path) -> None:
    get(archive, out)
    service = Service(archive.service.search, "http://elsewhere", archive.service.clusters)
    with pytest.raises(UsageError, match="another request"):
        fetch(out, service=service, resume=True, settings=QUICK)


@pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="dask.distributed is not installed"
)
def test_cluster_downloads_the_same_though_a_worker_dies(archive: Archive, out: Path) -> None:
    kill = WorkerKiller()
    fetched = get(archive, out, workers=Workers(2, "local"), progress=kill)
    assert kill.killed
    assert files(out) == archive.files
    assert fetched.counts["downloaded"] == 6
    assert len((out / "SHA256SUMS").read_text().splitlines()) == 6
