"""A search kept on disk goes on as if it had never stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import gemmi
import numpy as np
import pytest
import torch

from crysformer.crystal.reflections import CrystalData
from crysformer.errors import InputError
from crysformer.peptide.geometry import build_peptides
from crysformer.peptide.model import PeptideModel
from crysformer.phasing import checkpoint as checkpoint_module
from crysformer.phasing.checkpoint import STATE, Checkpoint, data_hash
from crysformer.phasing.problem import phasing_problem
from crysformer.phasing.random_starts.method import RandomStartSettings
from crysformer.phasing.search import Search
from crysformer.phasing.settings import SolveSettings
from crysformer.phasing.solver import solve
from crysformer.phasing.strategy import Turn

SETTINGS = SolveSettings(random_starts=RandomStartSettings(first_starts=4, max_starts=4))


def no_structure(seed: int = 0) -> CrystalData:
    """Amplitudes that no search will ever be convinced by."""
    cell = gemmi.UnitCell(8.3, 7.1, 5.9, 90, 90, 90)
    hkl = gemmi.make_miller_array(cell, gemmi.SpaceGroup("P 1"), 1.5).astype(np.int32)
    fall_off = np.exp(-0.25 * 30 * cell.calculate_1_d2_array(hkl))
    f = 30 * fall_off * np.random.default_rng(seed).rayleigh(size=len(hkl))
    return CrystalData(cell, gemmi.SpaceGroup("P 1"), hkl, f, 0.01 * f, source="noise.mtz")


def make_search(data: CrystalData, seed: int = 0, method: str = "raar") -> Search:
    return Search(phasing_problem(data, ("VA",), 1), method, SETTINGS, np.inf, seed)


def one_turn(search: Search, checkpoint: Checkpoint | None = None) -> None:
    """One turn of the method that was asked for."""
    search.take(Turn(search.requested), checkpoint)


def checkpoint_of(
    folder: Path, data: CrystalData, sequence: str = "VA", copies: int = 1
) -> Checkpoint:
    problem = phasing_problem(data, (sequence,) if sequence else (), copies if sequence else None)
    return Checkpoint(folder / STATE, problem, {"seed": 0})


def test_a_resumed_search_finds_what_an_unbroken_one_finds(tmp_path: Path) -> None:
    data = no_structure()
    unbroken = make_search(data)
    one_turn(unbroken)
    one_turn(unbroken)
    first = make_search(data)
    one_turn(first)
    checkpoint_of(tmp_path, data).write(first)
    resumed = make_search(data, seed=99)  # the state knows better
    assert checkpoint_of(tmp_path, data).restore(resumed)
    assert resumed.starts == first.starts == 4
    kept = zip(resumed.pool.candidates, first.pool.candidates, strict=True)
    for one, other in kept:
        assert one.figures == other.figures
        assert one.confidence == other.confidence
        assert torch.equal(one.F, other.F)
        measured = resumed.problem.grid.measured
        assert torch.equal(one.model[measured], other.model[measured])
        assert (one.atoms is None) == (other.atoms is None)
        if one.atoms is not None and other.atoms is not None:
            assert torch.equal(one.atoms.frac, other.atoms.frac)
    one_turn(resumed)
    assert resumed.starts == unbroken.starts == 8
    assert resumed.method("raar").turns == unbroken.method("raar").turns == 2
    found, expected = (
        [c.figures for c in search.pool.candidates] for search in (resumed, unbroken)
    )
    assert found == expected
    assert any(one.atoms is not None for one in resumed.pool.candidates)


def test_a_method_that_is_finished_stays_so(tmp_path: Path) -> None:
    data = no_structure()
    first = make_search(data)
    one_turn(first)
    first.method("sequence").finished = True
    checkpoint_of(tmp_path, data).write(first)
    resumed = make_search(data)
    assert checkpoint_of(tmp_path, data).restore(resumed)
    assert resumed.method("sequence").finished
    assert not resumed.useful("sequence")
    # with other settings it may find something else
    other = Search(resumed.problem, "raar", SolveSettings(), np.inf)
    assert checkpoint_of(tmp_path, data).restore(other)
    assert not other.method("sequence").finished


def test_a_peptide_model_is_kept_whole(tmp_path: Path) -> None:
    data = no_structure()
    found = make_search(data)
    one_turn(found)
    peptides = build_peptides(("VA",))
    rng = np.random.default_rng(0)
    n = len(peptides.names)
    F = np.where(np.arange(len(data)) == 5, np.nan, rng.random(len(data)) * np.exp(2j))
    model = PeptideModel(
        peptides, rng.random((n, 3)), rng.random(n), data.cell, data.space_group, F, {"P 1": 0.5},
        waters=rng.random((2, 3)), waters_b=rng.random(2),
    )  # fmt: skip
    assert found.best is not None
    with_model = make_search(data)
    with_model.pool.add([replace(found.best, peptide=model)])
    checkpoint_of(tmp_path, data).write(with_model)
    other = make_search(data)
    assert checkpoint_of(tmp_path, data).restore(other)
    assert other.best is not None
    kept = other.best.peptide
    assert kept is not None
    np.testing.assert_array_equal(kept.xyz, model.xyz)
    np.testing.assert_array_equal(kept.b_iso, model.b_iso)
    np.testing.assert_array_equal(kept.F, model.F)
    np.testing.assert_array_equal(kept.waters, model.waters)
    np.testing.assert_array_equal(kept.waters_b, model.waters_b)
    assert kept.agreement == model.agreement
    assert kept.to_structure().make_pdb_string() == model.to_structure().make_pdb_string()


def test_turns_are_kept_as_they_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = no_structure()
    found, checkpoint = make_search(data), checkpoint_of(tmp_path, data)
    one_turn(found, checkpoint)
    assert not checkpoint.path.exists()  # not a while ago
    monkeypatch.setattr(checkpoint_module, "_INTERVAL", 0.0)
    one_turn(found, checkpoint)
    assert checkpoint.path.exists()
    other = make_search(data)
    assert checkpoint_of(tmp_path, data).restore(other)
    assert other.method("raar").turns == 2
    assert [path.name for path in tmp_path.iterdir()] == [STATE]


def test_another_crystal_is_refused(tmp_path: Path) -> None:
    data = no_structure()
    found = make_search(data)
    one_turn(found)
    checkpoint_of(tmp_path, data).write(found)
    cases = [
        (checkpoint_of(tmp_path, no_structure(1)), "other reflection data"),
        (checkpoint_of(tmp_path, replace(data, f=1.001 * data.f)), "other reflection data"),
        (checkpoint_of(tmp_path, data, sequence="AV"), "the sequence VA, not AV"),
        (checkpoint_of(tmp_path, data, sequence=""), "the sequence VA, not unknown"),
        (checkpoint_of(tmp_path, data, copies=2), "the copies 1, not 2"),
    ]
    for checkpoint, message in cases:
        with pytest.raises(InputError, match=message) as caught:
            checkpoint.restore(make_search(data))
        assert "\n" not in str(caught.value)
        assert STATE in str(caught.value)


def test_files_that_are_no_state(tmp_path: Path) -> None:
    data = no_structure()
    checkpoint = checkpoint_of(tmp_path, data)
    assert not checkpoint.restore(make_search(data))
    found = make_search(data)
    one_turn(found)
    checkpoint.write(found)
    whole = checkpoint.path.read_bytes()
    for content in (b"", b"nonsense", whole[: len(whole) // 2], whole[:-1]):
        checkpoint.path.write_bytes(content)
        with pytest.raises(InputError, match="not a readable state"):
            checkpoint.restore(make_search(data))


def test_the_state_of_another_version_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = no_structure()
    found, checkpoint = make_search(data), checkpoint_of(tmp_path, data)
    one_turn(found)
    monkeypatch.setattr(checkpoint_module, "_FORMAT", 3)
    checkpoint.write(found)
    monkeypatch.undo()
    with pytest.raises(InputError, match=r"another version of crysformer \(format 3, expected 4\)"):
        checkpoint.restore(make_search(data))


def test_the_hash_is_of_all_that_was_measured() -> None:
    data = no_structure()
    assert data_hash(data) == data_hash(replace(data, source="elsewhere.mtz"))
    others = [
        replace(data, f=np.where(np.arange(len(data)) == 3, np.nan, data.f)),
        replace(data, sigf=None),
        replace(data, radiation="electron"),
        replace(data, cell=gemmi.UnitCell(8.3, 7.1, 5.91, 90, 90, 90)),
    ]
    assert len({data_hash(x) for x in (data, *others)}) == 5


def test_solve_counts_all_its_runs(tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "method": "charge-flipping", "time_limit": 0.1, "settings": SETTINGS
    }  # fmt: skip
    data, path = no_structure(), tmp_path / STATE
    first = solve(data, "VA", copies=1, state=path, **options)
    second = solve(data, "VA", copies=1, state=path, resume=True, **options)
    assert second.starts > first.starts > 0
    assert second.seconds > first.seconds
    assert second.confidence >= first.confidence
    assert any(note.startswith("resumed after ") for note in second.notes)
    afresh = solve(data, "VA", copies=1, state=path, **options)
    assert not any(note.startswith("resumed after ") for note in afresh.notes)
    assert second.to_summary()["starts"] == second.starts


def test_a_solved_crystal_is_only_placed_again(
    tmp_path: Path, dipeptide: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    crystal, path = dipeptide(0), tmp_path / STATE
    first = solve(crystal.data, "VA", state=path, time_limit=300)
    assert first.solved

    def again(*rest: Any) -> None:
        raise AssertionError("searched again")

    monkeypatch.setattr(Search, "take", again)
    second = solve(crystal.data, "VA", state=path, resume=True, time_limit=300)
    assert second.solved
    assert second.starts == first.starts
    assert crystal.compare_phases(second.phi).mean < 20


@pytest.mark.skipif(os.name != "posix", reason="sends a POSIX signal")
def test_a_killed_run_resumes(tmp_path: Path) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import test_checkpoint\n"
        "from crysformer.phasing import checkpoint\n"
        "checkpoint._INTERVAL = 0.0\n"
        "test_checkpoint.solve(test_checkpoint.no_structure(), 'VA', copies=1, time_limit=100,"
        " method='charge-flipping', state=sys.argv[2], settings=test_checkpoint.SETTINGS)\n"
    )
    path = tmp_path / STATE
    folder = str(Path(__file__).parent)
    process = subprocess.Popen([sys.executable, "-c", script, folder, str(path)])
    end = time.monotonic() + 60
    while time.monotonic() < end:  # the first state, of the beginning, has no candidates
        if path.exists() and path.stat().st_size > 20_000:
            break
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=30)
    found = solve(
        no_structure(), "VA", copies=1, time_limit=0.1, method="charge-flipping", state=path,
        resume=True, settings=SETTINGS,
    )  # fmt: skip
    assert found.starts > 4
    assert any(note.startswith("resumed after ") for note in found.notes)
