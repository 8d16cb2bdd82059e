"""Shards of a build: joined split after split, and refused when damaged."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crysformer.data.dataset.curate import CURATED, Tally
from crysformer.data.dataset.shards import join_shards
from crysformer.errors import InputError
from crysformer.testing import conformer_pairs


def written_shard(path: Path, *splits: str) -> Path:
    first = next(iter(conformer_pairs()))
    rows = [
        {**first, "entry": f"e{i}", "file": "a.pdb", "seqid": "1", "split": split}
        for i, split in enumerate(splits)
    ]
    table = pa.Table.from_pylist(rows, schema=CURATED)
    pq.write_table(table.replace_schema_metadata({"tally": Tally().to_json()}), path)
    return path


def test_rows_are_joined_split_after_split(tmp_path: Path) -> None:
    shards = [
        written_shard(tmp_path / "0.parquet", "test", "train"),
        written_shard(tmp_path / "1.parquet", "validation", "train"),
    ]
    table, _ = join_shards(shards)
    assert table["split"].to_pylist() == ["train", "train", "validation", "test"]


def test_unknown_split_is_a_damaged_shard(tmp_path: Path) -> None:
    path = written_shard(tmp_path / "0.parquet", "train", "validati/n")
    with pytest.raises(InputError, match=r"0\.parquet: a damaged shard \(split 'validati/n'"):
        join_shards([path])
