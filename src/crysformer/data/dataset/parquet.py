"""Fragments as Parquet files that describe themselves: units, shapes and splits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from crysformer.data.store import COLUMNS, COORDINATE_STEP, SPLITS
from crysformer.files import atomic_path

_ROW_GROUP: Final = 65536
#: Key of the description in the metadata of the file.
DESCRIPTION: Final = b"crysformer"


def write_parquet(table: pa.Table, path: Path, recipe: str, seed: int) -> None:
    """Write fragments, atomically, with a description in the metadata of the file.

    The description is JSON under the key ``crysformer``: ``recipe``, ``seed`` (of the splits),
    ``splits`` (fragments of each) and ``columns`` (meaning, unit and shape).
    """
    description = {
        "recipe": recipe,
        "seed": seed,
        "coordinate_step": COORDINATE_STEP,
        "splits": {
            split: int(pc.sum(pc.equal(table["split"], split)).as_py() or 0) for split in SPLITS
        },
        "columns": {name: vars(column) for name, column in COLUMNS.items()},
    }
    table = table.replace_schema_metadata({DESCRIPTION: json.dumps(description)})
    with atomic_path(path) as temporary:
        pq.write_table(
            table,
            temporary,
            compression="zstd",
            compression_level=9,
            row_group_size=_ROW_GROUP,
            use_dictionary=["entry", "chain", "cluster", "split", "sequence"],
        )


def read_description(path: str | Path) -> dict[str, Any]:
    """Description in a file of fragments; empty for files of earlier versions."""
    metadata = pq.read_schema(path).metadata or {}
    found: dict[str, Any] = json.loads(metadata.get(DESCRIPTION, b"{}"))
    return found
