"""A data set as the Hugging Face Hub and `datasets.load_dataset` take it, with its data card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Final

import pyarrow as pa

from crysformer.data.criteria import Criteria
from crysformer.data.dataset.manifest import Manifest
from crysformer.data.dataset.parquet import write_parquet
from crysformer.data.store import (
    COLUMNS,
    FRAGMENTS,
    MANIFEST,
    SCHEMA,
    FragmentStore,
    read_table,
)
from crysformer.errors import InputError, UsageError
from crysformer.files import write_bytes
from crysformer.schema import record

#: Largest file, bytes of the table in memory: half of that on the disk.
_FILE_BYTES: Final = 512 * 2**20
_SIZES: Final = (
    (1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)  # fmt: skip


def write_hub_folder(store: FragmentStore, splits: tuple[str, ...], target: Path) -> int:
    """Write ``data/SPLIT-*.parquet``, ``manifest.json`` and ``README.md``, the data card.

    Parameters
    ----------
    store
        The data set.
    splits
        Splits to write; those without fragments are left out.
    target
        An empty folder.

    Returns
    -------
    Number of fragments.
    """
    manifest = Manifest.read(store.folder / MANIFEST)
    numbers = {}
    for split in splits:
        table = read_table(store.folder / FRAGMENTS, SCHEMA, filters=[("split", "=", split)])
        if table.num_rows:
            numbers[split] = (table.num_rows, *(len(table[n].unique()) for n in _GROUPS))
            _write_split(table, split, store.recipe.name, manifest.seed, target)
    card = data_card(store, manifest, numbers)
    manifest.write(target / MANIFEST)
    write_bytes(target / "README.md", card.encode())
    return sum(n for n, *_ in numbers.values())


#: Columns whose distinct values the card counts.
_GROUPS: Final = ("entry", "cluster")


def _write_split(table: pa.Table, split: str, recipe: str, seed: int, target: Path) -> None:
    n_files = max(1, -(-table.nbytes // _FILE_BYTES))
    each = -(-table.num_rows // n_files)
    for number in range(n_files):
        name = f"{split}-{number:05d}-of-{n_files:05d}.parquet"
        write_parquet(table.slice(number * each, each), target / "data" / name, recipe, seed)


def data_card(
    store: FragmentStore, manifest: Manifest, numbers: Mapping[str, tuple[int, ...]]
) -> str:
    """Text of the data card: front matter of the Hub, and what a user has to know.

    Parameters
    ----------
    store, manifest
        The data set, and its manifest.
    numbers
        Fragments, entries and groups of related entries of each split that is not empty.

    Raises
    ------
    InputError
        If the manifest states impossible criteria.
    """
    try:
        criteria = record(Criteria, manifest.criteria)
    except (ValueError, UsageError) as error:
        raise InputError(f"{store.folder / MANIFEST}: criteria that are none ({error})") from error
    recipe, cell = store.recipe, store.recipe.fixed_cell
    discards = [f"- {name.replace('_', ' ')}: {n:,}" for name, n in manifest.discards.items()]
    text = resources.files("crysformer.data.dataset").joinpath("data_card.md").read_text("utf-8")
    return text.format(
        recipe=recipe.name,
        size=_size_category(sum(n for n, *_ in numbers.values())),
        files="\n".join(f"  - split: {s}\n    path: data/{s}-*.parquet" for s in numbers),
        n_residues=recipe.n_residues,
        cell=f"a cell of {' x '.join(f'{x:g}' for x in cell)} A" if cell else "a tight cell",
        splits="\n".join(
            f"| {split} | {' | '.join(f'{n:,}' for n in counts)} |"
            for split, counts in numbers.items()
        ),
        columns="\n".join(
            f"| `{name}` | {column.shape} | {column.unit} | {column.meaning} |"
            for name, column in COLUMNS.items()
        ),
        b_iso=recipe.b_iso,
        scales=_scales(store),
        **asdict(criteria),
        unknown="left out" if manifest.strict else "kept",
        content=manifest.hashes["content"],
        discards="\n".join(discards) or "- nothing",
    )


def _scales(store: FragmentStore) -> str:
    try:
        density, patterson = store.scale("density"), store.scale("patterson")
    except InputError:  # a data set without training fragments
        return ""
    return f"Maps reach {density:.4g} e/A^3 (density) and {patterson:.4g} e^2/A^3 (Patterson)."


def _size_category(n: int) -> str:
    return next((name for limit, name in _SIZES if n < limit), "10M<n<100M")
