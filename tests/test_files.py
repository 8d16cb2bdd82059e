"""Files are written whole or not at all, folders belong to one process, inputs are only read."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import gemmi
import numpy as np
import pytest
import torch

from crysformer.cli import main
from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.io.write import write_map, write_phases
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import CrysformerError, UsageError
from crysformer.evaluation.regimes.results import Result, ResultLog
from crysformer.files import (
    atomic_path,
    locked_folder,
    refuse_input,
    staged_files,
    write_bytes,
    write_json,
)
from crysformer.models.weights import save_weights
from crysformer.samples import SAMPLES
from crysformer.testing import random_network, tiny_network
from crysformer.training.checkpoint import save_checkpoint

CELL = gemmi.UnitCell(9, 10, 11, 90, 90, 90)


def phases(path: Path, n: int) -> None:
    hkl = gemmi.make_miller_array(CELL, gemmi.SpaceGroup("P 1"), 0.9)[:n].astype(np.int32)
    f = np.linspace(1, 2, len(hkl))
    data = CrystalData(CELL, gemmi.SpaceGroup("P 1"), hkl, f, 0.1 * f)
    write_phases(path, data, f, 10 * f, 0.1 * f)


def density_map(path: Path, n: int) -> None:
    values = np.ones((8, 8, max(1, n // 64)), np.float32)
    write_map(path, DensityMap(values, CELL, gemmi.SpaceGroup("P 1")))


def result(path: Path, n: int) -> None:
    path.mkdir(exist_ok=True)
    log = ResultLog(path, {}, resume=True)
    log.append(Result("2-tight", n, "raar", "a", "GF", "done", message="x" * 10 * n))


WRITERS: dict[str, Callable[[Path, int], None]] = {
    "mtz": phases,
    "ccp4": density_map,
    "json": lambda path, n: write_json(path, list(range(n))),
    "checkpoint": lambda path, n: save_checkpoint(path, {"model": torch.arange(n)}),
    "safetensors": lambda path, n: save_weights(
        path, random_network(tiny_network()), {"note": "x" * n}
    ),
    "results": result,
}


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """A limit at which writing fails as on a full disk, in the middle of a file."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.skipif(os.name != "posix", reason="POSIX limits")
@pytest.mark.parametrize("name", WRITERS)
def test_a_full_disk_is_an_error_and_leaves_what_was_there(name: str, tmp_path: Path) -> None:
    path, write = tmp_path / f"file.{name}", WRITERS[name]
    write(path, 300)
    files = sorted(p for p in tmp_path.rglob("*") if p.is_file())
    before = {file: file.read_bytes() for file in files}
    size = max(map(len, before.values()))
    # Limits inside every part of the file; the last ones cut only the buffer written on closing.
    limits = {size * k // 12 for k in range(12)} | {size - 1, size - 3, size - 80, 4096, 1}
    for limit in sorted(x for x in limits if 0 < x < size):
        with largest_file(limit), pytest.raises(CrysformerError, match="cannot be written"):
            write(path, 300)
        assert {f: f.read_bytes() for f in sorted(before)} == before
        assert sorted(p for p in tmp_path.rglob("*") if p.is_file()) == files
    write(path, 300)


def test_bytes_that_are_lost_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a file system that accepts everything."""
    monkeypatch.setattr(Path, "write_bytes", lambda self, content: self.write_text("part"))
    with pytest.raises(CrysformerError, match=os.strerror(errno.ENOSPC)):
        write_bytes(tmp_path / "a", b"the whole")
    assert not list(tmp_path.iterdir())


def test_content_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synchronised: list[bool] = []
    fsync = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda handle: (synchronised.append((tmp_path / "a").exists()), fsync(handle))
    )
    write_bytes(tmp_path / "a", b"content")
    assert synchronised == [False]


def test_one_process_a_folder(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom crysformer.files import locked_folder\n"
        "with locked_folder(sys.argv[1], resume=True):\n"
        "    print('locked', flush=True)\n    sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "locked\n"
    with (
        pytest.raises(UsageError, match="another process writes into this folder"),
        locked_folder(tmp_path, resume=True),
    ):
        pass
    process.kill()
    process.communicate()
    with locked_folder(tmp_path):  # a lock ends with its process, and leaves nothing
        assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    staging, half = staged_files(tmp_path), atomic_path(tmp_path / "map.ccp4")
    (staging.__enter__() / "solution.mtz").write_text("half")
    half.__enter__().write_text("half")
    for name in (".partial-of-the-user", ".hidden", "file.partial"):
        (tmp_path / name).write_text("kept")
    assert len(list(tmp_path.iterdir())) == 5
    with locked_folder(tmp_path, overwrite=True):
        found = sorted(path.name for path in tmp_path.iterdir())
    assert found == [".hidden", ".partial-of-the-user", "file.partial"]


def test_a_signal_waits_until_all_files_have_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def interrupted(self: Path, target: Path) -> Path:
        if self.name == "b":
            signal.raise_signal(signal.SIGINT)
        return replace(self, target)

    def write() -> None:
        with staged_files(tmp_path / "out") as staging:
            for name in "abc":
                (staging / name).write_text(name)
            monkeypatch.setattr(Path, "replace", interrupted)

    with pytest.raises(KeyboardInterrupt):
        write()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "b", "c"]


def test_an_input_is_never_an_output(tmp_path: Path) -> None:
    path = tmp_path / "solution.mtz"
    path.write_bytes(SAMPLES[0].data_path.read_bytes())
    with pytest.raises(UsageError, match=r"solution.mtz: is the input"):
        refuse_input([path], [tmp_path / "." / "solution.mtz"])
    refuse_input([path], [tmp_path / "other.mtz"])
    sequence = ["--sequence", SAMPLES[0].sequence]
    for command in (
        ["solve", str(path), *sequence, "--overwrite", "-o", str(tmp_path)],
        ["predict", str(path), *sequence, "-o", str(tmp_path / "solution")],
    ):
        before = path.read_bytes()
        assert main(command) in (1, 2)
        assert path.read_bytes() == before
        assert [p.name for p in tmp_path.iterdir()] == ["solution.mtz"]


@pytest.mark.parametrize("content", ["thesis, first line\nand the last without an end", "", "{}"])
def test_reliability_only_reads(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "thesis.txt"
    path.write_text(content)
    assert main(["benchmark", "reliability", str(path)]) == 1
    assert path.read_text() == content
    assert capsys.readouterr().err.count("\n") == 1
    whole = json.dumps({"cell": "a", "number": 0, "method": "raar", "id": "a", "sequence": "GF",
                        "status": "done", "claimed": True, "confidence": 0.9})  # fmt: skip
    path.write_text(f'{whole}\n{{"cell": "torn')
    assert main(["benchmark", "reliability", str(path)]) == 0
    assert path.read_text() == f'{whole}\n{{"cell": "torn'


def test_a_record_without_options_is_not_resumed(tmp_path: Path) -> None:
    (tmp_path / "results.jsonl").write_text("not a record\nof this program")
    with pytest.raises(UsageError, match=r"results\.jsonl and no options\.json"):
        ResultLog(tmp_path, {}, resume=True)
    assert (tmp_path / "results.jsonl").read_text() == "not a record\nof this program"
