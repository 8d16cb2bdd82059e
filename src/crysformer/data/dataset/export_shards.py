"""Maps of a random part of a data set in shards with checksums, as the paper released 200,000."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray

from crysformer.crystal.fourier.grids import grid_shape
from crysformer.data.checksums import (
    append_checksum,
    is_whole,
    read_checksums,
    write_checksums,
)
from crysformer.data.dataset.shard_formats import SHARD_FORMATS, MapExample
from crysformer.data.dataset.shard_list import SHARD_LIST, TEMPLATES, UNITS, ShardFile, ShardList
from crysformer.data.examples.residue_densities import residue_templates
from crysformer.data.examples.stream import PATCH, fixed_batches
from crysformer.data.store import SPLITS, FragmentStore, FragmentTable, Split
from crysformer.errors import InputError, UsageError
from crysformer.files import locked_folder, write_bytes, write_json
from crysformer.parallel import Workers, one_thread, run_tasks
from crysformer.peptide import residues

#: Bytes of a shard's maps, about.
SHARD_MIB: Final = 256
_MIB: Final = 2**20
_BATCH: Final = 16
#: Examples whose grids give the mean size of all.
_MEASURED: Final = 1000
D_MIN: Final = 1.5


@dataclass(frozen=True)
class Shard:
    """Part of the plan: rows of one split that go into one file."""

    split: Split
    file: str
    rows: NDArray[np.int64]


def export_shards(
    folder: str | Path,
    out: str | Path,
    kind: str,
    subset: int | None = None,
    split: Split | None = None,
    seed: int = 0,
    shard_mib: int = SHARD_MIB,
    workers: Workers | None = None,
    overwrite: bool = False,
    resume: bool = False,
    progress: Callable[[float, str], None] | None = None,
) -> ShardList:
    """Write Patterson maps and densities of a random part of a data set.

    Writes the shards, ``residue_maps.safetensors``, ``shards.json`` and ``SHA256SUMS``, which
    `MapShards` reads. The same arguments give the same bytes, however often the export was
    interrupted and whatever the workers.

    Parameters
    ----------
    folder
        A data set made by `build`.
    out
        Folder for the shards.
    kind
        A key of `SHARD_FORMATS`.
    subset
        Number of examples, from all splits in proportion; all of them by default.
    split
        Only this split.
    seed
        Seed of the choice, and of the order in which examples are written.
    shard_mib
        Size of a shard, MiB, about.
    workers
        Place where shards are made.
    overwrite, resume
        Handling of an output folder that is not empty: make all shards anew, or only those that are
        missing or not what their checksum says.
    progress
        Called with the fraction done and a short text.

    Returns
    -------
    ShardList
        The shards that were written.

    Raises
    ------
    UsageError
        If the output folder is not empty, or holds another export.
    InputError
        If there is nothing to export, or the data set lacks scales.
    """
    if kind not in SHARD_FORMATS:
        raise UsageError(f"unknown format {kind!r}; expected one of: {', '.join(SHARD_FORMATS)}")
    if shard_mib < 1 or (subset is not None and subset < 1):
        raise UsageError(f"shard of {shard_mib} MiB, subset {subset}: expected at least 1")
    store = FragmentStore.open(folder)
    wanted = ShardList(
        kind=kind,
        recipe=store.recipe.name,
        source=store.fragments_hash,
        seed=seed,
        subset=subset,
        splits=list(SPLITS if split is None else (split,)),
        shard_mib=shard_mib,
        d_min=D_MIN,
        scales={name: store.scale(name) for name in ("density", "patterson")},
        units=UNITS,
    )
    with locked_folder(out, overwrite=overwrite, resume=resume) as target:
        _require_same(target, wanted, resume)
        plan = list(_plan(store, wanted))
        if not plan:
            raise InputError(f"{folder}: no fragments in {' or '.join(wanted.splits)}")
        write_json(target / SHARD_LIST, asdict(wanted))
        try:
            return _write_all(store, target, wanted, plan, workers or Workers(), progress, resume)
        except KeyboardInterrupt as stop:
            raise type(stop)(
                f"{target}: finished shards are kept; pass `resume` to go on"
            ) from stop


def _require_same(target: Path, wanted: ShardList, resume: bool) -> None:
    if not resume or not (target / SHARD_LIST).is_file():
        return
    there = asdict(ShardList.read(target / SHARD_LIST))
    if {**there, "shards": []} != asdict(wanted):
        raise UsageError(f"{target}: holds another export; pass `overwrite` to replace it")


def _plan(store: FragmentStore, wanted: ShardList) -> Iterator[Shard]:
    ids = {split: _ids(store, split) for split in SPLITS if split in wanted.splits}
    numbers = portions({split: len(names) for split, names in ids.items()}, wanted.subset)
    for split, names in ids.items():
        order = np.array(_shuffled(names, wanted.seed)[: numbers[split]], dtype=np.int64)
        if not len(order):
            continue
        size = _mean_bytes(_table(str(store.folder.absolute()), split), order, store)
        each = max(1, int(wanted.shard_mib * _MIB / size))
        n_shards = -(-len(order) // each)
        for number in range(n_shards):
            ending = SHARD_FORMATS[wanted.kind].ending
            name = f"{split}-{number:05d}-of-{n_shards:05d}{ending}"
            yield Shard(split, name, order[number * each : (number + 1) * each])


def _ids(store: FragmentStore, split: Split) -> list[str]:
    return _table(str(store.folder.absolute()), split).id


def portions(available: dict[Split, int], subset: int | None) -> dict[Split, int]:
    """Numbers of examples of each split that add up to `subset`, in proportion to `available`."""
    total = sum(available.values())
    if subset is None or subset >= total:
        return available
    exact = {split: subset * n / total for split, n in available.items()}
    numbers = {split: int(share) for split, share in exact.items()}
    by_remainder = sorted(exact, key=lambda split: numbers[split] - exact[split])
    for split in by_remainder[: subset - sum(numbers.values())]:
        numbers[split] += 1
    return numbers


def _shuffled(ids: list[str], seed: int) -> list[int]:
    """Rows ordered by a hash of seed and id: a smaller subset is the beginning of a larger one."""
    keys = [hashlib.sha256(f"{seed}:{name}".encode()).digest() for name in ids]
    return sorted(range(len(ids)), key=keys.__getitem__)


def _mean_bytes(table: FragmentTable, rows: NDArray[np.int64], store: FragmentStore) -> float:
    cells = table.cell[rows[:_MEASURED]].tolist()
    shapes = [grid_shape(cell, D_MIN, store.recipe.sample_rate, PATCH) for cell in cells]
    return 2 * 4 * float(np.mean([np.prod(shape) for shape in shapes]))


def _write_all(
    store: FragmentStore,
    target: Path,
    wanted: ShardList,
    plan: list[Shard],
    workers: Workers,
    progress: Callable[[float, str], None] | None,
    resume: bool,
) -> ShardList:
    checksums = read_checksums(target)
    if not resume:
        for name in checksums:  # an earlier export, whose files would lie between the new ones
            (target / name).unlink(missing_ok=True)
        checksums = {}
    write_checksums(target, checksums)
    todo = [shard for shard in plan if not is_whole(target, shard.file, checksums)]
    shared = (str(store.folder.absolute()), str(target.absolute()), wanted)
    done = len(plan) - len(todo)
    with one_thread():
        for number, sha256 in run_tasks(
            _write_shard, ((shard,) for shard in todo), workers, shared, ahead=1
        ):
            checksums[todo[number].file] = sha256
            append_checksum(target, todo[number].file, sha256)
            done += 1
            if progress is not None:
                progress(done / len(plan), f"{done} of {len(plan)} shards")
    templates = _templates(wanted)
    write_bytes(target / TEMPLATES, templates)
    checksums[TEMPLATES] = hashlib.sha256(templates).hexdigest()
    shards = [
        ShardFile(
            shard.file,
            shard.split,
            len(shard.rows),
            (target / shard.file).stat().st_size,
            checksums[shard.file],
        )
        for shard in plan
    ]
    finished = replace(wanted, shards=[asdict(shard) for shard in shards])
    write_checksums(target, checksums)
    write_json(target / SHARD_LIST, asdict(finished))
    return finished


def _templates(wanted: ShardList) -> bytes:
    maps = residue_templates() / wanted.scales["density"]
    return safetensors.torch.save({name: maps[i].clone() for i, name in enumerate(residues.NAMES)})


def _write_shard(folder: str, target: str, wanted: ShardList, shard: Shard) -> str:
    """Make the maps of one shard and write it; its SHA-256."""
    table = _table(folder, shard.split).take(shard.rows)
    recipe = FragmentStore.open(folder).recipe
    examples: list[MapExample | None] = [None] * len(table)
    for batch in fixed_batches(table, recipe, _BATCH, d_min=D_MIN):
        patterson = batch.patterson[:, 0] / wanted.scales["patterson"]
        density = batch.density[:, 0] / wanted.scales["density"]
        for i, row in enumerate(batch.index.tolist()):
            examples[row] = MapExample(
                id=table.id[row],
                sequence=table.sequence[row],
                lengths=batch.lengths[i].to(torch.float32),
                patterson=patterson[i],
                density=density[i],
            )
    content = SHARD_FORMATS[wanted.kind].encode([e for e in examples if e is not None])
    write_bytes(Path(target) / shard.file, content)
    return hashlib.sha256(content).hexdigest()


@lru_cache(maxsize=3)
def _table(folder: str, split: Split) -> FragmentTable:
    return FragmentStore.open(folder).table(split)
