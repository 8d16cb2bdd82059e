"""The tables of results: they agree with their source, and outside entries get a row."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from crysformer.evaluation.runner import evaluate
from crysformer.testing import conformer_pairs, write_data_set

ROOT = Path(__file__).parents[1]
ABOUT = {
    "name": "A network", "date": "2026-11-28", "link": "https://x.org", "hardware": "a CPU",
    "command": "phase it",
}  # fmt: skip


@pytest.fixture(scope="module")
def make_results(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("docs/make_results.py")


def test_the_pages_agree_with_their_source(make_results: ModuleType) -> None:
    for path, text in make_results.pages().items():
        assert path.read_text(encoding="utf-8") == text, f"{path}: python docs/make_results.py"


def test_every_row_says_where_it_is_from() -> None:
    content = json.loads((ROOT / "results.json").read_text(encoding="utf-8"))
    for row in [*content["rows"], content["network"]]:
        measurement = content["measurements"][row["measurement"]]
        assert {"date", "version", "hardware", "command", "split"} <= set(measurement)
    network = content["network"]
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"PC {network['pc']:.3f} and a mean phase error of" in readme
    assert f"{network['mean_phase_error']:.1f}° in {network['seconds']:.1f} s" in readme


def test_metrics_of_evaluate_make_an_entry(make_results: ModuleType, tmp_path: Path) -> None:
    rows = [row for row in conformer_pairs() if row["split"] == "test"]
    data = write_data_set(tmp_path, "dipeptide", rows)
    metrics = evaluate(data, "random", limit=2).metrics()
    entry = make_results.entry_of(metrics, ABOUT)
    assert (
        entry["data_sha256"]
        == json.loads((data / "manifest.json").read_text())["hashes"]["fragments.parquet"]
    )
    better = {**entry, "name": "Better", "solved_share": 1.0}
    lines = make_results.leaderboard_table([entry, better]).splitlines()
    assert lines[2].startswith("| [Better](https://x.org) | 2026-11-28 | dipeptide | 1.5 Å | 2 |")
    assert f"| {entry['mean_phase_error']:.2f}° |" in lines[3]
    assert all(line.count("|") == lines[0].count("|") for line in lines)
    with pytest.raises(ValueError, match="train split"):
        make_results.entry_of({**metrics, "split": "train"}, ABOUT)
    with pytest.raises(ValueError, match="missing data_sha256"):
        make_results.entry_of({**metrics, "data_sha256": ""}, ABOUT)
    with pytest.raises(ValueError, match="missing link"):
        make_results.entry_of(metrics, {**ABOUT, "link": ""})


def test_a_changed_number_is_seen(make_results: ModuleType) -> None:
    content = json.loads((ROOT / "results.json").read_text(encoding="utf-8"))
    page = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    content["rows"][0]["parts"][0]["mean_phase_error_aligned"] += 1
    table = make_results.results_table(content, readme=False)
    assert make_results.replaced(page, "results", table) != page
    with pytest.raises(ValueError, match="found 0 times"):
        make_results.replaced("no marker", "results", table)
