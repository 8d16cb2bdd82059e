"""Evaluation over a test set: selection, means, files, the command."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from crysformer.cli import main
from crysformer.cli.evaluate import METHODS as CLI_METHODS
from crysformer.crystal.reflections import CrystalData
from crysformer.data import DIPEPTIDE
from crysformer.data.store import FragmentStore
from crysformer.data.synthetic.synthetic_crystal import synthetic_crystal
from crysformer.errors import CrysformerError, NotApplicable, UsageError
from crysformer.evaluation import methods
from crysformer.evaluation.data_quality import DataQuality
from crysformer.evaluation.methods import METHODS, Phasing, Settings
from crysformer.evaluation.runner import evaluate
from crysformer.evaluation.scoring import score
from crysformer.phasing.settings import SolveSettings


def test_the_command_offers_every_method() -> None:
    assert set(CLI_METHODS) == set(METHODS)


def test_random_phases_are_90_degrees_wrong(data_set: Path) -> None:
    metrics = evaluate(data_set, "random", split="test").metrics()
    assert metrics["mean_phase_error"] == pytest.approx(90, abs=4)
    assert abs(metrics["pc"]) < 0.25
    assert metrics["solved_share"] == 0
    assert metrics["pc_aligned"] > metrics["pc"]
    assert metrics["pc_better_hand"] >= metrics["pc"]
    assert "claimed_share" not in metrics


def test_limit_draws_by_the_seed(data_set: Path) -> None:
    def chosen(seed: int) -> list[str]:
        found = evaluate(data_set, "random", limit=3, settings=Settings(seed=seed))
        return [example.id for example in found.examples]

    assert chosen(1) == chosen(1)
    assert len(set(chosen(1))) == 3
    assert len({tuple(chosen(seed)) for seed in range(5)}) > 1


def test_verdicts_are_compared_with_the_truth(
    data_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overconfident(data: CrystalData, sequence: str, settings: Settings) -> Phasing:
        return Phasing(phi=np.zeros(len(data)), seconds=1.5, claimed=True, confidence=0.9)

    monkeypatch.setitem(methods.METHODS, "random", overconfident)
    metrics = evaluate(data_set, "random", limit=4).metrics()
    assert metrics["claimed_share"] == 1
    assert metrics["false_claims"] == 4 - 4 * metrics["solved_share"]
    assert metrics["seconds"] == 1.5


def test_crystals_a_method_cannot_do_count_as_unphased(
    data_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = {example.id: example for example in evaluate(data_set, "random", split="test").examples}
    calls = 0

    def picky(data: CrystalData, sequence: str, settings: Settings) -> Phasing:
        nonlocal calls
        calls += 1
        reason = "too wide" if calls == 1 else ""
        return Phasing(np.full(len(data), np.nan), seconds=0.0, not_applicable=reason)

    monkeypatch.setitem(methods.METHODS, "random", picky)
    metrics = evaluate(data_set, "random", split="test").metrics()
    assert metrics["n"] == len(truth)
    assert metrics["n_not_applicable"] == 1
    assert metrics["mean_phase_error_aligned"] == pytest.approx(90)
    assert metrics["pc_aligned"] == pytest.approx(0, abs=1e-9)
    calls = 0
    with pytest.raises(CrysformerError, match="random: too wide"):
        evaluate(data_set, "random", limit=1)


def test_polishing_improves_nearly_right_phases(data_set: Path) -> None:
    store = FragmentStore.open(data_set)
    table = store.table("test")
    crystals = {table.id[i]: synthetic_crystal(table, i, store.recipe) for i in range(len(table))}

    def disturbed(data: CrystalData, sequence: str, settings: Settings) -> Phasing:
        noise = np.random.default_rng(0).normal(0, 45, len(data))
        return Phasing(phi=crystals[data.source].phi_true + noise, seconds=0.0)

    settings = Settings()
    name, crystal = next(iter(crystals.items()))
    before = disturbed(crystal.data, crystal.sequence, settings)
    after = methods._polished(disturbed)(crystal.data, crystal.sequence, settings)
    assert name == crystal.data.source
    better, worse = score(crystal, after.phi, 1.5), score(crystal, before.phi, 1.5)
    assert better.pc > worse.pc + 0.1
    assert better.weighted_phase_error < worse.weighted_phase_error - 5


def test_data_quality_reaches_the_method(data_set: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[CrystalData] = []

    def spy(data: CrystalData, sequence: str, settings: Settings) -> Phasing:
        seen.append(data)
        return Phasing(phi=np.zeros(len(data)), seconds=0.0)

    monkeypatch.setitem(methods.METHODS, "random", spy)
    evaluation = evaluate(data_set, "random", limit=1, quality=DataQuality(2.0, 0.1, 0.7))
    (data,) = seen
    assert data.d.min() >= 2.0
    assert data.measured.mean() == pytest.approx(0.7, abs=0.01)
    shells = evaluation.metrics()["shells"]
    assert shells[-1]["d_min"] == pytest.approx(2.0)
    assert sum(shell["n"] for shell in shells) == data.measured.sum()


def test_weights_reach_the_network(data_set: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import crysformer.phasing.network.predict as network

    seen: list[object] = []

    def spy(
        data: CrystalData, sequence: str, weights: object, device: str, deadline: float
    ) -> None:
        seen.append(weights)
        raise NotApplicable("a test")

    monkeypatch.setattr(network, "predict", spy)
    with pytest.raises(CrysformerError, match="a test"):
        evaluate(data_set, "network", limit=1, settings=Settings(weights="own.safetensors"))
    assert seen == ["own.safetensors"]


def test_a_single_pass_gets_all_crystals_at_once(
    data_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import crysformer.phasing.network.predict as network

    seen: list[tuple[int, object]] = []

    def spy(crystals: list[object], weights: object, device: str) -> list[NotApplicable]:
        seen.append((len(crystals), weights))
        return [NotApplicable("a test") for _ in crystals]

    monkeypatch.setattr(network, "predict_once", spy)
    settings = Settings(weights="own.safetensors")
    with pytest.raises(CrysformerError, match="a test"):
        evaluate(data_set, "network-one-pass", limit=5, settings=settings)
    assert seen == [(5, "own.safetensors")]


@pytest.mark.slow
def test_a_single_pass_of_many_scores_like_one_at_a_time(data_set: Path) -> None:
    together = evaluate(data_set, "network-one-pass", limit=6)
    alone = evaluate(data_set, "network-one-pass", limit=6, run=METHODS["network-one-pass"])
    for one, other in zip(together.examples, alone.examples, strict=True):
        assert one.id == other.id
        assert one.score.pc == pytest.approx(other.score.pc, abs=1e-4)
        assert one.score.mean_phase_error == pytest.approx(other.score.mean_phase_error, abs=0.05)


def test_weights_reach_the_search_with_the_network(
    data_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import crysformer.phasing.solver as solver

    seen: list[str] = []

    def spy(*rest: object, settings: SolveSettings, **options: object) -> None:
        seen.append(settings.network.weights)
        raise NotApplicable("a test")

    monkeypatch.setattr(solver, "solve", spy)
    with pytest.raises(CrysformerError, match="a test"):
        evaluate(data_set, "network-search", limit=1, settings=Settings(weights="own.safetensors"))
    assert seen == ["own.safetensors"]


@pytest.mark.parametrize("quality", [(0.1, 0, 1), (1.5, -0.1, 1), (1.5, 0, 0), (1.5, 0, 1.1)])
def test_impossible_data_are_refused(quality: tuple[float, float, float]) -> None:
    with pytest.raises(UsageError, match="expected"):
        DataQuality(*quality)


def test_command_writes_table_figure_and_metrics(
    data_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "evaluation"
    argv = ["evaluate", "--data", str(data_set), "--method", "random", "--limit", "3"]
    assert main([*argv, "-o", str(out), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((out / "metrics.json").read_text())
    assert {"pc", "pc_aligned", "mean_phase_error", "mean_phase_error_aligned"} <= set(printed)
    assert {"weighted_phase_error_aligned", "solved_share", "n", "shells"} <= set(printed)
    with (out / "examples.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == printed["n"] == 3
    assert np.mean([float(row["pc"]) for row in rows]) == pytest.approx(printed["pc"])
    assert (out / "phase_error.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in out.iterdir()) == [
        "crysformer.log",
        "examples.csv",
        "metrics.json",
        "phase_error.png",
    ]
    assert main([*argv, "-o", str(out), "--overwrite", "-q"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"random: 3 crystals, solved {printed['solved_share']:.1%}, PC after ")
    assert f" {printed['pc_aligned']:.3f}, " in line


@pytest.mark.parametrize(
    ("options", "status", "message"),
    [
        (["--data", "nowhere"], 1, "manifest.json"),
        (["--limit", "0"], 2, "--limit is 0"),
        (["--completeness", "2"], 2, "--completeness is 2"),
        (["--method", "guessing"], 2, "invalid choice"),
        (["--weights", "own.safetensors"], 2, "--weights: random takes none"),
        (["--method", "network", "--weights", "none.safetensors"], 2, "none.safetensors"),
        (["--seed", "-1"], 2, "--seed: expected a whole number"),
    ],
)
def test_bad_requests_write_nothing(
    options: list[str],
    status: int,
    message: str,
    data_set: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    argv = ["evaluate", "--data", str(data_set), "--method", "random", "-o", str(out), *options]
    assert main(argv) == status
    captured = capsys.readouterr()
    assert len(captured.err.splitlines()) == 1
    assert message in captured.err
    assert not out.exists()


def test_a_crystal_of_too_few_amplitudes_is_counted_and_not_fatal(data_set: Path) -> None:
    table = FragmentStore.open(data_set).table("test")
    crystal = synthetic_crystal(table, 0, DIPEPTIDE, d_min=4.0)
    assert crystal.data.measured.sum() < 30
    phasing = METHODS["charge-flipping"](crystal.data, crystal.sequence, Settings())
    assert "too few" in phasing.not_applicable
    assert np.isnan(phasing.phi).all()
