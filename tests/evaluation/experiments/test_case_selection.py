"""Crystals chosen by rank."""

from __future__ import annotations

import pytest

from crysformer.errors import UsageError
from crysformer.evaluation.experiments.case_selection import DEFAULT_CASES, choose_cases


def test_cases_by_rank_residue_and_part_of_the_ranking() -> None:
    pc = [0.01 * ((37 * i) % 100) for i in range(100)]  # every value from 0 to 0.99 once
    sequences = ["AW" if i % 10 == 3 else "GA" for i in range(100)]
    cases = {c.kind: c for c in choose_cases(DEFAULT_CASES, pc, sequences)}
    assert tuple(cases) == DEFAULT_CASES
    ranked = sorted(pc, reverse=True)
    for case in cases.values():
        assert pc[case.index] == ranked[case.rank - 1]
        assert case.of == 100
    assert [cases[k].rank for k in DEFAULT_CASES[1:]] == [11, 18, 31, 50, 75, 90]
    best = max(value for value, s in zip(pc, sequences, strict=True) if "W" in s)
    assert pc[cases["trp"].index] == best
    assert "tryptophan" in cases["trp"].text()
    assert cases["90%"].text() == "rank 90 of 100 by PC, 90 % down the list"


def test_ranks_beyond_the_end_and_repeated_ones_are_left_out() -> None:
    cases = choose_cases(["trp", "1", "50%", "4", "1%"], [0.5, 0.9, 0.1], ["GA", "AA", "GG"])
    assert [(c.kind, c.index, c.rank) for c in cases] == [("1", 1, 1), ("50%", 0, 2)]


@pytest.mark.parametrize("kind", ["", "0", "0%", "101%", "best", "-1", "1.5"])
def test_other_kinds_are_refused(kind: str) -> None:
    with pytest.raises(UsageError, match="no kind of case"):
        choose_cases([kind], [0.5], ["GA"])
