"""Shards of a build: groups of structure files, processed in parallel, each written once."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from crysformer.data.dataset.curate import CURATED, Curator, Tally
from crysformer.data.dataset.sources import StructureFile
from crysformer.data.store import SPLITS, read_table
from crysformer.errors import InputError, UsageError
from crysformer.files import atomic_path, remove_unfinished, write_json
from crysformer.schema import read_json_object
from crysformer.signals import prepare_worker, workers_end_with_block

#: Hidden folder of the shards. Unfinished builds are resumed from it, so the name stays.
SHARDS = ".parts"

#: Structure files handled, and written to one shard, at a time.
_FILES_PER_SHARD = 64
#: Bytes of structure files, unpacked, from which a shard takes no further file.
_BYTES_PER_SHARD = 128 * 2**20


def prepare_shards(folder: Path, settings: dict[str, Any], resume: bool) -> Path:
    """Return the folder of shards, empty or with those finished by the same build.

    Parameters
    ----------
    folder
        Folder of the data set.
    settings
        Everything that decides the content of the shards, as plain values.
    resume
        Keep the shards of an unfinished build with the same settings.

    Raises
    ------
    UsageError
        If there are shards to resume from, but of another build.
    """
    shards = folder / SHARDS
    note = shards / "settings.json"
    if resume and note.is_file():
        remove_unfinished(shards)
        if read_json_object(note) != settings:
            raise UsageError(
                f"{folder}: holds shards of a build with other settings or input; "
                "pass `overwrite` to start anew"
            )
        return shards
    if shards.exists():
        shutil.rmtree(shards)
    write_json(note, settings)
    return shards


def chunks(files: Iterable[StructureFile]) -> Iterator[tuple[int, list[StructureFile]]]:
    """Group structure files into numbered chunks, one for each shard."""
    number, size = 0, 0
    chunk: list[StructureFile] = []
    for file in files:
        chunk.append(file)
        size += len(file.content or b"")
        if len(chunk) >= _FILES_PER_SHARD or size >= _BYTES_PER_SHARD:
            yield number, chunk
            number, size, chunk = number + 1, 0, []
    if chunk:
        yield number, chunk


def write_shards(
    curator: Curator,
    groups: Iterable[tuple[int, list[StructureFile]]],
    shards: Path,
    jobs: int,
    report: Callable[[int], None],
) -> list[Path]:
    """Write every missing shard; return all of them in order.

    Parameters
    ----------
    curator
        Turns structure files into rows.
    groups
        Numbered groups of structure files, a shard each.
    shards
        Folder of the shards; those that exist are not made again.
    jobs
        Processes.
    report
        Called with the number of files that were handled.
    """
    paths: list[Path] = []

    def missing() -> Iterator[tuple[Path, list[StructureFile]]]:
        for number, chunk in groups:
            path = shards / f"{number:06d}.parquet"
            paths.append(path)
            if path.is_file():
                report(len(chunk))
            else:
                yield path, chunk

    if jobs == 1:
        for path, chunk in missing():
            _write_shard(curator, chunk, path)
            report(len(chunk))
        return paths

    context = multiprocessing.get_context("spawn")
    with (
        ProcessPoolExecutor(jobs, context, _start_worker, (curator,)) as pool,
        workers_end_with_block(),
    ):
        running: dict[Future[None], int] = {}
        try:
            for path, chunk in missing():
                running[pool.submit(_work, chunk, path)] = len(chunk)
                if len(running) >= 2 * jobs:
                    _collect(running, report, FIRST_COMPLETED)
            while running:
                _collect(running, report, FIRST_COMPLETED)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return paths


def _collect(running: dict[Future[None], int], report: Callable[[int], None], when: str) -> None:
    for future in wait(running, return_when=when).done:
        report(running.pop(future))
        future.result()


_curator: Curator | None = None


def _start_worker(curator: Curator) -> None:
    global _curator
    prepare_worker()
    torch.set_num_threads(1)
    _curator = curator


def _work(chunk: list[StructureFile], path: Path) -> None:
    assert _curator is not None
    _write_shard(_curator, chunk, path)


def _write_shard(curator: Curator, chunk: list[StructureFile], path: Path) -> None:
    table, tally = curator.curate(chunk)
    table = table.replace_schema_metadata({"tally": tally.to_json()})
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def join_shards(paths: Sequence[Path]) -> tuple[pa.Table, Tally]:
    """Join all shards into one table, split after split; chains given twice are taken once."""
    tables = []
    total = Tally()
    for path in paths:
        try:
            table = read_table(path, CURATED)
            tally = Tally.from_json((table.schema.metadata or {}).get(b"tally", b""))
        except (InputError, ValueError) as error:
            raise InputError(
                f"{path}: a damaged shard ({error}); remove it, and pass `resume`"
            ) from error
        total.add(tally)
        tables.append(table.replace_schema_metadata(None))
    if not tables:
        raise InputError("no structure files in the archives given")
    table = pa.concat_tables(tables)
    first_file: dict[tuple[str, str], str] = {}
    columns = (table[name].to_pylist() for name in ("entry", "chain", "file", "split"))
    by_split: dict[str, list[int]] = {split: [] for split in SPLITS}
    for row, (entry, chain, file, split) in enumerate(zip(*columns, strict=True)):
        if first_file.setdefault((entry, chain), file) == file:
            by_split[split].append(row)
    rows = [row for split in SPLITS for row in by_split[split]]
    total.discards["fragment_of_chain_given_twice"] += table.num_rows - len(rows)
    return table.drop_columns("file").take(pa.array(rows, pa.int64())), total
