import csv
from pathlib import Path

import numpy as np
import pytest

from crysformer.building.tracing.acceptance import features, probability
from crysformer.building.tracing.settings import TracingSettings

ACCEPTED = TracingSettings().accepted
FOLDER = Path(__file__).parents[3] / "benchmarks"


def rows_of(name: str) -> list[dict[str, str]]:
    with (FOLDER / name).open(newline="") as file:
        return [r for r in csv.DictReader(file, delimiter="\t") if r["backbone"] != "nan"]


def figures_of(rows: list[dict[str, str]]) -> list[tuple[float, float, int]]:
    return [
        (float(r["amplitude_correlation"]), float(r["least_residue"]), int(r["n_atoms"]))
        for r in rows
    ]


def is_right(rows: list[dict[str, str]]) -> np.ndarray:
    return np.array([float(r["backbone"]) <= 0.5 for r in rows])


def test_the_probability_rises_with_both_correlations_and_size() -> None:
    assert probability(0.9, 0.6, 40) > probability(0.7, 0.6, 40) > probability(0.7, 0.4, 40)
    assert probability(0.7, 0.6, 60) > probability(0.7, 0.6, 15)
    assert 0 < probability(-1.0, -1.0, 15) < probability(1.0, 1.0, 15) <= 1


def test_it_is_the_fit_to_the_stored_rows() -> None:
    from crysformer.evaluation.logistic import fit_logistic

    rows = rows_of("tracing-rows.tsv") + rows_of("tracing-measured-rows.tsv")
    figures, right = figures_of(rows), is_right(rows)
    fit = fit_logistic(np.array([features(*one) for one in figures]), right)
    expected = fit.probability(np.array([features(*one) for one in figures]))
    found = np.array([probability(*one) for one in figures])
    assert found == pytest.approx(expected, abs=0.01)
    assert not any(r["split"] == "test" for r in rows)
    random = np.array([r["error"] == "random" for r in rows])
    assert random.any()
    assert (found[random] < ACCEPTED / 2).all()
    # models without the cis bond of their crystal, in maps that are nearly exact
    trans = np.array([r["error"] == "10" and r["any_cis"] == "0" for r in rows]) & ~right
    assert trans.sum() > 50
    assert (found[trans] < ACCEPTED).mean() > 0.95


def test_crystals_with_solvent_and_errors() -> None:
    rows = rows_of("tracing-measured-rows.tsv")
    assert not {"IAPP", "GNNQQNY"} & {r["split"] for r in rows}  # which it is tried on
    accepted = np.array([probability(*one) >= ACCEPTED for one in figures_of(rows)])
    right = is_right(rows)
    assert (accepted & right).sum() > 0.7 * right.sum()
    assert (~right).sum() >= 25
    assert not (accepted & ~right).any()
