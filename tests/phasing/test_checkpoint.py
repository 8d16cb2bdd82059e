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
from crysformer.phasing import candidate_pool as search_module
from crysformer.phasing import checkpoint as state_module
from crysformer.phasing.candidate_pool import Search
from crysformer.phasing.cell_content import cell_content
from crysformer.phasing.checkpoint import STATE, SavedSearch, data_hash
from crysformer.phasing.p1_grid import p1_grid
from crysformer.phasing.solver import solve


def no_structure(seed: int = 0) -> CrystalData:
    """Amplitudes that no search will ever be convinced by."""
    cell = gemmi.UnitCell(8.3, 7.1, 5.9, 90, 90, 90)
    hkl = gemmi.make_miller_array(cell, gemmi.SpaceGroup("P 1"), 1.5).astype(np.int32)
    fall_off = np.exp(-0.25 * 30 * cell.calculate_1_d2_array(hkl))
    f = 30 * fall_off * np.random.default_rng(seed).rayleigh(size=len(hkl))
    return CrystalData(cell, gemmi.SpaceGroup("P 1"), hkl, f, 0.01 * f, source="noise.mtz")


def make_search(data: CrystalData, seed: int = 0) -> Search:
    generator = torch.Generator().manual_seed(seed)
    return Search(p1_grid(data), cell_content(data, ("VA",)), generator, np.inf)


def saved(folder: Path, data: CrystalData, sequence: str = "VA", copies: int = 1) -> SavedSearch:
    return SavedSearch(folder / STATE, data, (sequence,), copies, {"seed": 0})


@pytest.fixture(autouse=True)
def few_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_module, "_FIRST_STARTS", 4)
    monkeypatch.setattr(search_module, "_MAX_STARTS", 4)


def test_a_resumed_search_finds_what_an_unbroken_one_finds(tmp_path: Path) -> None:
    data = no_structure()
    unbroken = make_search(data)
    unbroken.run(np.inf, rounds=2)
    first = make_search(data)
    first.run(np.inf, rounds=1)
    saved(tmp_path, data).write(first)
    resumed = make_search(data, seed=99)  # the state knows better
    assert saved(tmp_path, data).restore(resumed)
    assert resumed.starts == first.starts
    assert [c.figures for c in resumed.best] == [c.figures for c in first.best]
    for one, other in zip(resumed.best, first.best, strict=True):
        assert torch.equal(one.F, other.F)
        measured = resumed.problem.measured
        assert torch.equal(one.model[measured], other.model[measured])
        assert (one.atoms is None) == (other.atoms is None)
        if one.atoms is not None and other.atoms is not None:
            assert torch.equal(one.atoms.frac, other.atoms.frac)
    resumed.run(np.inf, rounds=1)
    assert (resumed.starts, resumed.rounds) == (unbroken.starts, unbroken.rounds)
    assert [c.figures for c in resumed.best] == [c.figures for c in unbroken.best]
    assert any(one.atoms is not None for one in resumed.best)


def test_a_peptide_model_is_kept_whole(tmp_path: Path) -> None:
    data = no_structure()
    found = make_search(data)
    found.flipping_round(0)
    peptides = build_peptides(("VA",))
    rng = np.random.default_rng(0)
    n = len(peptides.names)
    F = np.where(np.arange(len(data)) == 5, np.nan, rng.random(len(data)) * np.exp(2j))
    model = PeptideModel(
        peptides, rng.random((n, 3)), rng.random(n), data.cell, data.space_group, F, {"P 1": 0.5},
        waters=rng.random((2, 3)), waters_b=rng.random(2),
    )  # fmt: skip
    found.best = [replace(found.best[0], peptide=model)]
    saved(tmp_path, data).write(found)
    other = make_search(data)
    assert saved(tmp_path, data).restore(other)
    kept = other.best[0].peptide
    assert kept is not None
    np.testing.assert_array_equal(kept.xyz, model.xyz)
    np.testing.assert_array_equal(kept.b_iso, model.b_iso)
    np.testing.assert_array_equal(kept.F, model.F)
    np.testing.assert_array_equal(kept.waters, model.waters)
    np.testing.assert_array_equal(kept.waters_b, model.waters_b)
    assert kept.agreement == model.agreement
    assert kept.to_structure().make_pdb_string() == model.to_structure().make_pdb_string()


def test_rounds_are_kept_as_they_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = no_structure()
    found, keeper = make_search(data), saved(tmp_path, data)
    found.keep = keeper.keep
    found.run(np.inf, rounds=1)
    assert not keeper.path.exists()  # not a while ago
    monkeypatch.setattr(state_module, "_INTERVAL", 0.0)
    found.run(np.inf, rounds=1)
    assert keeper.path.exists()
    other = make_search(data)
    assert saved(tmp_path, data).restore(other)
    assert other.rounds == 2
    assert [path.name for path in tmp_path.iterdir()] == [STATE]


def test_another_crystal_is_refused(tmp_path: Path) -> None:
    data = no_structure()
    found = make_search(data)
    found.flipping_round(0)
    saved(tmp_path, data).write(found)
    cases = [
        (saved(tmp_path, no_structure(1)), "other reflection data"),
        (saved(tmp_path, replace(data, f=1.001 * data.f)), "other reflection data"),
        (saved(tmp_path, data, sequence="AV"), "the sequence VA, not AV"),
        (saved(tmp_path, data, sequence=""), "the sequence VA, not unknown"),
        (saved(tmp_path, data, copies=2), "the copies 1, not 2"),
    ]
    for keeper, message in cases:
        with pytest.raises(InputError, match=message) as caught:
            keeper.restore(make_search(data))
        assert "\n" not in str(caught.value)
        assert STATE in str(caught.value)


def test_files_that_are_no_state(tmp_path: Path) -> None:
    data = no_structure()
    keeper = saved(tmp_path, data)
    assert not keeper.restore(make_search(data))
    found = make_search(data)
    found.flipping_round(0)
    keeper.write(found)
    whole = keeper.path.read_bytes()
    for content in (b"", b"nonsense", whole[: len(whole) // 2], whole[:-1]):
        keeper.path.write_bytes(content)
        with pytest.raises(InputError, match="not a readable state"):
            keeper.restore(make_search(data))


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
    options: dict[str, Any] = {"method": "charge-flipping", "time_limit": 0.1}
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
    monkeypatch.undo()  # as many starts as ever
    crystal, path = dipeptide(0), tmp_path / STATE
    first = solve(crystal.data, "VA", state=path, time_limit=300)
    assert first.solved

    def again(*rest: Any) -> None:
        raise AssertionError("searched again")

    monkeypatch.setattr(Search, "flipping_round", again)
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
        " method='charge-flipping', state=sys.argv[2])\n"
    )
    path = tmp_path / STATE
    folder = str(Path(__file__).parent)
    process = subprocess.Popen([sys.executable, "-c", script, folder, str(path)])
    end = time.monotonic() + 60
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=30)
    found = solve(
        no_structure(), "VA", copies=1, time_limit=0.1, method="charge-flipping", state=path,
        resume=True,
    )  # fmt: skip
    assert found.starts > 4
    assert any(note.startswith("resumed after ") for note in found.notes)
