"""A solution that is interrupted leaves the best so far, and goes on from there."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest

from crysformer.cli import main
from crysformer.crystal.io.write import write_phases
from crysformer.crystal.reflections import CrystalData
from crysformer.phasing import conclusion
from crysformer.phasing.search import Search
from crysformer.workflow import solve as workflow

RESULTS = ["crysformer.log", "solution.ccp4", "solution.mtz", "state.safetensors", "summary.json"]


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Amplitudes that convince no method."""
    cell = gemmi.UnitCell(8.3, 7.1, 5.9, 90, 90, 90)
    hkl = gemmi.make_miller_array(cell, gemmi.SpaceGroup("P 1"), 1.5).astype(np.int32)
    f = 30 * np.exp(-7 * cell.calculate_1_d2_array(hkl))
    f = f * np.random.default_rng(0).rayleigh(size=len(hkl))
    path: Path = tmp_path_factory.mktemp("noise") / "noise.mtz"
    data = CrystalData(cell, gemmi.SpaceGroup("P 1"), hkl, f, 0.01 * f)
    write_phases(path, data, f, 0 * f, 0 * f)
    return path


def command(data: Path, out: Path, *more: str) -> list[str]:
    settings = out.parent / "settings.toml"
    settings.write_text("[random_starts]\nfirst_starts = 4\nmax_starts = 4\n")
    return [
        "solve", str(data), "-o", str(out), "--method", "charge-flipping", "-q", "--json",
        "--settings", str(settings), *more,
    ]  # fmt: skip


def signalling(
    function: Callable[..., Any], number: signal.Signals, call: int, before: bool
) -> Callable[..., Any]:
    """Function that receives a signal in one of its calls."""
    calls = []

    def changed(*args: Any, **options: Any) -> Any:
        calls.append(1)
        if before and len(calls) == call:
            signal.raise_signal(number)
        found = function(*args, **options)
        if not before and len(calls) == call:
            signal.raise_signal(number)
        return found

    return changed


PLACES = {
    "second turn": (Search, "take", 2, True),
    "after a turn": (Search, "take", 1, False),
    "placing": (conclusion, "to_crystal_setting", 1, True),
    "refining": (workflow, "with_refined_model", 1, True),
    "writing": (workflow, "write_solution", 1, True),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_best_so_far_is_written(
    noise: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    place: str,
    number: signal.Signals,
    status: int,
) -> None:
    owner, name, call, before = PLACES[place]
    out = tmp_path / "out"
    limit = "0.3" if place in ("placing", "refining", "writing") else "60"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(owner, name, signalling(getattr(owner, name), number, call, before))
        assert main(command(noise, out, "--time-limit", limit)) == status
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1
    assert error[0].endswith(
        f"the best candidate and the state are in {out}; pass --resume to go on"
    )
    assert sorted(path.name for path in out.iterdir()) == RESULTS
    first = json.loads((out / "summary.json").read_text())
    assert gemmi.read_mtz_file(str(out / "solution.mtz")).nreflections > 100
    assert main(command(noise, out, "--time-limit", "0.3", "--resume")) == 0
    second = json.loads(capsys.readouterr().out)
    assert second["starts"] > first["starts"] > 0
    assert second["confidence"] >= first["confidence"]


def test_before_the_first_candidate_the_state_is_kept(
    noise: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Search, "take", signalling(Search.take, signal.SIGINT, 1, before=True))
        assert main(command(noise, out)) == 130
    assert "no candidate was found yet; the state is kept" in capsys.readouterr().err
    assert sorted(path.name for path in out.iterdir()) == ["crysformer.log", "state.safetensors"]
    assert main(command(noise, out, "--time-limit", "0.3", "--resume")) == 0
    assert any(n.startswith("resumed after") for n in json.loads(capsys.readouterr().out)["notes"])


def test_resuming_from_nothing_says_so(
    noise: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(noise, tmp_path / "out", "--time-limit", "0.3", "--resume")) == 0
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert "no state.safetensors to resume from: the search started anew" in notes


@pytest.mark.parametrize("place", ["placing", "writing"])
def test_no_report_of_earlier_phases_stays(noise: Path, tmp_path: Path, place: str) -> None:
    out = tmp_path / "out"
    assert main(command(noise, out, "--time-limit", "0.3")) == 0
    assert {"report.html", "density.png"} <= {path.name for path in out.iterdir()}
    owner, name, call, before = PLACES[place]
    with pytest.MonkeyPatch.context() as patched:
        interrupted = signalling(getattr(owner, name), signal.SIGTERM, call, before)
        patched.setattr(owner, name, interrupted)
        assert main(command(noise, out, "--time-limit", "0.3", "--overwrite")) == 143
    assert sorted(path.name for path in out.iterdir()) == RESULTS
