"""The folder for the Hugging Face Hub, and Parquet files that describe themselves."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from crysformer.cli import main
from crysformer.data import FragmentStore, build, export
from crysformer.data.dataset.parquet import read_description
from crysformer.data.store import COLUMNS, FRAGMENTS, SCHEMA, SPLITS, read_table
from crysformer.errors import UsageError


@pytest.fixture(scope="module")
def hub(dipeptides: FragmentStore, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub") / "out"
    n = export(dipeptides.folder, folder, "hub")
    assert n == sum(dipeptides.manifest["counts"]["fragments"].values())
    return folder


def test_files_of_the_splits_hold_the_data_set(dipeptides: FragmentStore, hub: Path) -> None:
    whole = read_table(dipeptides.folder / FRAGMENTS, SCHEMA)
    for split in SPLITS:
        (path,) = (hub / "data").glob(f"{split}-*.parquet")
        part = read_table(path, SCHEMA)
        assert set(part["split"].to_pylist()) == {split}
        first = whole["split"].to_pylist().index(split)
        assert part.equals(whole.slice(first, part.num_rows))
    assert json.loads((hub / "manifest.json").read_text()) == dipeptides.manifest


def test_parquet_describes_itself(dipeptides: FragmentStore, hub: Path) -> None:
    found = read_description(dipeptides.folder / FRAGMENTS)
    assert found["recipe"] == "dipeptide"
    assert found["splits"] == dipeptides.manifest["counts"]["fragments"]
    assert found["coordinate_step"] == 0.005
    assert list(found["columns"]) == SCHEMA.names == list(COLUMNS)
    assert found["columns"]["cell"] == {
        "meaning": COLUMNS["cell"].meaning, "unit": "A", "shape": "(3,)",
    }  # fmt: skip
    (path,) = (hub / "data").glob("test-*.parquet")
    assert {n for n, count in read_description(path)["splits"].items() if count} == {"test"}


def test_card_has_front_matter_and_no_gaps(dipeptides: FragmentStore, hub: Path) -> None:
    text = (hub / "README.md").read_text()
    _, front, card = text.split("---\n", 2)
    assert "license: cc0-1.0" in front
    for split in SPLITS:
        assert f"  - split: {split}\n    path: data/{split}-*.parquet\n" in front
    assert "{" not in text
    assert dipeptides.manifest["hashes"]["content"] in card
    for split, n in dipeptides.manifest["counts"]["fragments"].items():
        assert f"| {split} | {n:,} |" in card
    assert all(f"| `{name}` |" in card for name in COLUMNS)


def test_data_set_without_training_fragments(structures: Path, tmp_path: Path) -> None:
    build([structures / "1shg_A.pdb.gz"], tmp_path / "one", "dipeptide", seed=12)
    main(["dataset", "export", str(tmp_path / "one"), "--format", "hub", "-o", str(tmp_path / "h")])
    splits = {p.name.split("-")[0] for p in (tmp_path / "h" / "data").iterdir()}
    front = (tmp_path / "h" / "README.md").read_text().split("---\n")[1]
    assert [s for s in SPLITS if f"split: {s}" in front] == [s for s in SPLITS if s in splits]


def test_limit_does_not_apply(dipeptides: FragmentStore, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="all fragments"):
        export(dipeptides.folder, tmp_path / "out", "hub", limit=3)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(
    importlib.util.find_spec("datasets") is None, reason="the package datasets is not installed"
)
def test_load_dataset_gives_the_three_splits(
    dipeptides: FragmentStore, hub: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    import datasets

    loaded = datasets.load_dataset(str(hub), cache_dir=str(tmp_path / "cache"))
    numbers = {split: len(loaded[split]) for split in loaded}
    assert numbers == dipeptides.manifest["counts"]["fragments"]
    row = loaded["test"][0]
    table = dipeptides.table("test")
    assert (row["id"], row["sequence"]) == (table.id[0], table.sequence[0])
    assert row["cell"] == pytest.approx(table.cell[0].tolist())
    assert len(row["xyz"]) == 3 * (table.offset[1] - table.offset[0])
    assert loaded["train"].column_names == pq.read_schema(dipeptides.folder / FRAGMENTS).names
