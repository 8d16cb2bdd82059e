"""Damage of every kind is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crysformer.data import FragmentStore, check
from crysformer.data.dataset.manifest import content_hash, file_hash, split_counts
from crysformer.data.store import FRAGMENTS, MANIFEST, SCHEMA


def test_fresh_data_sets_pass(dipeptides: FragmentStore, fifteens: FragmentStore) -> None:
    assert check(dipeptides.folder) == []
    assert check(fifteens.folder) == []


def replaced(table: pa.Table, name: str, change: Callable[[list], list]) -> pa.Table:  # type: ignore[type-arg]
    i = SCHEMA.get_field_index(name)
    column = pa.array(change(table[name].to_pylist()), type=SCHEMA.field(name).type)
    return table.set_column(i, SCHEMA.field(i), column)


def swap_split(rows: list[str]) -> list[str]:
    return ["test" if rows[0] == "train" else "train", *rows[1:]]


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("split", swap_split, "entry is in more than one split"),
        ("id", lambda rows: [rows[1], *rows[1:]], "ids occur twice"),
        ("sequence", lambda rows: ["XX", *rows[1:]], "is not 2 of the letters"),
        ("sequence", lambda rows: ["WW", *rows[1:]], "another number of atoms"),
        ("xyz", lambda rows: [[x + 9 for x in rows[0]], *rows[1:]], "off the origin"),
        ("cell", lambda rows: [[30.0, 20.0, 10.0], *rows[1:]], "not what the recipe gives"),
        ("cell", lambda rows: [[5.0, 4.0, 3.0], *rows[1:]], "contacts below 2.75"),
        ("start", lambda rows: [rows[1], *rows[1:]], "overlap"),
        ("xyz", lambda rows: [[2 * x for x in rows[0]], *rows[1:]], "without a peptide bond"),
    ],
)
def test_wrong_values_are_found_though_the_hashes_agree(
    name: str,
    change: Callable[[list], list],  # type: ignore[type-arg]
    message: str,
    dipeptides: FragmentStore,
    tmp_path: Path,
) -> None:
    table = replaced(pq.read_table(dipeptides.folder / FRAGMENTS), name, change)
    pq.write_table(table, tmp_path / FRAGMENTS)
    manifest = json.loads((dipeptides.folder / MANIFEST).read_text())
    manifest["hashes"] = {
        "content": content_hash(table),
        FRAGMENTS: file_hash(tmp_path / FRAGMENTS),
    }
    manifest["counts"].update(split_counts(table))
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    assert any(message in problem for problem in check(tmp_path))


def test_other_file_is_found(
    dipeptides: FragmentStore, fifteens: FragmentStore, tmp_path: Path
) -> None:
    (tmp_path / MANIFEST).write_bytes((dipeptides.folder / MANIFEST).read_bytes())
    (tmp_path / FRAGMENTS).write_bytes((fifteens.folder / FRAGMENTS).read_bytes())
    assert "SHA-256 differs" in check(tmp_path)[0]


def test_content_hash_sees_every_column(dipeptides: FragmentStore) -> None:
    table = pq.read_table(dipeptides.folder / FRAGMENTS)
    reference = content_hash(table)
    assert content_hash(table.slice(0).combine_chunks()) == reference
    for name in ("id", "entry", "chain", "seqid", "cluster", "split", "sequence"):
        changed = replaced(table, name, lambda rows: [rows[0] + "x", *rows[1:]])
        assert content_hash(changed) != reference
