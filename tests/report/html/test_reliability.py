"""How often a confidence was right, against the benchmarks that it was counted in."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from crysformer.report.html.reliability import RELIABILITY, reliability_section

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
RIGHT = 0.85  # F^2-weighted mean cosine of the phase errors


def test_the_counts_are_those_of_the_benchmarks() -> None:
    found = []
    for folder in ("regimes", "control"):
        with open(BENCHMARKS / folder / "results.tsv", encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file, delimiter="\t")
            found += [
                (float(row["confidence"]), float(row["cosine"]) >= RIGHT)
                for row in rows
                if row["method"] == "solve" and row["confidence"]
            ]
    counts = []
    for low, high, _, _ in RELIABILITY:
        inside = [right for x, right in found if low <= x < high or x == high == 1]
        counts.append((low, high, len(inside), sum(inside)))
    assert tuple(counts) == RELIABILITY


@pytest.mark.parametrize(
    ("confidence", "words"),
    [
        (0.0, "Of 257 benchmark crystals that ended with a confidence below 0.10, 5 had"),
        (0.5, "Of 36 benchmark crystals that ended with a confidence from 0.50 to 0.90, 24 had"),
        (1.0, "Of 188 benchmark crystals that ended with a confidence of 0.90 or more, 188 had"),
    ],
)
def test_the_own_range_is_named(confidence: float, words: str) -> None:
    section = reliability_section(confidence)
    assert words in section
    assert section.count("<strong>") == 1
