"""Damaged and made-up files of the package's own formats: read, or refused in one line."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from crysformer.cli._list_results import FIELDS, complete_records
from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.io.crystal_list import ListedCrystal
from crysformer.crystal.io.write import read_map, write_map
from crysformer.crystal.reflections import CrystalData
from crysformer.data.checksums import read_checksums, write_checksums
from crysformer.data.criteria import PAPER
from crysformer.data.dataset.entries import EntryIndex
from crysformer.data.dataset.export_shards import export_shards
from crysformer.data.dataset.manifest import Manifest
from crysformer.data.dataset.shard_reader import MapShards
from crysformer.data.dataset.shards import join_shards
from crysformer.data.rcsb.fetch_record import Fetched, Service
from crysformer.data.store import FRAGMENTS, MANIFEST, SPLITS, FragmentStore
from crysformer.errors import CrysformerError
from crysformer.evaluation.regimes.results import RESULTS, Result, read_results
from crysformer.models.weights import load_weights, save_weights
from crysformer.phasing.checkpoint import STATE, Checkpoint, _content_hash
from crysformer.phasing.problem import phasing_problem
from crysformer.phasing.search import Search
from crysformer.phasing.settings import SolveSettings
from crysformer.phasing.strategy import Turn
from crysformer.testing import (
    conformer_pairs,
    damaged_bytes,
    damaged_values,
    random_network,
    tiny_network,
    write_data_set,
)
from crysformer.training.checkpoint import CHECKPOINT, load_checkpoint, save_checkpoint
from crysformer.training.config import TrainingConfig, read_config
from crysformer.training.loop import Trainer
from crysformer.training.run_state import restore, state_of

SEED = 20
Reader = Callable[[], object]


@dataclasses.dataclass(frozen=True)
class Target:
    """A file, the function that reads it, and further ways to damage it."""

    path: Path
    read: Reader
    mutations: tuple[Callable[[np.random.Generator], None], ...] = ()


def json_values(path: Path) -> Callable[[np.random.Generator], None]:
    """Damage to the values of a JSON file."""
    content = json.loads(path.read_text())

    def mutate(rng: np.random.Generator) -> None:
        path.write_text(json.dumps(damaged_values(content, rng)))

    return mutate


def make_state(folder: Path) -> Target:
    cell = gemmi.UnitCell(6.3, 5.1, 5.9, 90, 90, 90)
    hkl = gemmi.make_miller_array(cell, gemmi.SpaceGroup("P 1"), 1.8).astype(np.int32)
    f = 10 * np.random.default_rng(0).rayleigh(size=len(hkl))
    data = CrystalData(cell, gemmi.SpaceGroup("P 1"), hkl, f, 0.01 * f)
    problem = phasing_problem(data, ("VA",), 1)
    search = Search(problem, "charge-flipping", SolveSettings(), 1.0)
    search.take(Turn("charge-flipping", 0.2))
    checkpoint = Checkpoint(folder / STATE, problem, {"seed": 0})
    checkpoint.write(search)
    tensors = load_file(checkpoint.path)
    with safe_open(checkpoint.path, framework="pt") as file:
        content = json.loads(file.metadata()["state"])
    assert content["candidates"]

    def save(values: Any, stored: dict[str, torch.Tensor]) -> None:
        text = json.dumps(values)
        metadata = {"state": text, "sha256": _content_hash(text, stored)}
        save_file(stored, checkpoint.path, metadata)

    def values(rng: np.random.Generator) -> None:
        save(damaged_values(content, rng), tensors)

    def numbers(rng: np.random.Generator) -> None:
        name = str(rng.choice(sorted(tensors)))
        save(content, {**tensors, name: damaged_tensor(tensors[name], rng)})

    def read() -> None:
        Checkpoint(checkpoint.path, problem, {}).restore(
            Search(problem, "charge-flipping", SolveSettings(), 1.0)
        )

    return Target(checkpoint.path, read, (values, numbers))


def damaged_tensor(x: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Another shape, type or value."""
    kind = int(rng.integers(5))
    if kind == 0:
        return x.flatten()[:-1].clone()
    if kind == 1:
        return x[None].clone()
    if kind == 2:
        return x.to(torch.int64) if x.is_floating_point() else x.float()
    if kind == 3:
        return torch.zeros(0)
    changed = x.clone().flatten()
    odd = float(rng.choice([np.nan, np.inf, -1.0]))
    changed[int(rng.integers(len(changed)))] = odd if x.is_floating_point() else 255
    return changed.reshape(x.shape)


def make_weights(folder: Path) -> Target:
    path = folder / "own.safetensors"
    save_weights(
        path,
        random_network(tiny_network()),
        {
            "domain": {
                "min_edges": [6.0, 5.0, 4.0], "max_edges": [9.0, 8.0, 7.0],
                "volume_per_atom": [15.0, 50.0], "max_d_min": 2.5,
            },
            "calibration": {"ratio": [0.1, 1.0], "cosine": [0.0, 0.9]},
            "arrival": [1.0, 2.0, 3.0, 4.0],
            "training": {"examples": 10},
        },
    )  # fmt: skip
    beside = path.with_suffix(".json")
    whole = beside.read_bytes()

    def description(rng: np.random.Generator) -> None:
        beside.write_bytes(damaged_bytes(whole, rng))

    return Target(path, lambda: load_weights(path), (json_values(beside), description))


def make_data_set(folder: Path) -> Target:
    write_data_set(folder, "dipeptide", conformer_pairs())
    path = folder / FRAGMENTS
    table = pq.read_table(path)

    def read() -> None:
        store = FragmentStore.open(folder)
        store.scale("density")
        assert isinstance(store.fragments_hash, str)
        for split in SPLITS:
            assert store.table(split).codes.ndim == 2

    def columns(rng: np.random.Generator) -> None:
        name = str(rng.choice(table.column_names))
        rows = table[name].to_pylist()
        at = int(rng.integers(len(rows)))
        rows[at] = {str: "\x00", int: -1, list: []}[type(rows[at])]
        i = table.column_names.index(name)
        try:
            changed = table.set_column(i, table.field(name), pa.array(rows, table.field(name).type))
        except pa.ArrowInvalid:
            changed = table.drop_columns(name)
        pq.write_table(changed, path)

    return Target(path, read, (json_values(folder / MANIFEST), columns))


def make_manifest(folder: Path) -> Target:
    empty: dict[str, Any] = {field.name: {} for field in dataclasses.fields(Manifest)}
    values = {
        **empty, "recipe": "dipeptide", "seed": 0, "strict": False, "limit": None, "index": None,
        "sources": [{"name": "a", "sha256": "b"}], "problems": [], "format": 1,
        "hashes": {"content": "a", FRAGMENTS: "b"}, "representatives": False, "repair": False,
    }  # fmt: skip
    path = folder / MANIFEST
    path.write_text(json.dumps(values))
    return Target(path, lambda: Manifest.read(path), (json_values(path),))


def make_shard(folder: Path) -> Target:
    from crysformer.data.dataset.curate import CURATED, Tally

    rows = [{**row, "file": "a.pdb", "seqid": "1"} for row in conformer_pairs()]
    path = folder / "000000.parquet"
    table = pa.Table.from_pylist(rows, schema=CURATED)
    tally = Tally()
    tally.counts["files"] = 1
    pq.write_table(table.replace_schema_metadata({"tally": tally.to_json()}), path)
    figures = json.loads(tally.to_json())

    def tallies(rng: np.random.Generator) -> None:
        text = json.dumps(damaged_values(figures, rng))
        pq.write_table(table.replace_schema_metadata({"tally": text}), path)

    return Target(path, lambda: join_shards([path]), (tallies,))


def make_results(folder: Path) -> Target:
    path = folder / RESULTS
    result = Result("2-tight", 0, "raar", "a", "GF", "done", confidence=0.5, claimed=True)
    lines = [dataclasses.asdict(dataclasses.replace(result, number=i)) for i in range(3)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    path.write_text(text)

    def values(rng: np.random.Generator) -> None:
        changed = damaged_values(lines, rng)
        path.write_text("".join(json.dumps(line) + "\n" for line in changed))

    return Target(path, lambda: read_results(path), (values,))


def make_list_results(folder: Path) -> Target:
    path = folder / "results.json"
    row = {**dict.fromkeys(FIELDS), "name": "a", "data": "a.mtz", "status": "solved",
           "confidence": 0.9, "seconds": 1.0, "method": "raar"}  # fmt: skip
    path.write_text(
        json.dumps({"n": 1, "solved": 1, "not_solved": 0, "failed": 0, "crystals": [row]})
    )
    crystals = [ListedCrystal("a", Path("a.mtz"), None, None)]
    return Target(path, lambda: complete_records(folder, crystals, 60.0), (json_values(path),))


def make_training_config(folder: Path) -> Target:
    path = folder / "own.toml"
    path.write_text('preset = "dipeptide-small"\nlearning_rate = 1e-4\n[model]\ndepth = 3\n')
    names = [field.name for field in dataclasses.fields(TrainingConfig)]
    odd = ["-1", "0", "nan", "inf", '"x"', "[]", "true", "1e400", "9" * 30, "{a = 1}", "1979-05-27"]

    def settings(rng: np.random.Generator) -> None:
        path.write_text(f"{rng.choice(names)} = {rng.choice(odd)}\n")

    return Target(path, lambda: read_config(path), (settings,))


def make_solver_settings(folder: Path) -> Target:
    path = folder / "solver.toml"
    path.write_text(SolveSettings().to_toml()[:3000].rpartition("\n")[0] + "\n")
    return Target(path, lambda: SolveSettings.read(path))


def make_checkpoint(folder: Path) -> Target:
    model = tiny_network(scaling="amplitudes", positions="metric", sample_rate=2.0)
    config = TrainingConfig(
        model=model, examples=64, batch_size=2, accumulate=1, validation_examples=2
    )
    (folder / "data").mkdir()
    store = FragmentStore.open(write_data_set(folder / "data", "dipeptide", conformer_pairs()))
    trainer = Trainer(config, store, folder, None, torch.device("cpu"))
    trainer.train_step()
    path = folder / CHECKPOINT
    state = state_of(trainer)
    save_checkpoint(path, state)

    def values(rng: np.random.Generator) -> None:
        name = str(rng.choice(sorted(state)))
        changed = dict(state)
        old = changed[name]
        if isinstance(old, torch.Tensor):
            changed[name] = damaged_tensor(old, rng)
        elif name in ("model", "averaged", "stream"):
            tensors = [k for k, v in old.items() if isinstance(v, torch.Tensor) and v.numel()]
            if tensors and rng.random() < 0.7:
                key = str(rng.choice(tensors))
                changed[name] = {**old, key: damaged_tensor(old[key], rng)}
            else:
                changed[name] = {k: v for k, v in old.items() if k != str(rng.choice(list(old)))}
        elif rng.random() < 0.3:
            del changed[name]
        else:
            changed[name] = damaged_values([0], rng)
        save_checkpoint(path, changed)

    return Target(path, lambda: restore(trainer, load_checkpoint(path)), (values,))


def make_index(folder: Path) -> Target:
    path = folder / "index.tsv"
    path.write_text(
        "id\tpdb_id\tmethod\tresolution\tr_free\tyear\tcluster_30\n"
        "1abc_A\t1abc\tX-RAY DIFFRACTION\t1.5\t0.2\t2001\t7\n2xyz_B\t2xyz\t\t\t\t\t\n"
    )
    return Target(path, lambda: EntryIndex.read(path))


def make_fetch_record(folder: Path) -> Target:
    fetched = Fetched(
        dataclasses.asdict(PAPER),
        True,
        dataclasses.asdict(Service()),
        0,
        "2026-01-01",
        {"query": {}},
        ["1abc_1"],
        "0" * 64,
    )
    path = folder / "fetch.json"
    path.write_text(json.dumps(dataclasses.asdict(fetched)))
    return Target(path, lambda: Fetched.read(path), (json_values(path),))


def make_checksums(folder: Path) -> Target:
    write_checksums(folder, {"a.gz": "0" * 64, "b.gz": "1" * 64})
    return Target(folder / "SHA256SUMS", lambda: read_checksums(folder))


def make_exported_shards(folder: Path) -> Target:
    (folder / "data").mkdir()
    data = write_data_set(folder / "data", "dipeptide", conformer_pairs())
    export_shards(data, folder / "out", "webdataset", 4)
    path = folder / "out" / "shards.json"

    def read() -> None:
        for example in MapShards(folder / "out", "train"):
            assert example.density.shape == example.patterson.shape

    return Target(path, read, (json_values(path),))


def make_map(folder: Path) -> Target:
    path = folder / "own.ccp4"
    values = np.random.default_rng(0).random((4, 4, 4)).astype(np.float32)
    cell = gemmi.UnitCell(8, 8, 8, 90, 90, 90)
    write_map(path, DensityMap(values, cell, gemmi.SpaceGroup("P 1")))
    whole = path.read_bytes()

    def header(rng: np.random.Generator) -> None:
        words = np.frombuffer(whole[:1024], dtype=np.int32).copy()
        words[rng.integers(25)] = rng.choice([0, -1, 1, 2, 3, 2**31 - 1, 10**6, -(2**31)])
        path.write_bytes(words.tobytes() + whole[1024:])

    return Target(path, lambda: read_map(path), (header,))


TARGETS = {
    name.removeprefix("make_"): function
    for name, function in list(globals().items())
    if name.startswith("make_")
}


def outcome(read: Reader, what: str) -> str | None:
    """Message of the refusal; None if the file was accepted."""
    try:
        read()
    except CrysformerError as error:
        return str(error)
    except Exception as error:
        raise AssertionError(f"{what}: {error!r}") from error
    return None


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("count", [80, pytest.param(10_000, marks=pytest.mark.slow)])
def test_damage_is_survived(name: str, count: int, tmp_path: Path) -> None:
    target = TARGETS[name](tmp_path)
    target.read()
    whole = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    rng = np.random.default_rng([SEED, count])
    refused = 0
    for i in range(count):
        kind = i % (len(target.mutations) + 1)
        if kind == 0:
            target.path.write_bytes(damaged_bytes(whole[target.path], rng))
        else:
            target.mutations[kind - 1](rng)
        damaged = target.path.read_bytes()
        message = outcome(target.read, f"{name}, mutation {i}")
        refused += message is not None
        assert message is None or "\n" not in message, message
        assert target.path.read_bytes() == damaged  # nothing repairs what it reads
        for path, content in whole.items():
            if path.read_bytes() != content:
                path.write_bytes(content)
    assert refused > count // 20
    target.read()
