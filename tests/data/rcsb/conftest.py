"""A server on this machine that answers as RCSB PDB does, with recorded answers and failures."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import gemmi
import pytest

from crysformer.data.rcsb.fetch import fetch
from crysformer.data.rcsb.fetch_record import Fetched, Service
from crysformer.data.rcsb.http_client import HttpSettings
from crysformer.testing import structures_folder


@dataclass
class Answer:
    """One answer; with `cut` the connection ends after so many bytes of the body."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None


@dataclass
class Archive:
    """The server, the entities that its search finds, and what was asked of it."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    entities: list[str] = field(default_factory=list)
    clusters: bytes = b""
    #: Answers given first, by the end of the path, before the right one.
    before: dict[str, list[Answer]] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    queries: list[dict[str, Any]] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)

    @property
    def service(self) -> Service:
        return Service(
            f"{self.url}/rcsbsearch/v2/query", f"{self.url}/download", f"{self.url}/clusters-30.txt"
        )

    def answer(self, path: str, body: bytes) -> Answer:
        name = path.rsplit("/", 1)[-1]
        if self.before.get(name):
            return self.before[name].pop(0)
        if name == "query":
            return self._found(json.loads(body))
        if name == "clusters-30.txt":
            return Answer(self.clusters)
        if name in self.files:
            return Answer(self.files[name], headers={"Content-Type": "application/gzip"})
        return Answer(b"<html>404</html>", 404)

    def _found(self, query: dict[str, Any]) -> Answer:
        """The form of the documentation of the Search API, version 2, compact, grouped."""
        self.queries.append(query)
        options = query["request_options"]
        start, rows = options["paginate"]["start"], options["paginate"]["rows"]
        page = self.entities[start : start + rows]
        if not page:
            return Answer(status=204)
        answer = {
            "query_id": "9c1c1c1a-6a5b-4b5e-b5b9-3d8f6f1f0d5e",
            "result_type": "polymer_entity",
            "total_count": 3 * len(self.entities),
            "group_by_count": len(self.entities),
            "ungrouped_count": 1,
            "result_set": page,
            "group_by": options.get("group_by"),
        }
        if "group_by" not in options:
            del answer["group_by_count"], answer["ungrouped_count"]
            answer["total_count"] = len(self.entities)
        return Answer(json.dumps(answer).encode(), headers={"Content-Type": "application/json"})


@pytest.fixture(scope="session")
def coordinates() -> dict[str, bytes]:
    """mmCIF files, as the archive has them, of six chains of the sample."""
    found = {}
    for path in sorted(structures_folder().glob("*.pdb.gz"))[:6]:
        entry = path.name[:4]
        structure = gemmi.read_structure(str(path))
        structure.setup_entities()
        structure.name = entry.upper()
        document = structure.make_mmcif_document()
        block = document.sole_block()
        block.name = entry.upper()
        block.set_pair("_exptl.method", "'X-RAY DIFFRACTION'")
        block.set_pair("_refine.entry_id", entry.upper())
        block.set_pair("_refine.pdbx_refine_id", "'X-RAY DIFFRACTION'")
        block.set_pair("_refine.ls_d_res_high", "1.80")
        block.set_pair("_refine.ls_R_factor_R_free", "0.21")
        block.set_pair("_pdbx_audit_revision_history.ordinal", "1")
        block.set_pair("_pdbx_audit_revision_history.revision_date", "2001-03-07")
        found[f"{entry}.cif.gz"] = gzip.compress(document.as_string().encode(), 1)
    return found


@pytest.fixture
def archive(coordinates: dict[str, bytes]) -> Iterator[Archive]:
    archive = Archive(files=dict(coordinates))
    codes = [name[:4].upper() for name in coordinates]
    archive.entities = [f"{code}_1" for code in codes]
    # the first two share a cluster with a second chain of the third; a computed model is a member
    rows = [f"{codes[0]}_1 9XYZ_2 AF_AFP12345F1_1", f"9XYZ_1 {codes[1]}_1 {codes[2]}_2"]
    rows += [f"{code}_1" for code in codes[2:-1]]
    archive.clusters = ("\n".join(rows) + "\n").encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def _answer(self, body: bytes) -> None:
            archive.requests.append((self.command, self.path.rsplit("/", 1)[-1]))
            archive.agents.add(self.headers["User-Agent"])
            answer = archive.answer(self.path, body)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body[: answer.cut])
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    archive.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield archive
    server.shutdown()
    server.server_close()
    thread.join()


QUICK = HttpSettings(tries=4, backoff=0.01, timeout=5.0)
FAST = {"settings": QUICK, "max_rate": 1000.0}


def get(archive: Archive, out: Path, **options: object) -> Fetched:
    return fetch(out, service=archive.service, **{**FAST, **options})  # type: ignore[arg-type]


def files(out: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(out.rglob("*.cif.gz"))}


def downloads(archive: Archive) -> list[str]:
    return [name for method, name in archive.requests if name.endswith(".gz")]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "entries"
