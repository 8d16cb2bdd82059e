"""A data set as the Hugging Face Hub and `datasets.load_dataset` take it, with its data card."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Final

import pyarrow as pa

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
from crysformer.files import write_bytes

#: Largest file, bytes of the table in memory: half of that on the disk.
_FILE_BYTES: Final = 512 * 2**20
_SIZES: Final = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"))
_SIZES_ABOVE: Final = ((1_000_000, "100K<n<1M"), (10_000_000, "1M<n<10M"))


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
            numbers[split] = table.num_rows
            _write_split(table, split, manifest, target)
    manifest.write(target / MANIFEST)
    write_bytes(target / "README.md", data_card(manifest, numbers).encode())
    return sum(numbers.values())


def _write_split(table: pa.Table, split: str, manifest: Manifest, target: Path) -> None:
    n_files = max(1, -(-table.nbytes // _FILE_BYTES))
    each = -(-table.num_rows // n_files)
    for number in range(n_files):
        name = f"{split}-{number:05d}-of-{n_files:05d}.parquet"
        part = table.slice(number * each, each)
        write_parquet(part, target / "data" / name, manifest.recipe, manifest.seed)


def data_card(manifest: Manifest, numbers: dict[str, int]) -> str:
    """Text of the data card: front matter of the Hub, and what a user has to know.

    Parameters
    ----------
    manifest
        Of the data set.
    numbers
        Fragments of each split that is not empty.
    """
    recipe, cell = manifest.constants, manifest.constants["fixed_cell"]
    splits = [
        (split, n, manifest.counts["entries"][split], manifest.counts["clusters"][split])
        for split, n in numbers.items()
    ]
    discards = [f"- {name.replace('_', ' ')}: {n:,}" for name, n in manifest.discards.items()]
    text = resources.files("crysformer.data.dataset").joinpath("data_card.md").read_text("utf-8")
    return text.format(
        recipe=manifest.recipe,
        size=_size_category(sum(numbers.values())),
        files="\n".join(f"  - split: {s}\n    path: data/{s}-*.parquet" for s in numbers),
        n_residues=recipe["n_residues"],
        cell=f"a cell of {' x '.join(f'{x:g}' for x in cell)} A" if cell else "a tight cell",
        splits="\n".join(f"| {s} | {n:,} | {e:,} | {c:,} |" for s, n, e, c in splits),
        columns="\n".join(
            f"| `{name}` | {column.shape} | {column.unit} | {column.meaning} |"
            for name, column in COLUMNS.items()
        ),
        b_iso=recipe["b_iso"],
        scales=_scales(manifest),
        **manifest.criteria,
        unknown="left out" if manifest.strict else "kept",
        content=manifest.hashes["content"],
        discards="\n".join(discards) or "- nothing",
    )


def _scales(manifest: Manifest) -> str:
    try:
        density, patterson = (manifest.scales[n]["scale"] for n in ("density", "patterson"))
    except KeyError:  # a data set without training fragments
        return ""
    return f"Maps reach {density:.4g} e/A^3 (density) and {patterson:.4g} e^2/A^3 (Patterson)."


def _size_category(n: int) -> str:
    return next((name for limit, name in (*_SIZES, *_SIZES_ABOVE) if n < limit), "10M<n<100M")
