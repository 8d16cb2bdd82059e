"""Shards of a build: groups of structure files, processed in parallel, each written once."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from crysformer.data.dataset.curate import CURATED, Curator, Tally
from crysformer.data.dataset.sources import StructureFile
from crysformer.data.store import SPLITS, read_table
from crysformer.errors import InputError, UsageError
from crysformer.files import atomic_path, remove_unfinished, write_json
from crysformer.parallel import Workers, run_tasks
from crysformer.schema import read_json_object

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
    workers: Workers,
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
    workers
        Place where the work is done.
    report
        Called with the number of files that were handled.
    """
    paths: list[Path] = []

    def missing() -> Iterator[tuple[list[StructureFile], Path]]:
        for number, chunk in groups:
            path = shards / f"{number:06d}.parquet"
            paths.append(path)
            if path.is_file():
                report(len(chunk))
            else:
                yield travelling(chunk, workers), path.absolute()

    for _, n_files in run_tasks(_write_shard, missing(), workers, (curator,)):
        report(n_files)
    return paths


def travelling(chunk: list[StructureFile], workers: Workers) -> list[StructureFile]:
    """Files as they are sent to workers: those of a cluster read them from the common folder."""
    return chunk if workers.scheduler is None else [file.reference() for file in chunk]


def _write_shard(curator: Curator, chunk: list[StructureFile], path: Path) -> int:
    if path.is_file():  # by a worker that died before it could say so
        return len(chunk)
    table, tally = curator.curate([file.loaded() for file in chunk])
    table = table.replace_schema_metadata({"tally": tally.to_json()})
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")
    return len(chunk)


def join_shards(paths: Sequence[Path]) -> tuple[pa.Table, Tally]:
    """Join all shards into one table, split after split; chains given twice are taken once."""
    tables = []
    total = Tally()
    for path in paths:
        try:
            table = read_table(path, CURATED)
            if unknown := sorted(set(table["split"].unique().to_pylist()) - set(SPLITS)):
                raise InputError(f"split {unknown[0]!r} is none of {', '.join(SPLITS)}")
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
