"""The paper's entries from the archive into a folder that `dataset build` reads."""

from __future__ import annotations

import hashlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from crysformer.data.checksums import (
    append_checksum,
    is_whole,
    read_checksums,
    write_checksums,
)
from crysformer.data.criteria import PAPER, Criteria
from crysformer.data.rcsb.clusters import check_clusters, index_table, parse_clusters
from crysformer.data.rcsb.download import (
    STATES,
    STRUCTURES,
    Downloaded,
    download,
    file_of,
)
from crysformer.data.rcsb.fetch_record import RECORD, Fetched, Service, in_order
from crysformer.data.rcsb.http_client import HttpClient, HttpSettings
from crysformer.data.rcsb.search_query import entry_of, query, search
from crysformer.errors import CrysformerError, InputError, UsageError
from crysformer.files import locked_folder, remove_unfinished, write_bytes, write_json
from crysformer.parallel import Workers, run_tasks

log = logging.getLogger(__name__)

INDEX: Final = "index.tsv"
#: Copy of the file of clusters, so that a resumed run uses the same ones.
CLUSTERS_FILE: Final = "clusters-by-entity-30.txt"
#: Failures one after the other from which the service counts as unreachable.
_GIVE_UP: Final = 5

Task = tuple[str, str | None]


def fetch(
    out: str | Path,
    criteria: Criteria = PAPER,
    representatives: bool = True,
    fraction: float = 1.0,
    limit: int | None = None,
    seed: int = 0,
    max_rate: float = 5.0,
    workers: Workers | None = None,
    service: Service | None = None,
    settings: HttpSettings | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: Callable[[float, str], None] | None = None,
) -> Fetched:
    """Choose entries by the search of RCSB PDB and download their coordinates.

    Writes ``structures/xy/1xyz.cif.gz``, ``index.tsv`` (sequence clusters, for `build`),
    ``SHA256SUMS`` and ``fetch.json``.

    Parameters
    ----------
    out
        Folder for the files.
    criteria
        Criteria of the choice.
    representatives
        Only the best resolved chain of each cluster of 30 % sequence identity, as the paper; False
        for all that fit.
    fraction, limit
        Part of the chains to take, in an order that depends on the seed: the paper took half. A
        smaller part is the beginning of a larger one.
    seed
        Seed of that order.
    max_rate
        Downloads begun each second, by all workers together.
    workers
        Place where downloads run; by default this process.
    service
        Addresses of the archive or a mirror.
    settings
        Patience of requests.
    overwrite, resume
        Handling of an output folder that is not empty: search again, or go on with the entities
        that an earlier run found. Files with the right checksum are kept in both cases.
    progress
        Called with the fraction done and a short text.

    Returns
    -------
    Fetched
        What was chosen and downloaded.

    Raises
    ------
    CrysformerError
        If the service cannot be reached.
    UsageError
        If the output folder is not empty, or holds the result of another request.
    """
    if not 0 < fraction <= 1 or (limit is not None and limit < 1) or not max_rate > 0:
        raise UsageError(
            f"`fraction` {fraction:g}, `limit` {limit}, `max_rate` {max_rate:g}: expected a "
            "fraction above 0 and up to 1, and a limit and a rate above 0"
        )
    service, settings = service or Service(), settings or HttpSettings()
    with locked_folder(out, overwrite=overwrite, resume=resume) as folder:
        wanted = _Wanted(criteria, representatives, service, seed)
        if resume and (folder / RECORD).is_file():
            chosen = _stored(folder, wanted)
        else:
            chosen = _search(folder, wanted, settings)
        chosen = replace(chosen, fraction=fraction, limit=limit, counts={}, missing=[], failed={})
        entries = list(dict.fromkeys(map(entry_of, chosen.taken())))
        try:
            return _download_all(
                folder, chosen, entries, max_rate, workers or Workers(), settings, resume, progress
            )
        except KeyboardInterrupt as stop:
            raise type(stop)(f"{folder}: files are kept; pass `resume` to go on") from stop


@dataclass(frozen=True)
class _Wanted:
    criteria: Criteria
    representatives: bool
    service: Service
    seed: int


def _search(folder: Path, wanted: _Wanted, settings: HttpSettings) -> Fetched:
    client = HttpClient(settings)
    found = search(client, wanted.criteria, wanted.representatives, wanted.service.search)
    if not found:
        raise CrysformerError(f"{wanted.service.search}: no entry fits; relax the criteria")
    log.info("%d chains fit", len(found))
    content = client.get(wanted.service.clusters, check_clusters)
    write_bytes(folder / CLUSTERS_FILE, content)
    fetched = Fetched(
        criteria=asdict(wanted.criteria),
        representatives=wanted.representatives,
        service=asdict(wanted.service),
        seed=wanted.seed,
        date=time.strftime("%Y-%m-%d", time.gmtime()),
        request=query(wanted.criteria, wanted.representatives, 0),
        entities=in_order(found, wanted.seed),
        clusters_sha256=hashlib.sha256(content).hexdigest(),
    )
    write_json(folder / RECORD, asdict(fetched))
    return fetched


def _stored(folder: Path, wanted: _Wanted) -> Fetched:
    stored = Fetched.read(folder / RECORD)
    same = (
        stored.criteria == asdict(wanted.criteria)
        and stored.representatives == wanted.representatives
        and stored.service == asdict(wanted.service)
        and stored.seed == wanted.seed
    )
    if not same:
        raise UsageError(
            f"{folder}: holds the result of another request; pass `overwrite` to search anew"
        )
    return stored


def _download_all(
    folder: Path,
    chosen: Fetched,
    entries: Sequence[str],
    max_rate: float,
    workers: Workers,
    settings: HttpSettings,
    resume: bool,
    progress: Callable[[float, str], None] | None,
) -> Fetched:
    clusters_path = folder / CLUSTERS_FILE
    try:
        content = clusters_path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{clusters_path}: cannot be read ({error.strerror}); pass `overwrite` to search anew"
        ) from error
    if hashlib.sha256(content).hexdigest() != chosen.clusters_sha256:
        raise InputError(f"{clusters_path}: was changed; pass `overwrite` to search anew")
    write_bytes(folder / INDEX, index_table(chosen.taken(), parse_clusters(content, entries)))

    for part in (folder / STRUCTURES).glob("*/"):
        remove_unfinished(part)
    checksums = _without_others(folder, read_checksums(folder), entries, resume)
    write_checksums(folder, checksums)  # without a line that was cut off
    results = {
        entry: Downloaded(
            entry, "kept", checksums[file_of(entry)], (folder / file_of(entry)).stat().st_size
        )
        for entry in entries
        if is_whole(folder, file_of(entry), checksums)
    }
    missing = [entry for entry in entries if entry not in results]
    tasks = _paced(((entry, checksums.get(file_of(entry))) for entry in missing), max_rate)
    shared = (str(folder.absolute()), chosen.service["files"], settings)
    in_a_row = 0
    for _, result in run_tasks(download, tasks, workers, shared, ahead=1):
        results[result.entry] = result
        in_a_row = in_a_row + 1 if result.state == "failed" else 0
        if result.sha256:
            checksums[file_of(result.entry)] = result.sha256
            append_checksum(folder, file_of(result.entry), result.sha256)
        if in_a_row >= _GIVE_UP:
            raise CrysformerError(
                f"{result.reason}; {in_a_row} downloads in a row failed: pass `resume` later to go "
                "on"
            )
        if progress is not None:
            progress(len(results) / len(entries), f"{len(results)} of {len(entries)} entries")
    write_checksums(folder, checksums)
    fetched = _with_results(chosen, [results[entry] for entry in entries])
    write_json(folder / RECORD, asdict(fetched))
    return fetched


def _without_others(
    folder: Path, checksums: dict[str, str], entries: Sequence[str], resume: bool
) -> dict[str, str]:
    """Remove files of an earlier choice, which a build would take with the others."""
    names = set(map(file_of, entries))
    others = [name for name in checksums if name not in names]
    if others and resume:
        raise UsageError(
            f"{folder}: holds {len(others)} files beyond this `limit` and `fraction`; choose "
            "another folder, or pass `overwrite` to remove them"
        )
    for name in others:
        (folder / name).unlink(missing_ok=True)
    return {name: checksums[name] for name in checksums if name in names}


def _with_results(chosen: Fetched, results: Sequence[Downloaded]) -> Fetched:
    states = Counter(result.state for result in results)
    counts: dict[str, int] = {
        "hits": len(chosen.entities),
        "entities": len(chosen.taken()),
        "entries": len(results),
    }
    counts.update({state: states[state] for state in STATES})
    counts["bytes"] = sum(result.size for result in results)
    missing = [result.entry for result in results if result.state == "missing"]
    failed = {result.entry: result.reason for result in results if result.state == "failed"}
    return replace(chosen, counts=counts, missing=missing, failed=failed)


def _paced(tasks: Iterable[Task], max_rate: float) -> Iterator[Task]:
    """Give tasks no faster than `max_rate` each second."""
    following = time.monotonic()
    for task in tasks:
        if (wait := following - time.monotonic()) > 0:
            time.sleep(wait)
        following = max(following, time.monotonic()) + 1 / max_rate
        yield task
