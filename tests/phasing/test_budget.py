"""Time and random numbers of a turn."""

from __future__ import annotations

import time

import pytest
import torch

from crysformer.phasing.budget import CLOSING, GRACE, Budget, method_generator


def test_rating_ends_soon_after_the_turn() -> None:
    budget = Budget(until=10.0, deadline=100.0, generator=torch.Generator())
    assert budget.rated_by == 10.0 + GRACE
    budget.report("nothing listens")


def test_seeds_and_names_make_different_generators() -> None:
    draws = {
        torch.rand(2, generator=method_generator(seed, name)).tolist()[0]
        for seed in range(3)
        for name in ("raar", "network")
    }
    assert len(draws) == 6


def test_from_the_deadline_on_there_is_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 99.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    budget = Budget(until=10.0, deadline=100.0, generator=torch.Generator())
    assert not budget.out_of_time  # a turn that is over may still compare what it found
    now = 100.5
    assert budget.out_of_time


def test_rating_and_closing_fit_into_what_is_promised() -> None:
    """The limit may be exceeded by 10 % and 5 s, of which single steps need a part."""
    assert GRACE <= CLOSING < 5.0
