"""The ranges of the figures, against the candidates that they were measured on."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from crysformer.report.html.words import KINDS, RANGES

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
#: Columns of the rows, where they have other names than the figures.
COLUMNS = {"log_likelihood_gain": "gap", "z_free_correlation": "free_z"}
#: Figures that are zero where they could not be computed.
ABSENT_AT_ZERO = COLUMNS.keys()
RIGHT = 0.85  # F^2-weighted mean cosine of the phase errors


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    found = []
    for name in ("confidence", "sequence", "measured"):
        with open(BENCHMARKS / f"{name}-rows.tsv", encoding="utf-8", newline="") as file:
            found += list(csv.DictReader(file, delimiter="\t"))
    return found


@pytest.mark.parametrize(("kind", "figure"), [(k, f) for k in KINDS for f in RANGES[k]])
def test_ranges_are_measured(kind: str, figure: str, rows: list[dict[str, str]]) -> None:
    column = COLUMNS.get(figure, figure)
    values = [
        (float(row[column]), float(row["cosine"])) for row in rows
        if row["kind"] == kind and row.get(column, "nan") != "nan"
    ]  # fmt: skip
    value, cosine = np.array(values).T
    if figure in ABSENT_AT_ZERO:
        value, cosine = value[value != 0], cosine[value != 0]
    for stated, of in zip(RANGES[kind][figure], (cosine >= RIGHT, cosine < RIGHT), strict=True):
        digits = len(stated.split(".")[-1])
        low, high = np.percentile(value[of], [5, 95])
        assert [float(x) for x in stated.split(" to ")] == [round(low, digits), round(high, digits)]
