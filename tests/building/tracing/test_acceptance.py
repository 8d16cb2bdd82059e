import csv
from pathlib import Path

import numpy as np
import pytest

from crysformer.building.tracing.acceptance import features, probability

ROWS = Path(__file__).parents[3] / "benchmarks" / "tracing-rows.tsv"


def test_the_probability_rises_with_both_correlations() -> None:
    assert probability(0.9, 0.6) > probability(0.7, 0.6) > probability(0.7, 0.4)
    assert 0 < probability(-1.0, -1.0) < probability(1.0, 1.0) <= 1


def test_it_is_the_fit_to_the_stored_rows() -> None:
    from crysformer.evaluation.logistic import fit_logistic

    with ROWS.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    figures = [(float(r["amplitude_correlation"]), float(r["least_residue"])) for r in rows]
    right = np.array([float(r["backbone"]) <= 0.5 for r in rows])
    fit = fit_logistic(np.array([features(*pair) for pair in figures]), right)
    expected = fit.probability(np.array([features(*pair) for pair in figures]))
    found = np.array([probability(*pair) for pair in figures])
    assert found == pytest.approx(expected, abs=0.01)
    assert not any(r["split"] == "test" for r in rows)
    random = np.array([r["error"] == "random" for r in rows])
    assert random.any()
    assert (found[random] < 0.5).all()
    # models without the cis bond of their crystal, in maps that are nearly exact
    trans = np.array([r["error"] == "10" and r["any_cis"] == "0" for r in rows]) & ~right
    assert trans.sum() > 50
    assert (found[trans] < 0.5).mean() > 0.95
