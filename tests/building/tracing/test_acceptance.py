import csv
from pathlib import Path

import numpy as np
import pytest

from crysformer.building.tracing.acceptance import features, probability

ROWS = Path(__file__).parents[3] / "benchmarks" / "tracing-rows.tsv"


def test_the_probability_rises_with_both_correlations() -> None:
    assert probability(0.4, 0.9) > probability(0.4, 0.7) > probability(0.3, 0.7)
    assert 0 < probability(-1.0, -1.0) < probability(1.0, 1.0) <= 1


def test_it_is_the_fit_to_the_stored_rows() -> None:
    from crysformer.evaluation.logistic import fit_logistic

    with ROWS.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    correlations = [(float(r["map_correlation"]), float(r["amplitude_correlation"])) for r in rows]
    right = np.array([float(r["backbone"]) <= 0.5 for r in rows])
    fit = fit_logistic(np.array([features(*pair) for pair in correlations]), right)
    expected = fit.probability(np.array([features(*pair) for pair in correlations]))
    assert [probability(*pair) for pair in correlations] == pytest.approx(expected, abs=0.01)
    assert not any(r["split"] == "test" for r in rows)
    random = [p for p, r in zip(correlations, rows, strict=True) if r["error"] == "random"]
    assert random
    assert all(probability(*pair) < 0.5 for pair in random)
