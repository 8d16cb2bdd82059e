"""Calculations that do not fit into memory are refused with both numbers, before they begin."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest

from crysformer import memory
from crysformer.cli import main
from crysformer.errors import InputError
from crysformer.memory import available_memory, check_memory
from crysformer.samples import SAMPLES
from crysformer.testing import conformer_pairs, write_data_set

GF = next(sample for sample in SAMPLES if sample.name == "gf")


def test_available_memory_is_plausible() -> None:
    found = available_memory()
    assert found is not None
    assert 2**27 < found < 2**50


@pytest.mark.skipif(sys.platform != "linux", reason="a limit on addresses as Linux has it")
def test_limit_on_addresses_counts() -> None:
    code = (
        "import resource\n"
        "from crysformer.memory import available_memory\n"
        "resource.setrlimit(resource.RLIMIT_AS, (10**9, 10**9))\n"
        "print(available_memory())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0 < float(done.stdout) <= 1e9


def test_limit_of_a_control_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text, limits in (("123456\n", [123456.0]), ("max\n", [])):
        (tmp_path / "memory.max").write_text(text)
        assert memory._limits(tmp_path / "memory.max") == limits
    assert memory._limits(tmp_path / "none") == []


def test_both_numbers_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 2.5e9)
    check_memory(2.4e9, "x", "y")
    with pytest.raises(InputError) as refusal:
        check_memory(7.25e10, "x.mtz: a search", "cut the resolution")
    assert str(refusal.value) == (
        "x.mtz: a search needs about 72.5 GB of memory, and 2.5 GB are available; cut the "
        "resolution, or use a larger machine"
    )
    monkeypatch.setattr(memory, "available_memory", lambda: None)
    check_memory(1e15, "x", "y")  # the system does not say


@pytest.fixture
def large_crystal(tmp_path: Path) -> Path:
    """Few reflections of a cell whose grid in P1 has 200 million points."""
    cell, group = gemmi.UnitCell(240, 240, 240, 90, 90, 90), gemmi.SpaceGroup("P 4 3 2")
    hkl = np.array(gemmi.make_miller_array(cell, group, 12.0))
    hkl = np.vstack([hkl, [[150, 0, 0]]])
    rng = np.random.default_rng(0)
    f = np.sqrt(rng.exponential(100, len(hkl))) + 1
    mtz = gemmi.Mtz(with_base=True)
    mtz.spacegroup = group
    mtz.set_cell_for_all(cell)
    mtz.add_column("F", "F")
    mtz.add_column("SIGF", "Q")
    mtz.set_data(np.column_stack([hkl, f, f / 20]).astype(np.float32))
    path = tmp_path / "large.mtz"
    mtz.write_to_file(str(path))
    return path


@pytest.fixture
def large_fragments(tmp_path: Path) -> Path:
    """Fragments with an atom 60 A away, as a damaged or made-up data set may have."""

    def stretched(row: dict[str, Any]) -> dict[str, Any]:
        xyz = np.array(row["xyz"]).reshape(-1, 3)
        xyz[0], xyz[1] = 12_000, -12_000
        return {**row, "xyz": xyz.ravel().tolist()}

    (tmp_path / "data").mkdir()
    return write_data_set(tmp_path / "data", "dipeptide", map(stretched, conformer_pairs()))


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: 3e8)


def refused(
    arguments: list[str], what: str, capsys: pytest.CaptureFixture[str], status: int = 1
) -> None:
    assert main(arguments) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    error = captured.err.strip().splitlines()[-1]
    assert what in error
    assert "GB of memory, and 0.3 GB are available" in error


@pytest.mark.usefixtures("little_memory")
def test_info(large_crystal: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(["info", str(large_crystal)], "a report on 2.95e+05 possible reflections", capsys)


@pytest.mark.usefixtures("little_memory")
def test_solve(
    large_crystal: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("crysformer.crystal.quality.report._BYTES", 1)  # the report fits
    arguments = ["solve", str(large_crystal), "-o", str(tmp_path / "out"), "--time-limit", "5"]
    refused(arguments, "large.mtz: a search on a grid of 360 x 360 x 360 points", capsys)
    assert not (tmp_path / "out" / "summary.json").exists()


@pytest.mark.usefixtures("little_memory")
@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["dataset", "export", "DATA", "--format", "mtz"], "test_0: a crystal of"),
        (["dataset", "export", "DATA", "--format", "ccp4"], "test_0: a crystal of"),
        (["dataset", "export", "DATA", "--format", "pt"], "a batch of"),
        (["evaluate", "--data", "DATA", "--method", "charge-flipping"], "test_4: a crystal of"),
        (["train", "--data", "DATA", "--preset", "dipeptide-small", "--device", "cpu"], "a batch"),
    ],
    ids=lambda x: "-".join(x[:2] + x[-1:]) if isinstance(x, list) else "",
)
def test_data_sets(
    arguments: list[str],
    what: str,
    large_fragments: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [str(large_fragments) if x == "DATA" else x for x in arguments]
    refused([*given, "-o", str(tmp_path / "out")], what, capsys)


@pytest.mark.usefixtures("little_memory")
def test_large_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").mkdir()
    data = write_data_set(tmp_path / "data", "dipeptide", conformer_pairs())
    (tmp_path / "own.toml").write_text(
        "[model]\nwidth = 4096\ndepth = 12\nheads = 8\nhead_width = 512\nfeedforward = 16384\n"
    )
    arguments = ["train", "--config", str(tmp_path / "own.toml"), "--data", str(data)]
    arguments += ["--device", "cpu", "-o", str(tmp_path / "out")]
    refused(arguments, "training of a network of", capsys)


def test_predict_refuses_a_cell_outside_its_domain(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its grids are those of the cells that it was trained on."""
    arguments = ["predict", str(GF.data_path), "--sequence", "GF", "--cell", "240,9,7,90,90,90"]
    assert main([*arguments, "-o", str(tmp_path / "out")]) == 1
    assert "cell edge 240.0 A is outside the trained" in capsys.readouterr().err


def test_what_is_small_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> float:
        raise AssertionError

    monkeypatch.setattr(memory, "available_memory", fail)
    check_memory(1e8, "x", "y")
    assert main(["info", str(GF.data_path), "--json", "-q"]) == 0
