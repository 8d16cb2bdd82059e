"""Structures in, data set out: in parallel, resumable, and the same whatever the number of jobs."""

from __future__ import annotations

import importlib.metadata
import itertools
import json
import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from crysformer.data.dataset.curate import Curator, Tally
from crysformer.data.dataset.entries import EntryIndex
from crysformer.data.dataset.manifest import (
    Manifest,
    content_hash,
    file_hash,
    sorted_counts,
    split_counts,
)
from crysformer.data.dataset.recipe import Recipe, recipe_by_name
from crysformer.data.dataset.shards import chunks, join_parts, write_parts
from crysformer.data.dataset.sources import digest_sources, find_sources, read_sources
from crysformer.data.dataset.splits import Splitter
from crysformer.data.dataset.store import FRAGMENTS, MANIFEST
from crysformer.data.examples.scales import map_scales
from crysformer.errors import InputError, UsageError
from crysformer.files import atomic_path, prepare_output_dir, write_json

log = logging.getLogger(__name__)

_PARTS = ".parts"
_ROW_GROUP = 65536
#: Atoms whose maps are made to find the scales (dipeptides have about 16, fifteen about 120).
_SCALE_ATOMS = 262144


def build(
    paths: Sequence[str | Path],
    out: str | Path,
    recipe: str | Recipe,
    index: str | Path | None = None,
    limit: int | None = None,
    jobs: int = 1,
    seed: int = 0,
    strict: bool = False,
    overwrite: bool = False,
    resume: bool = False,
    progress: Callable[[float, str], None] | None = None,
) -> Manifest:
    """Make a data set from protein structures.

    Parameters
    ----------
    paths
        Structure files (PDB, mmCIF, also gzipped), tar archives of them, or folders of either.
    out
        Folder for ``fragments.parquet`` and ``manifest.json``.
    recipe
        ``"dipeptide"`` or ``"fifteen"``.
    index
        TSV table of entries (see `EntryIndex`). By default an ``index.tsv`` in a folder among
        `paths` is used.
    limit
        Read only the first so many structure files.
    jobs
        Processes. Above 1 the calling script needs the usual ``if __name__ == "__main__":``.
    seed
        Seed of the splits.
    strict
        Drop files for which a criterion cannot be checked, instead of keeping and counting them.
    overwrite, resume
        What to do about an output folder that is not empty: replace the data set, or go on with
        the same build after an interruption.
    progress
        Called with the share of the input done and a few words, as it goes.

    Raises
    ------
    InputError
        If there is nothing to read, or nothing usable in it.
    UsageError
        If the output folder is not empty, or holds parts of a different build.
    """
    recipe = recipe_by_name(recipe) if isinstance(recipe, str) else recipe
    if jobs < 1 or (limit is not None and limit < 1):
        raise UsageError(f"jobs {jobs}, limit {limit}: expected at least 1")
    sources = find_sources(paths)
    index = index if index is not None else _index_beside(paths)
    entries = EntryIndex.read(index) if index is not None else EntryIndex({})
    if index is not None:
        log.info("%s: facts on %d structure files", index, len(entries))
    out_existed = Path(out).exists()
    if (Path(out) / _PARTS).is_dir() and not (overwrite or resume):
        raise UsageError(
            f"{out}: holds an unfinished build; pass `resume` to go on, `overwrite` to start anew"
        )
    folder = prepare_output_dir(out, overwrite=overwrite, resume=resume)
    settings: dict[str, Any] = {
        "recipe": asdict(recipe),
        "seed": seed,
        "strict": strict,
        "limit": limit,
        "sources": digest_sources(sources),
        "index": None if index is None else {"name": Path(index).name, "sha256": file_hash(index)},
    }
    if resume and (folder / MANIFEST).is_file() and not (folder / _PARTS).is_dir():
        return _finished(folder, settings)
    parts = _prepare_parts(folder, settings, resume)
    curator = Curator(recipe, entries, Splitter(entries.entries(), seed), strict)
    n_files = 0

    def report(n: int) -> None:
        nonlocal n_files
        n_files += n
        if progress is not None:
            share = n_files / limit if limit else opened / len(sources)
            progress(min(share, 1.0), f"{n_files} structure files")

    opened = 0

    def each_source() -> Iterator[Path]:
        nonlocal opened
        for source in sources:
            yield source
            opened += 1

    files = itertools.islice(read_sources(each_source()), limit)
    try:
        done = write_parts(curator, chunks(files), parts, jobs, report)
    except KeyboardInterrupt:
        log.warning("%s: what is finished is kept; pass `resume` to go on", folder)
        raise

    table, tally = join_parts(done)
    if table.num_rows == 0:
        shutil.rmtree(parts)
        if not out_existed:
            folder.rmdir()
        raise InputError(_nothing_left(sources, tally))
    train = table.filter(pc.equal(table["split"], "train"))
    atoms = len(train["xyz"].combine_chunks().flatten()) // 3 if train.num_rows else 0
    n_scale = max(1, train.num_rows * _SCALE_ATOMS // max(atoms, 1))
    scales = map_scales(train, recipe, seed, n_scale) if train.num_rows else {"n_examples": 0}

    (folder / MANIFEST).unlink(missing_ok=True)
    _write_table(table, folder / FRAGMENTS)
    manifest = Manifest(
        recipe=recipe.name,
        constants=settings["recipe"],
        seed=seed,
        strict=strict,
        limit=limit,
        sources=settings["sources"],
        index=settings["index"],
        counts={**sorted_counts(tally.counts), **split_counts(table)},
        discards=sorted_counts(tally.discards),
        kept_unknown=sorted_counts(tally.unknowns),
        changes=sorted_counts(tally.changes),
        problems=tally.problems,
        scales=scales,
        hashes={"content": content_hash(table), FRAGMENTS: file_hash(folder / FRAGMENTS)},
        versions={
            name: importlib.metadata.version(name)
            for name in ("crysformer", "gemmi", "torch", "pyarrow")
        },
    )
    manifest.write(folder / MANIFEST)
    shutil.rmtree(parts)
    return manifest


def _index_beside(paths: Sequence[str | Path]) -> Path | None:
    found = [Path(p) / "index.tsv" for p in paths if (Path(p) / "index.tsv").is_file()]
    if len(found) > 1:
        raise UsageError(
            f"{len(found)} of the folders hold an index.tsv; join them and pass `index` TSV"
        )
    return found[0] if found else None


def _prepare_parts(folder: Path, settings: dict[str, Any], resume: bool) -> Path:
    """The folder of finished parts, empty or fit to go on from."""
    parts = folder / _PARTS
    note = parts / "settings.json"
    if resume and note.is_file():
        if json.loads(note.read_text(encoding="utf-8")) != json.loads(json.dumps(settings)):
            raise UsageError(
                f"{folder}: holds parts of a build with other settings or input; "
                "pass `overwrite` to start anew"
            )
        return parts
    if parts.exists():
        shutil.rmtree(parts)
    write_json(note, settings)
    return parts


def _finished(folder: Path, settings: dict[str, Any]) -> Manifest:
    """The manifest of a build that is already complete, if it is the one asked for."""
    try:
        manifest = Manifest.read(folder / MANIFEST)
    except (ValueError, TypeError) as error:
        raise InputError(f"{folder / MANIFEST}: not a readable manifest ({error})") from error
    found = {
        **{name: getattr(manifest, name) for name in settings if name != "recipe"},
        "recipe": manifest.constants,
    }
    if json.loads(json.dumps(found)) != json.loads(json.dumps(settings)):
        raise UsageError(
            f"{folder}: holds a data set made with other settings or input; pass `overwrite`"
        )
    return manifest


def _write_table(table: pa.Table, path: Path) -> None:
    with atomic_path(path) as temporary:
        pq.write_table(
            table,
            temporary,
            compression="zstd",
            compression_level=9,
            row_group_size=_ROW_GROUP,
            use_dictionary=["entry", "chain", "cluster", "split", "sequence"],
        )


def _nothing_left(sources: Sequence[Path], tally: Tally) -> str:
    if len(tally.problems) == 1 and tally.counts["files"] == 1:
        problem = tally.problems[0]
        return f"{problem['file']}: {problem['reason']}; expected protein coordinates"
    reasons = ", ".join(f"{name} {n}" for name, n in sorted_counts(tally.discards).items())
    return (
        f"{sources[0]}{' ...' if len(sources) > 1 else ''}: no fragment left from "
        f"{tally.counts['files']} structure files (discarded: {reasons}); nothing written"
    )
