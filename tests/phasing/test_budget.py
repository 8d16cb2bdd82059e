"""Time and random numbers of a turn."""

from __future__ import annotations

import torch

from crysformer.phasing.budget import GRACE, Budget, method_generator


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
