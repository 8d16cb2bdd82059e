"""Build of a data set from structures: parallel, resumable, independent of the number of jobs."""

from __future__ import annotations

import importlib.metadata
import itertools
import json
import logging
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from crysformer.data.checksums import file_hash
from crysformer.data.criteria import PAPER, Criteria
from crysformer.data.dataset.curate import Curator, Tally
from crysformer.data.dataset.entries import EntryIndex
from crysformer.data.dataset.manifest import (
    Manifest,
    content_hash,
    sorted_counts,
    split_counts,
)
from crysformer.data.dataset.parquet import write_parquet
from crysformer.data.dataset.repair import PACKAGES, require_pdbfixer
from crysformer.data.dataset.representatives import Surveyed, survey
from crysformer.data.dataset.representatives import representatives as best_of_clusters
from crysformer.data.dataset.shards import (
    SHARDS,
    chunks,
    join_shards,
    prepare_shards,
    travelling,
    write_shards,
)
from crysformer.data.dataset.sources import (
    StructureFile,
    digest_sources,
    find_sources,
    passed_over,
    read_sources,
)
from crysformer.data.dataset.splits import Splitter
from crysformer.data.examples.scales import map_scales
from crysformer.data.recipe import Recipe, recipe_by_name
from crysformer.data.store import FRAGMENTS, MANIFEST
from crysformer.errors import InputError, UsageError
from crysformer.files import locked_folder
from crysformer.parallel import Workers, run_tasks
from crysformer.wording import counted

log = logging.getLogger(__name__)

#: Packages whose versions the manifest states.
_SOFTWARE = ("crysformer", "gemmi", "torch", "pyarrow")
#: Number of atoms whose maps determine the scales (dipeptides have about 16, fifteen about 120).
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
    criteria: Criteria = PAPER,
    representatives: bool = False,
    repair: bool = False,
    scheduler: str | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: Callable[[float, str], None] | None = None,
) -> Manifest:
    """Build a data set from protein structures.

    Parameters
    ----------
    paths
        Structure files (PDB, mmCIF, also .gz, .bz2, .xz), tar archives of them, or folders of
        either.
    out
        Folder for ``fragments.parquet`` and ``manifest.json``.
    recipe
        ``"dipeptide"`` or ``"fifteen"``.
    index
        TSV table of entries (see `EntryIndex`). By default an ``index.tsv`` in a folder among
        `paths` is used.
    limit
        Number of structure files read, from the first; all by default.
    jobs
        Number of processes. Above 1 the calling script needs the usual
        ``if __name__ == "__main__":``.
    seed
        Seed of the splits.
    strict
        Drop files for which a criterion cannot be checked, instead of keeping and counting them.
    criteria
        Criteria of the choice of entries; by default the paper's.
    representatives
        Of each cluster of the index, use only the file of the best resolution, as the paper did.
    repair
        Rebuild missing side-chain atoms by PDBFixer, instead of leaving out their residues.
    scheduler
        Address of a dask.distributed scheduler that has the work done, or ``"local"`` for one with
        `jobs` workers; see `crysformer.parallel.Workers`. The result is the same.
    overwrite, resume
        Handling of an output folder that is not empty: replace the data set, or continue the same
        build after an interruption.
    progress
        Called with the fraction of the input done and a short text.

    Returns
    -------
    Manifest
        Content of ``manifest.json``: counts, discards by reason, and hashes.

    Raises
    ------
    InputError
        If there is nothing to read, or nothing usable in it.
    UsageError
        If the output folder is not empty, or holds shards of a different build; or if a package
        that `repair` or `scheduler` needs is absent.
    """
    recipe = recipe_by_name(recipe) if isinstance(recipe, str) else recipe
    if limit is not None and limit < 1:
        raise UsageError(f"limit {limit}: expected at least 1")
    workers = Workers(jobs, scheduler)
    if repair:
        require_pdbfixer()
    sources = find_sources(paths)
    index = index if index is not None else _index_beside(paths)
    entries = EntryIndex.read(index) if index is not None else EntryIndex({})
    if index is not None:
        log.info("%s: facts on %d structure files", index, len(entries))
    settings = _Settings(
        recipe=asdict(recipe),
        seed=seed,
        strict=strict,
        criteria=asdict(criteria),
        representatives=representatives,
        repair=repair,
        limit=limit,
        sources=digest_sources(sources),
        index=None if index is None else {"name": Path(index).name, "sha256": file_hash(index)},
    )
    if (Path(out) / SHARDS).is_dir() and not (overwrite or resume):
        raise UsageError(
            f"{out}: holds an unfinished build; pass `resume` to go on, `overwrite` to start anew"
        )
    with locked_folder(out, overwrite=overwrite, resume=resume) as folder:
        if resume and (folder / MANIFEST).is_file() and not (folder / SHARDS).is_dir():
            return _finished(folder, settings)
        files = itertools.islice(read_sources(sources), limit)
        surveyed = _survey(files, entries, workers, representatives)
        splitter = Splitter(
            entries.entries(), seed, ((file.entry.name, file.sequences) for file in surveyed)
        )
        chosen = best_of_clusters(surveyed, criteria, strict) if representatives else None
        curator = Curator(recipe, entries, splitter, strict, criteria, repair, chosen)
        reader = _Reader(sources, limit, progress)
        return _build(folder, curator, reader, settings, passed_over(paths), workers, resume)


def _survey(
    files: Iterable[StructureFile], entries: EntryIndex, workers: Workers, with_headers: bool
) -> list[Surveyed]:
    tasks = ((travelling(chunk, workers),) for _, chunk in chunks(files))
    shared = (entries, with_headers)
    return [file for _, found in run_tasks(survey, tasks, workers, shared) for file in found]


def _build(
    folder: Path, curator: Curator, reader: _Reader, settings: _Settings,
    not_read: Sequence[Path], workers: Workers, resume: bool,
) -> Manifest:  # fmt: skip
    shards = prepare_shards(folder, settings.to_json(), resume)
    try:
        written = write_shards(curator, chunks(reader.files()), shards, workers, reader.handled)
        table, tally = join_shards(written)
        for path in not_read:
            tally.discards["file_passed_over"] += 1
            tally.problems.append(
                {
                    "file": str(path),
                    "kind": "file_passed_over",
                    "reason": "passed over for its ending",
                }
            )
            log.warning("%s: passed over, its ending is none of those that are read", path)
        if table.num_rows == 0:
            shutil.rmtree(shards)
            raise InputError(_nothing_left(reader.sources, tally))
        manifest = _write(folder, curator.recipe, settings, table, tally)
    except KeyboardInterrupt as stop:
        raise type(stop)(f"{folder}: finished shards are kept; pass `resume` to go on") from stop
    shutil.rmtree(shards)
    return manifest


@dataclass(frozen=True)
class _Settings:
    """Everything that decides the content of a data set; named as in the manifest."""

    recipe: dict[str, Any]
    seed: int
    strict: bool
    criteria: dict[str, Any]
    representatives: bool
    repair: bool
    limit: int | None
    sources: list[dict[str, str]]
    index: dict[str, str] | None

    def to_json(self) -> dict[str, Any]:
        """Plain values, as they are after writing and reading JSON."""
        return _as_read(asdict(self))


class _Reader:
    """Structure files of the sources, and the progress of handling them."""

    def __init__(
        self,
        sources: Sequence[Path],
        limit: int | None,
        progress: Callable[[float, str], None] | None,
    ) -> None:
        self.sources = sources
        self._limit = limit
        self._progress = progress
        self._read = self._handled = 0

    def files(self) -> Iterator[StructureFile]:
        """Read up to `limit` structure files."""
        return itertools.islice(read_sources(self._each_source()), self._limit)

    def _each_source(self) -> Iterator[Path]:
        for source in self.sources:
            yield source
            self._read += 1

    def handled(self, n: int) -> None:
        """Report that `n` more files are finished."""
        self._handled += n
        if self._progress is not None:
            done = self._handled / self._limit if self._limit else self._read / len(self.sources)
            self._progress(min(done, 1.0), f"{self._handled} structure files")


def _index_beside(paths: Sequence[str | Path]) -> Path | None:
    found = [Path(p) / "index.tsv" for p in paths if (Path(p) / "index.tsv").is_file()]
    if len(found) > 1:
        raise UsageError(
            f"{len(found)} of the folders hold an index.tsv; join them and pass `index` TSV"
        )
    return found[0] if found else None


def _finished(folder: Path, settings: _Settings) -> Manifest:
    """Return the manifest of a complete build, if it has the same settings."""
    manifest = Manifest.read(folder / MANIFEST)
    found = {field.name: getattr(manifest, field.name) for field in fields(settings)}
    found["recipe"] = manifest.constants
    if _as_read(found) != settings.to_json():
        raise UsageError(
            f"{folder}: holds a data set made with other settings or input; pass `overwrite`"
        )
    return manifest


def _as_read(values: dict[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(json.dumps(values))
    return read


def _write(
    folder: Path, recipe: Recipe, settings: _Settings, table: pa.Table, tally: Tally
) -> Manifest:
    """Write the fragments, and the manifest after them."""
    scales = _scales(table, recipe, settings.seed)
    (folder / MANIFEST).unlink(missing_ok=True)
    write_parquet(table, folder / FRAGMENTS, recipe.name, settings.seed)
    manifest = Manifest(
        recipe=recipe.name,
        constants=settings.recipe,
        seed=settings.seed,
        strict=settings.strict,
        criteria=settings.criteria,
        representatives=settings.representatives,
        repair=settings.repair,
        limit=settings.limit,
        sources=settings.sources,
        index=settings.index,
        counts={**sorted_counts(tally.counts), **split_counts(table)},
        discards=sorted_counts(tally.discards),
        kept_unknown=sorted_counts(tally.unknowns),
        changes=sorted_counts(tally.changes),
        problems=tally.problems,
        scales=scales,
        hashes={"content": content_hash(table), FRAGMENTS: file_hash(folder / FRAGMENTS)},
        versions={
            name: importlib.metadata.version(name)
            for name in (*_SOFTWARE, *(PACKAGES if settings.repair else ()))
        },
    )
    manifest.write(folder / MANIFEST)
    return manifest


def _scales(table: pa.Table, recipe: Recipe, seed: int) -> dict[str, Any]:
    train = table.filter(pc.equal(table["split"], "train"))
    if not train.num_rows:
        return {"n_examples": 0}
    atoms = len(train["xyz"].combine_chunks().flatten()) // 3
    n_examples = max(1, train.num_rows * _SCALE_ATOMS // max(atoms, 1))
    return map_scales(train, recipe, seed, n_examples)


def _nothing_left(sources: Sequence[Path], tally: Tally) -> str:
    if len(tally.problems) == 1 and tally.counts["files"] == 1:
        problem = tally.problems[0]
        return f"{problem['file']}: {problem['reason']}; expected protein coordinates"
    reasons = ", ".join(f"{name} {n}" for name, n in sorted_counts(tally.discards).items())
    return (
        f"{sources[0]}{' ...' if len(sources) > 1 else ''}: no fragment left from "
        f"{counted(tally.counts['files'], 'structure file')} (discarded: {reasons}); nothing "
        "written"
    )
