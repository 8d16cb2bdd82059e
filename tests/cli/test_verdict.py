"""What `crysformer solve` prints of a solution."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from crysformer.cli import main
from crysformer.cli._verdict import candidates_table, figures_table, model_line
from crysformer.testing import sample

REAL = sample("5e5z")
SEQUENCE_FIGURES = {
    "r": 0.1514, "correlation": 0.81, "overlap": 0.2, "log_likelihood_gain": 0.4204,
    "z_free_correlation": 6.5, "reflections_per_parameter": 4.2, "noise": 0.03,
}  # fmt: skip
DENSITY_FIGURES = {"r": 0.0514, "free_correlation": 0.8, "noise": 0.03, "reflections_per_volume": 1}


def summary(refinement: dict[str, Any] | None = None) -> dict[str, Any]:
    figures = (("sequence", 0.99, SEQUENCE_FIGURES), ("raar", 0.1, DENSITY_FIGURES))
    return {
        "refinement": refinement,
        "candidates": [{"method": m, "confidence": c, "figures": f} for m, c, f in figures],
    }


def test_every_figure_has_a_name_a_value_and_a_range() -> None:
    refinement = {"r_work": 0.1, "r_free": 0.2, "r_free_error": 0.01, "n_free": 50}
    head, *lines = figures_table(summary(refinement))
    assert head.split(maxsplit=2) == ["figure", "value", "of right solutions"]
    value, usual = head.index("value"), head.index("of right")
    shown = {line[:value].strip(): line[value:usual].strip() for line in lines}
    assert shown == {
        "R-work": "0.100",
        "R-free": "0.200 +- 0.010",
        "R factor of the phases": "0.151",
        "free correlation / sigma": "6.500",
        "likelihood gain": "0.420",
    }
    assert all(line[usual - 1] == " " != line[usual] for line in lines)


def test_r_factors_of_few_free_reflections_are_those_of_the_folds() -> None:
    fold = {"folds": 5, "r_work": 0.11, "r_free": 0.3, "r_free_error": 0.02}
    given = {"r_work": 0.1, "r_free": 0.2, "r_free_error": 0.1, "n_free": 9, "r_free_k_fold": fold}
    work, free = figures_table(summary(given))[1:3]
    assert work.split()[:2] == ["R-work", "0.110"]
    assert free.split()[:5] == ["R-free,", "5-fold", "0.300", "+-", "0.020"]


def test_without_free_reflections_and_without_candidates() -> None:
    assert "R-free" not in "".join(figures_table(summary({"r_work": 0.1, "r_free": None})))
    assert figures_table({"refinement": None, "candidates": []}) == []


def test_candidates_of_different_methods_share_columns() -> None:
    title, head, first, second = candidates_table(summary())
    assert title == "candidates, best first:"
    assert first.split() == ["sequence", "0.99", "0.151", "6.500", "0.420"]
    assert second.split() == ["raar", "0.10", "0.051", "0.800"]
    for name, row, value in (
        ("confidence", first, "0.99"), ("R factor", second, "0.051"),
        ("free correlation", second, "0.800"), ("likelihood gain", first, "0.420"),
    ):  # fmt: skip
        end = head.index(name) + len(name)
        assert row[:end].endswith(value)


def test_a_model_that_was_not_built_gives_the_reason() -> None:
    built = {
        "r_work": 0.1, "r_free": None, "n_residues": 1, "n_chains": 1, "n_waters": 2,
        "mean_b": 4.0, "program": "servalcat", "seconds": 3.0,
    }  # fmt: skip
    assert model_line(built) == (
        "model: Rwork 0.100, no free reflections; 1 residue in 1 chain, 2 waters, mean B 4.0 A^2, "
        "servalcat, 3.0 s"
    )


def test_one_confidence_is_printed_and_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    argv = ["solve", str(REAL.data_path), "--method", "charge-flipping", "--time-limit", "0.3"]
    assert main([*argv, "--no-report", "-o", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    written = json.loads((out / "summary.json").read_text())
    confidence = f"{written['confidence']:.2f}"
    assert lines[0].startswith(f"solved: no (confidence {confidence}), method charge-flipping, ")
    best = lines[lines.index("candidates, best first:") + 2]
    assert best.split()[:2] == ["charge-flipping", confidence]
    assert written["candidates"][0]["confidence"] == written["confidence"]
