"""What the schedule does after a method has found something."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from crysformer.phasing.strategy import Schedule


def schedule(n_measured: int, better: list[bool], peptide: object) -> tuple[Any, list[int]]:
    """A schedule whose turns of the sequence search better the best candidate, or do not."""
    turns: list[int] = []
    search = SimpleNamespace(best=[SimpleNamespace(peptide=peptide)], out_of_time=False)

    def place_sequence(*_: object) -> None:
        if better[len(turns)]:
            search.best = [SimpleNamespace(peptide=peptide)]
        turns.append(len(turns))

    search.place_sequence = place_sequence
    data: Any = SimpleNamespace(measured=np.ones(n_measured, dtype=bool))
    mapping: Any = None
    return Schedule("auto", data, mapping, search, 60.0), turns  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("n_measured", "better", "peptide", "turns"),
    [
        (500, [True, True, True, True], "model", 3),
        (500, [True, False, True, True], "model", 2),
        (500, [False], "model", 1),
        (200, [True], "model", 0),
        (500, [True], None, 0),
    ],
)
def test_a_model_that_convinces_is_bettered_while_turns_help(
    n_measured: int, better: list[bool], peptide: object, turns: int
) -> None:
    one, taken = schedule(n_measured, better, peptide)
    placing: Any = None
    one._improve(placing)
    assert len(taken) == turns


def test_no_turn_begins_after_the_deadline() -> None:
    one, taken = schedule(500, [True], "model")
    one.search.out_of_time = True
    placing: Any = None
    one._improve(placing)
    assert not taken
