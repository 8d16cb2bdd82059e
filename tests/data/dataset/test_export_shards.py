"""Shards of maps: the values of the data set, always the same bytes, and damage that is seen."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from crysformer.cli import main
from crysformer.data import FragmentStore, MapShards, export_shards
from crysformer.data.dataset import export_shards as module
from crysformer.data.dataset.export_shards import portions
from crysformer.data.dataset.shard_formats import SHARD_FORMATS
from crysformer.data.dataset.shard_list import ShardList
from crysformer.data.store import SPLITS
from crysformer.data.synthetic.synthetic_crystal import synthetic_crystal
from crysformer.errors import InputError, UsageError
from crysformer.files import write_bytes
from crysformer.parallel import Workers
from crysformer.peptide import residues

KINDS = list(SHARD_FORMATS)


def content(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


@pytest.fixture(scope="module")
def exported(
    dipeptides: FragmentStore, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("shards")
    for kind in KINDS:
        export_shards(dipeptides.folder, folder / kind, kind, subset=80, shard_mib=1)
    return {kind: folder / kind for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_examples_are_those_of_the_data_set(
    dipeptides: FragmentStore, exported: dict[str, Path], kind: str
) -> None:
    scales = {name: dipeptides.scale(name) for name in ("density", "patterson")}
    seen = 0
    for split in SPLITS:
        shards = MapShards(exported[kind], split)
        table = dipeptides.table(split)
        row = {name: i for i, name in enumerate(table.id)}
        found = list(shards)
        assert len(found) == len(shards)
        assert len({example.id for example in found}) == len(found)
        seen += len(found)
        for example in found[:3]:
            crystal = synthetic_crystal(table, row[example.id], dipeptides.recipe)
            assert example.sequence == crystal.sequence
            cell = crystal.data.cell
            np.testing.assert_allclose(example.lengths, cell.parameters[:3], rtol=1e-6)
            density = example.density.numpy() * scales["density"]
            found_f = cell.volume * np.fft.ifftn(density)[tuple(crystal.data.hkl.T)]
            true_f = crystal.f_true * np.exp(1j * np.deg2rad(crystal.phi_true))
            np.testing.assert_allclose(found_f, true_f, atol=1e-3 * abs(true_f).max())
            F = torch.fft.rfftn(example.density.double())
            again = torch.fft.irfftn(F.abs() ** 2, s=example.density.shape).ravel()
            pair = torch.stack((again, example.patterson.double().ravel()))
            assert float(torch.corrcoef(pair)[0, 1]) > 0.99999
            assert 0.3 < float(example.patterson.max()) <= 1.001
    assert seen == 80


def test_all_formats_hold_the_same(exported: dict[str, Path]) -> None:
    ids, maps = set(), []
    for folder in exported.values():
        examples = list(MapShards(folder, "train"))
        ids.add(tuple(example.id for example in examples))
        maps.append(torch.cat([example.patterson.ravel() for example in examples]))
    assert len(ids) == 1
    assert all(torch.equal(maps[0], other) for other in maps[1:])


def test_list_states_units_and_checksums(exported: dict[str, Path]) -> None:
    for folder in exported.values():
        listed = ShardList.read(folder / "shards.json")
        assert "e^2/A^3" in listed.units["patterson"]
        assert sum(shard["examples"] for shard in listed.shards) == 80
        assert len(listed.shards) > 3
        for line in (folder / "SHA256SUMS").read_text().splitlines():
            digest, name = line.split("  ")
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
        for shard in listed.shards:
            assert 0.1 * 2**20 < shard["bytes"] < 1.3 * 2**20 or shard["examples"] < 20


def test_partial_structures(dipeptides: FragmentStore, exported: dict[str, Path]) -> None:
    from crysformer.data.examples.residue_densities import residue_templates

    maps = MapShards(exported["pt"], "test").partial_structures("GWG")
    expected = residue_templates() / dipeptides.scale("density")
    for found, letter in zip(maps, "GWG", strict=True):
        torch.testing.assert_close(found, expected[residues.CODES.index(letter)])


def test_parts_are_disjoint(exported: dict[str, Path]) -> None:
    whole = [e.id for e in MapShards(exported["pt"], "train")]
    parts = [[e.id for e in MapShards(exported["pt"], "train", i, 2)] for i in range(2)]
    assert sorted(parts[0] + parts[1]) == sorted(whole)
    assert all(parts)


@pytest.mark.parametrize("kind", KINDS)
def test_killed_export_goes_on_with_the_same_bytes(
    dipeptides: FragmentStore, exported: dict[str, Path], tmp_path: Path, kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    calls = []

    def interrupted(path: Path, content: bytes) -> None:
        calls.append(path)
        if len(calls) == 3:
            raise KeyboardInterrupt
        write_bytes(path, content)

    options = {"subset": 80, "shard_mib": 1}
    with monkeypatch.context() as patch:
        patch.setattr(module, "write_bytes", interrupted)
        with pytest.raises(KeyboardInterrupt, match="`resume`"):
            export_shards(dipeptides.folder, tmp_path / "out", kind, **options)
    with pytest.raises(InputError, match="unfinished export"):
        MapShards(tmp_path / "out", "train")
    with pytest.raises(UsageError, match="not empty"):
        export_shards(dipeptides.folder, tmp_path / "out", kind, **options)
    with pytest.raises(UsageError, match="another export"):
        export_shards(dipeptides.folder, tmp_path / "out", kind, seed=1, resume=True, **options)
    with (tmp_path / "out" / "SHA256SUMS").open("a") as file:
        file.write("0123")  # as a killed process leaves it
    stamp = calls[0].stat().st_mtime_ns
    export_shards(dipeptides.folder, tmp_path / "out", kind, resume=True, **options)
    assert calls[0].stat().st_mtime_ns == stamp
    assert content(tmp_path / "out") == content(exported[kind])


@pytest.mark.slow
def test_workers_make_the_same_bytes(
    dipeptides: FragmentStore, exported: dict[str, Path], tmp_path: Path
) -> None:
    export_shards(
        dipeptides.folder, tmp_path / "two", "safetensors", 80, shard_mib=1, workers=Workers(2)
    )
    assert content(tmp_path / "two") == content(exported["safetensors"])


def test_damage_is_seen_and_mended(
    dipeptides: FragmentStore, exported: dict[str, Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name, data in content(exported["pt"]).items():
        (out / name).write_bytes(data)
    name = ShardList.read(out / "shards.json").shards[0]["file"]
    (out / name).write_bytes((out / name).read_bytes()[:-10])
    with pytest.raises(InputError, match="SHA-256 differs"):
        list(MapShards(out, "train"))
    export_shards(dipeptides.folder, out, "pt", 80, shard_mib=1, resume=True)
    assert content(out) == content(exported["pt"])
    (out / "shards.json").write_text("[]")
    with pytest.raises(InputError, match="not a JSON object"):
        MapShards(out, "train")


def test_subset_is_in_proportion() -> None:
    available = {"train": 900, "validation": 60, "test": 40}
    assert portions(available, None) == portions(available, 5000) == available  # type: ignore[arg-type]
    for subset in (1, 7, 500, 999):
        found = portions(available, subset)  # type: ignore[arg-type]
        assert sum(found.values()) == subset
        assert all(abs(found[s] - subset * n / 1000) < 1 for s, n in available.items())  # type: ignore[index]


def test_smaller_subset_is_the_beginning(
    dipeptides: FragmentStore, exported: dict[str, Path], tmp_path: Path
) -> None:
    export_shards(dipeptides.folder, tmp_path / "out", "pt", 20, split="test")
    few = [example.id for example in MapShards(tmp_path / "out", "test")]
    many = [example.id for example in MapShards(exported["pt"], "test")]
    assert len(few) == 20
    assert few[: len(many)] == many[: len(few)]


def test_another_export_in_its_place(dipeptides: FragmentStore, tmp_path: Path) -> None:
    export_shards(dipeptides.folder, tmp_path / "out", "pt", 60, shard_mib=1)
    export_shards(dipeptides.folder, tmp_path / "out", "pt", 10, overwrite=True)
    names = set(content(tmp_path / "out"))
    listed = {shard["file"] for shard in ShardList.read(tmp_path / "out" / "shards.json").shards}
    assert names == listed | {"shards.json", "SHA256SUMS", "residue_maps.safetensors"}


def test_ids_may_hold_anything(tmp_path: Path) -> None:
    from crysformer.data.dataset.shard_formats import MapExample

    grid = torch.rand(4, 8, 12)
    odd = MapExample(
        "../a.b c_\u00e9_3", "GA", torch.tensor([4.0, 5.0, 6.5]), grid, grid[:2].clone()
    )
    for kind in SHARD_FORMATS.values():
        (back,) = kind.decode(kind.encode([odd]))
        assert (back.id, back.sequence) == (odd.id, odd.sequence)
        for name in ("lengths", "patterson", "density"):
            assert torch.equal(getattr(back, name), getattr(odd, name))


def test_command(
    dipeptides: FragmentStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "out")
    argv = ["dataset", "export", str(dipeptides.folder), "--format", "webdataset", "-o", out]
    assert main([*argv, "--subset", "12", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["crystals"] == 12
    assert {shard["split"] for shard in result["shards"]} <= set(SPLITS)
    assert main([*argv, "--subset", "12", "--resume"]) == 0
    assert main([*argv, "--limit", "3"]) == 2
    mtz = ["dataset", "export", str(dipeptides.folder), "--format", "mtz", "--subset", "3"]
    assert main(mtz) == 2
    assert "for shards" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.skipif(
    importlib.util.find_spec("webdataset") is None, reason="webdataset is not installed"
)
def test_webdataset_reads_the_shards(exported: dict[str, Path]) -> None:
    import webdataset

    paths = [str(p) for p in sorted(exported["webdataset"].glob("train-*.tar"))]
    samples = list(webdataset.WebDataset(paths, shardshuffle=False).decode())
    ours = list(MapShards(exported["webdataset"], "train"))
    assert [sample["json"]["id"] for sample in samples] == [example.id for example in ours]
    np.testing.assert_array_equal(samples[0]["density.npy"], ours[0].density.numpy())
