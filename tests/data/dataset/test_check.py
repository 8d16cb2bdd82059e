"""Damage of every kind is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from crysformer.data import FragmentStore, check
from crysformer.data.checksums import file_hash
from crysformer.data.dataset.manifest import content_hash, split_counts
from crysformer.data.store import FRAGMENTS, MANIFEST, SCHEMA


def test_fresh_data_sets_pass(dipeptides: FragmentStore, fifteens: FragmentStore) -> None:
    assert check(dipeptides.folder) == []
    assert check(fifteens.folder) == []


def replaced(table: pa.Table, name: str, change: Callable[[list], list]) -> pa.Table:  # type: ignore[type-arg]
    i = SCHEMA.get_field_index(name)
    column = pa.array(change(table[name].to_pylist()), type=SCHEMA.field(name).type)
    return table.set_column(i, SCHEMA.field(i), column)


def write_again(table: pa.Table, source: Path, folder: Path) -> None:
    """A changed table as a data set whose hashes and counts agree with it."""
    pq.write_table(table, folder / FRAGMENTS)
    manifest = json.loads((source / MANIFEST).read_text())
    manifest["hashes"] = {"content": content_hash(table), FRAGMENTS: file_hash(folder / FRAGMENTS)}
    manifest["counts"].update(split_counts(table))
    (folder / MANIFEST).write_text(json.dumps(manifest))


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
    write_again(table, dipeptides.folder, tmp_path)
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


def test_a_sequence_in_two_splits_is_found(dipeptides: FragmentStore, tmp_path: Path) -> None:
    """The copy of a test chain under another entry and cluster, in training."""
    table = pq.read_table(dipeptides.folder / FRAGMENTS)
    test = table.filter(pc.equal(table["split"], "test"))
    name = test["entry"][0].as_py()
    chain = test.filter(pc.equal(test["entry"], name))
    renames = {
        "id": lambda rows: [f"copy{i}" for i in range(len(rows))],
        "entry": lambda rows: ["copy"] * len(rows),
        "cluster": lambda rows: ["copy"] * len(rows),
        "split": lambda rows: ["train"] * len(rows),
    }
    for column, change in renames.items():
        chain = replaced(chain, column, change)
    write_again(pa.concat_tables([chain, table]), dipeptides.folder, tmp_path)
    problems = check(tmp_path)
    assert len(problems) == 1
    assert problems[0].startswith("1 chains share 15 residues with a chain of another split: ")
    assert f"{name}_" in problems[0]
    assert "copy_" in problems[0]
