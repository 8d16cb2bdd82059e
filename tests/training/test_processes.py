"""Training in several processes, started by torchrun on the CPU."""

from __future__ import annotations

import csv
import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from crysformer.data.examples.stream import ExampleStream
from crysformer.data.store import FragmentStore
from crysformer.errors import CrysformerError, UsageError
from crysformer.training.config import TrainingConfig, to_toml
from crysformer.training.config_changes import with_changes
from crysformer.training.faults import is_short_of_memory
from crysformer.training.processes import ALONE, Processes, launched, local_device
from crysformer.training.run_folder import HISTORY
from crysformer.training.train import train


@pytest.fixture
def exact(tiny: TrainingConfig) -> TrainingConfig:
    """A network without random estimates: every number of its training is determined."""
    model = dataclasses.replace(tiny.model, recycling=False)
    return dataclasses.replace(tiny, model=model, examples=48, validate_every=16)


def torchrun(
    processes: int, config: TrainingConfig, data: Path, out: Path, *options: str
) -> subprocess.CompletedProcess[str]:
    settings = out.parent / f"{out.name}.toml"
    settings.write_text(to_toml(config))
    return subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone",
            f"--nproc-per-node={processes}", "-m", "crysformer", "train", "--config", settings,
            "--data", data, "-o", out, "--device", "cpu", *options,
        ],
        capture_output=True, text=True, timeout=240, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def history(folder: Path) -> list[dict[str, float]]:
    with open(folder / HISTORY, newline="") as file:
        return [{k: float(v) for k, v in line.items()} for line in csv.DictReader(file)]


def assert_same_run(one: Path, other: Path) -> None:
    a, b = history(one), history(other)
    assert [line["examples"] for line in a] == [line["examples"] for line in b]
    for x, y in zip(a, b, strict=True):
        for name in ("train_loss", "pc", "pc_better_hand"):
            assert x[name] == pytest.approx(y[name], abs=1.1e-5), name  # written with 5 digits


@pytest.mark.parametrize("loss", ["mse", pytest.param("better-hand", marks=pytest.mark.slow)])
def test_two_processes_train_as_one(
    exact: TrainingConfig, dipeptides: Path, tmp_path: Path, loss: str
) -> None:
    exact = with_changes(exact, [f"loss={loss}"])
    two = torchrun(2, exact, dipeptides, tmp_path / "two")
    assert two.returncode == 0, two.stderr
    assert two.stdout.count("written:") == 1
    train(exact, dipeptides, tmp_path / "one")
    assert_same_run(tmp_path / "one", tmp_path / "two")


@pytest.mark.slow
def test_a_run_goes_on_with_other_numbers_of_processes(
    exact: TrainingConfig, dipeptides: Path, tmp_path: Path
) -> None:
    train(exact, dipeptides, tmp_path / "one")
    out = tmp_path / "resumed"
    train(dataclasses.replace(exact, examples=16), dipeptides, out)
    assert torchrun(2, exact, dipeptides, out, "--resume").returncode == 0
    assert [line["examples"] for line in history(out)] == [16, 32, 48]


@pytest.mark.slow
def test_recycling_networks_train_in_two_processes(
    tiny: TrainingConfig, dipeptides: Path, tmp_path: Path
) -> None:
    out = tmp_path / "two"
    half = dataclasses.replace(tiny, examples=32)
    assert torchrun(2, half, dipeptides, out).returncode == 0
    assert torchrun(2, tiny, dipeptides, out, "--resume").returncode == 0
    assert [line["examples"] for line in history(out)] == [32, 64]
    whole = tmp_path / "whole"
    assert torchrun(2, tiny, dipeptides, whole).returncode == 0


@pytest.mark.slow
def test_a_refused_folder_ends_all_processes(
    exact: TrainingConfig, dipeptides: Path, tmp_path: Path
) -> None:
    out = tmp_path / "full"
    out.mkdir()
    (out / "file").write_text("of somebody")
    run = torchrun(2, exact, dipeptides, out)
    assert run.returncode != 0
    assert "not empty" in run.stderr
    assert "bug in crysformer" not in run.stderr
    assert [path.name for path in out.iterdir()] == ["file"]


def test_parts_of_a_batch_are_the_batch(dipeptides: Path) -> None:
    store = FragmentStore.open(dipeptides)
    table = store.table("train")

    def batches(part: int = 0, parts: int = 1):  # type: ignore[no-untyped-def]
        stream = ExampleStream(table, store.recipe, 6, seed=3, part=part, parts=parts)
        return stream, iter(stream)

    (whole, of_whole), *split = [batches(), *(batches(part, 3) for part in range(3))]
    for _ in range(4):
        expected = next(of_whole)
        found = [next(of_part) for _, of_part in split]
        for part, batch in enumerate(found):
            torch.testing.assert_close(batch.index, expected.index[part::3])
            torch.testing.assert_close(batch.patterson, expected.patterson[part::3])
    for stream, _ in split:
        state, same = stream.state_dict(), whole.state_dict()
        assert state["pool"] == same["pool"]
        assert state["emitted"] == same["emitted"]


def test_one_process_alone() -> None:
    assert not launched()
    assert ALONE.is_first
    assert ALONE.agree([1.0, 2.0]) == [1.0, 2.0]
    assert ALONE.collect("state") == ["state"]
    assert ALONE.share(3) == 3
    assert local_device(torch.device("cpu")) == torch.device("cpu")
    assert ALONE.own_seed(5) == 5
    assert len({Processes(rank, 4).own_seed(5) for rank in range(4)}) == 4


def test_batches_that_cannot_be_shared() -> None:
    Processes(0, 4).check_shares(12)
    with pytest.raises(UsageError, match=r"batches of 10 .* multiple of 4; set batch_size = 8"):
        Processes(0, 4).check_shares(10)


def test_one_of_several_processes_does_not_change_its_steps() -> None:
    short = torch.OutOfMemoryError("CUDA out of memory")
    assert is_short_of_memory(short, "run", 8, False, ALONE)
    with pytest.raises(CrysformerError, match=r"process 1 failed .* smaller batch_size"):
        is_short_of_memory(short, "run", 8, False, Processes(1, 2))
    with pytest.raises(CrysformerError, match="compile = false"):
        is_short_of_memory(RuntimeError("no compiler"), "run", 8, True, Processes(1, 2))
