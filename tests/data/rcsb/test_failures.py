"""Failures of the server and the network: those that pass, and those that are told."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from crysformer.cli import main
from crysformer.errors import CrysformerError

from .conftest import Answer, Archive, downloads, files, get


def test_failures_that_pass(archive: Archive, out: Path) -> None:
    names = list(archive.files)
    whole = archive.files[names[3]]
    archive.before = {
        "query": [Answer(status=503), Answer(b'{"result_set": [', cut=5), Answer(b"<html>")],
        "clusters-30.txt": [Answer(b"<html>busy</html>\n"), Answer(archive.clusters[:-3])],
        names[0]: [Answer(status=429, headers={"Retry-After": "0"}), Answer(status=502)],
        names[1]: [Answer(archive.files[names[1]], cut=1000)],
        names[2]: [Answer(archive.files[names[2]][:-20]), Answer(b"<html>portal</html>")],
        names[3]: [Answer(whole[:500] + bytes(100) + whole[600:])],
        names[4]: [Answer(archive.files[names[5]])],
    }
    fetched = get(archive, out)
    assert fetched.counts["downloaded"] == 6
    assert files(out) == archive.files
    tries = {name: downloads(archive).count(name) for name in names}
    assert list(tries.values()) == [3, 2, 3, 2, 2, 1]


def test_server_says_how_long_to_wait(archive: Archive, out: Path) -> None:
    archive.before["query"] = [Answer(status=429, headers={"Retry-After": "1"})]
    begun = time.monotonic()
    get(archive, out, limit=1)
    assert 1.0 < time.monotonic() - begun < 5.0


def test_files_that_cannot_be_had_do_not_stop_the_rest(
    archive: Archive, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gone, broken, *rest = list(archive.files)
    del archive.files[gone]
    archive.before[broken] = [Answer(b"damaged")] * 100
    addresses = ["--search-url", archive.service.search, "--files-url", archive.service.files]
    addresses += ["--clusters-url", archive.service.clusters]
    argv = [
        "dataset",
        "fetch",
        "-o",
        str(out),
        *addresses,
        "--max-rate",
        "1000",
        "--retries",
        "0",
        "-q",
    ]
    assert main([*argv, "--json"]) == 1
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert gone[:4] in captured.err
    result = json.loads(captured.out)
    assert result["missing"] == [gone[:4]]
    assert "damaged gzip" in result["failed"][broken[:4]]
    assert sorted(files(out)) == rest
    assert not list(out.rglob("*partial*"))
    archive.before.clear()
    assert main([*argv, "--resume"]) == 1
    assert sorted(files(out)) == sorted([broken, *rest])


def test_service_that_goes_away(archive: Archive, out: Path) -> None:
    for name in archive.files:
        archive.before[name] = [Answer(status=503)] * 100
    with pytest.raises(CrysformerError, match=r"503.*tried 4 times.; 5 downloads in a row failed"):
        get(archive, out)
    archive.before.clear()
    assert get(archive, out, resume=True).counts["downloaded"] == 6


def test_refused_query_is_not_repeated(archive: Archive, out: Path) -> None:
    message = {"status": 400, "message": "JSON schema validation failed", "link": "..."}
    archive.before["query"] = [Answer(json.dumps(message).encode(), 400)]
    with pytest.raises(CrysformerError, match=r"status 400.*: JSON schema validation failed"):
        get(archive, out)
    assert len(archive.requests) == 1
    assert not out.exists()


def test_nothing_fits(archive: Archive, out: Path) -> None:
    archive.entities.clear()
    with pytest.raises(CrysformerError, match="no entry fits"):
        get(archive, out)
    assert not out.exists()


@pytest.mark.parametrize("answer", [b"{}", b'{"result_set": ["x"], "total_count": 1}', b"[]"])
def test_answers_of_another_form(archive: Archive, out: Path, answer: bytes) -> None:
    archive.before["query"] = [Answer(answer)] * 10
    with pytest.raises(CrysformerError, match=r"perhaps the service has changed|not a JSON object"):
        get(archive, out)


def test_no_network_is_one_line_at_once(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begun = time.monotonic()
    argv = ["dataset", "fetch", "-o", str(out), "--search-url", "http://127.0.0.1:9/query"]
    assert main(argv) == 1
    assert time.monotonic() - begun < 5
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "is there a network?" in error
    assert not out.exists()
