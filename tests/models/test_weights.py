"""Weights on disk: round trip, size of what ships, damaged files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch

from crysformer.data.examples.residue_densities import residue_templates
from crysformer.errors import InputError, UsageError
from crysformer.models.crysformer import CrysFormer
from crysformer.models.weights import (
    load_weights,
    packaged_weights,
    save_weights,
    tensor_files,
)
from crysformer.testing import tiny_network

TINY = tiny_network(
    dropout=0.5, recycling=True, steps=2, step_channels=4, scaling="amplitudes", positions="metric"
)


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, CrysFormer]:
    torch.manual_seed(0)
    model = CrysFormer(TINY, residue_templates()).eval()
    path = tmp_path / "folder" / "own.safetensors"
    save_weights(path, model, {"metrics": {"pc": 0.5}})
    return path, model


def test_round_trip_gives_the_same_densities(saved: tuple[Path, CrysFormer]) -> None:
    path, model = saved
    loaded = load_weights(path)
    assert loaded.name == "own"
    assert loaded.info["metrics"]["pc"] == 0.5
    assert loaded.info["licence"] == "MIT"
    assert loaded.info["sha256"] == loaded.sha256
    assert not loaded.model.training
    torch.testing.assert_close(loaded.model.templates, residue_templates(), rtol=1e-3, atol=1e-3)
    patterson = torch.rand(1, 1, 16, 12, 8)
    inputs = patterson, torch.tensor([[3, 4]]), torch.tensor([[11.0, 8.0, 5.5]])
    with torch.no_grad():
        torch.testing.assert_close(loaded.model(*inputs), model(*inputs), rtol=0.02, atol=0.02)


def test_what_ships_is_small_and_says_what_it_is() -> None:
    packaged = packaged_weights()
    assert "dipeptide-robust" in packaged
    assert sum(path.stat().st_size for path in packaged.values()) < 40e6
    for name in packaged:
        weights = load_weights(name)
        assert weights.sha256 == weights.info["sha256"]
        assert weights.info["metrics"]["pc"] > 0.5
        assert weights.info["training"]["examples"] > 0
        assert set(weights.info) >= {"config", "licence", "data_sha256", "domain", "calibration"}


def test_damaged_or_foreign_files_are_refused(saved: tuple[Path, CrysFormer]) -> None:
    path, _ = saved
    with pytest.raises(UsageError, match="no such weights"):
        load_weights(path.with_name("other.safetensors"))
    description = path.with_suffix(".json")
    text = description.read_text()
    for broken, message in (
        ("{", "not readable JSON"),
        ("{}", "not the description"),
        (text.replace('"width": 24', '"width": 48'), "does not fit"),
        (text.replace('"width": 24', '"wide": 24'), "unknown setting 'wide'"),
        (text.replace('"crysformer"', '"my_net:Net"'), "`register` imports it"),
        (text.replace('"width": 24', '"width": 1e9'), "width is 1000000000.0, expected int"),
        (text.replace('"width": 24', '"width": 8192'), "does not fit"),  # nothing is allocated
        (text.replace('"heads": 2', '"heads": 0'), "heads is 0, expected 1 to"),
    ):
        description.write_text(broken)
        with pytest.raises(InputError, match=message):
            load_weights(path)
    description.unlink()
    with pytest.raises(InputError, match="missing"):
        load_weights(path)
    description.write_text(text)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="not a readable safetensors"):
        load_weights(path)
    assert json.loads(text)["format"] == 1


def test_every_byte_counts(saved: tuple[Path, CrysFormer]) -> None:
    path, model = saved
    content = path.read_bytes()
    path.write_bytes(content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    expected = hashlib.sha256(content).hexdigest()
    with pytest.raises(InputError, match=f"SHA-256 {found}, expected {expected}"):
        load_weights(path)
    with torch.no_grad():
        model.norm.bias[3] = float("nan")
    save_weights(path, model, {})
    with pytest.raises(InputError, match=r"norm\.bias holds values that are no numbers"):
        load_weights(path)


@pytest.mark.parametrize("name", ["../thesis.txt", "thesis.txt", "/etc/passwd"])
def test_only_shards_are_read_and_replaced(saved: tuple[Path, CrysFormer], name: str) -> None:
    path, model = saved
    description, victim = path.with_suffix(".json"), path.parent / "thesis.txt"
    victim.write_text("years of work")
    info = json.loads(description.read_text())
    info["shards"] = [{"file": name, "sha256": "0" * 64}]
    description.write_text(json.dumps(info))
    with pytest.raises(InputError, match="no shard of weights"):
        load_weights(path)
    save_weights(path, model, {})
    assert victim.read_text() == "years of work"


def test_large_weights_are_written_as_shards(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = CrysFormer(TINY, residue_templates()).eval()
    path = tmp_path / "own.safetensors"
    save_weights(path, model, {"part": 1}, shard_size=600_000)
    files = tensor_files(path)
    assert [file.name for file in files] == [f"own-0000{i}-of-00002.safetensors" for i in (1, 2)]
    assert all(0 < file.stat().st_size <= 600_000 for file in files)
    assert not path.exists()
    expected = {name: value.half().float() for name, value in model.state_dict().items()}
    for given in (path, path.with_suffix(".json"), str(path)):
        loaded = load_weights(given)
        assert loaded.info["sha256"] == loaded.sha256
        for name, value in loaded.model.state_dict().items():
            assert torch.equal(value, expected[name]), name
    # the next ones replace them when they are complete, and stand alone
    save_weights(path, model, {"part": 2}, shard_size=600_000)
    assert load_weights(path).info["part"] == 2
    assert not set(files) & set(tmp_path.iterdir())
    save_weights(path, model, {"part": 3}, shard_size=600_000)
    assert tensor_files(path) == files
    assert len(list(tmp_path.iterdir())) == 3
    content = files[1].read_bytes()
    files[1].write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(InputError, match=f"{files[1].name}: damaged, or not the file"):
        load_weights(path)
    files[1].unlink()
    with pytest.raises(InputError, match=f"{files[1].name}: not a readable"):
        load_weights(path)
    save_weights(path, model, {"part": 4}, shard_size=10**9)
    assert load_weights(path).info["part"] == 4
    assert sorted(file.name for file in tmp_path.iterdir()) == ["own.json", "own.safetensors"]


def test_shards_that_are_not_listed_yet_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = CrysFormer(TINY, residue_templates()).eval()
    path = tmp_path / "own.safetensors"
    save_weights(path, model, {"part": 1}, shard_size=600_000)
    before = load_weights(path).sha256

    def killed(path: Path, content: object) -> None:
        raise KeyboardInterrupt

    with torch.no_grad():
        model.norm.weight.add_(1)
    monkeypatch.setattr("crysformer.models.weights.write_json", killed)
    with pytest.raises(KeyboardInterrupt):
        save_weights(path, model, {"part": 2}, shard_size=600_000)
    assert load_weights(path).sha256 == before
