"""A search: what its turns cost, when they end, and that they repeat."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from crysformer.crystal.comparison.compare import SOLVED_COSINE
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import NotApplicable
from crysformer.phasing.problem import phasing_problem
from crysformer.phasing.random_starts import method as random_starts
from crysformer.phasing.random_starts.method import ChargeFlipping, RandomStartSettings
from crysformer.phasing.search import Search
from crysformer.phasing.sequence_search.method import SequenceSearch
from crysformer.phasing.settings import SolveSettings
from crysformer.phasing.strategy import Turn

FEW = SolveSettings(random_starts=RandomStartSettings(first_starts=5, max_starts=5))
RandomData = Callable[..., CrystalData]


def make_search(
    data: CrystalData,
    method: str = "auto",
    sequence: str = "VA",
    seed: int = 0,
    time_limit: float = math.inf,
    settings: SolveSettings | None = None,
    **options: Any,
) -> Search:
    problem = phasing_problem(data, (sequence,), 1)
    return Search(problem, method, settings or SolveSettings(), time_limit, seed, **options)


def one_turn(search: Search) -> None:
    """One turn of the method that was asked for."""
    search.take(Turn(search.requested))


def test_a_tight_dipeptide_convinces(dipeptide: Callable[..., Any]) -> None:
    crystal = dipeptide(0)
    told: list[tuple[float, str]] = []
    found = make_search(
        crystal.data, time_limit=300.0, progress=lambda used, text: told.append((used, text))
    )
    assert not found.convinced
    found.run()
    assert found.convinced
    best = found.best
    assert best is not None
    assert best.confidence >= found.settings.pool.convinced
    comparison = crystal.compare(best.F)
    assert comparison.cosine2_aligned > SOLVED_COSINE
    assert comparison.mean_aligned < 25
    assert best.method == "raar"
    # one report a turn, and it stopped at the turn that convinced
    assert len(told) >= 1
    assert all(0 <= used <= 1 for used, _ in told)
    assert told[-1][1] == f"raar: {found.starts} starts, best confidence {best.confidence:.2f}"


def test_no_turn_begins_after_the_deadline(
    random_data: RandomData, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = {"now": 0.0}
    monkeypatch.setattr(time, "monotonic", lambda: seconds["now"])
    begun: list[float] = []
    original = ChargeFlipping.advance

    def spy(self: ChargeFlipping, budget: Any) -> Any:
        begun.append(seconds["now"])
        found = original(self, budget)
        seconds["now"] += 25.0
        return found

    monkeypatch.setattr(ChargeFlipping, "advance", spy)
    told: list[float] = []
    found = make_search(
        random_data(), "charge-flipping", time_limit=60.0, settings=FEW,
        progress=lambda used, _: told.append(used),
    )  # fmt: skip
    found.run()
    assert not found.convinced
    assert begun == [0.0, 25.0, 50.0]
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert found.best


def test_out_of_time_at_once_still_gives_a_candidate(random_data: RandomData) -> None:
    found = make_search(random_data(), time_limit=-1.0)
    found.run()
    assert found.starts == 24
    assert found.pool.candidates
    assert all(one.atoms is None for one in found.pool.candidates)
    assert "sequence: not applicable (the time was up)" in found.notes
    assert "network: not applicable (too little time was left)" in found.notes


def test_amplitudes_of_no_structure_do_not_convince(random_data: RandomData) -> None:
    for seed in range(2):
        found = make_search(random_data(seed), "charge-flipping")
        one_turn(found)
        assert not found.convinced
        assert found.best is not None
        assert found.best.confidence < 0.5


def test_same_seed_same_candidates(dipeptide: Callable[..., Any]) -> None:
    data = dipeptide(1).data
    one, same, other = (
        make_search(data, "charge-flipping", "GK", seed, settings=FEW) for seed in (3, 3, 4)
    )
    for made in (one, same, other):
        one_turn(made)
    figures = [[c.figures for c in made.pool.candidates] for made in (one, same, other)]
    assert figures[0] == figures[1] != figures[2]
    assert one.best is not None
    assert same.best is not None
    assert torch.equal(one.best.F, same.best.F)


def test_draws_of_one_method_do_not_change_another(random_data: RandomData) -> None:
    """RAAR tries the same starts whether charge flipping ran before it or not."""
    alone = make_search(random_data(), "raar", settings=FEW)
    one_turn(alone)
    after = make_search(random_data(), "charge-flipping", settings=FEW)
    one_turn(after)
    after.requested = "raar"
    one_turn(after)
    figures = [c.figures for c in alone.pool.candidates if c.method == "raar"]
    kept = [c.figures for c in after.pool.candidates if c.method == "raar"]
    assert kept
    assert all(one in figures for one in kept)


def test_starts_of_a_batch_fit_the_cell(
    random_data: RandomData, fifteen: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []

    def spy(grid: Any, F: torch.Tensor, *rest: Any) -> torch.Tensor:
        batches.append(len(F))
        return F

    monkeypatch.setattr(random_starts, "charge_flipping", spy)
    monkeypatch.setattr(random_starts, "polish_by_density_modification", lambda *rest: [])
    for data, sequence, expected in (
        (random_data(), "VA", [24, 64]),
        (fifteen(0).data, "VAGKTGTVIENNDKY", [4, 4]),
    ):
        found = make_search(data, "charge-flipping", sequence)
        batches.clear()
        for _ in range(2):
            one_turn(found)
        assert batches == expected
        assert found.starts == sum(expected)


def test_rating_in_time_is_not_cut_short(dipeptide: Callable[..., Any]) -> None:
    data = dipeptide(0).data
    figures = []
    for limit in (math.inf, 1e6):
        found = make_search(data, "charge-flipping", time_limit=limit)
        found.pool.add(found.method("charge-flipping").advance(budget_of(found)))
        figures.append([one.figures for one in found.pool.candidates])
    assert figures[0] == figures[1]


def budget_of(search: Search) -> Any:
    from crysformer.phasing.budget import Budget

    generator = search.generator("charge-flipping")
    return Budget(search.deadline, search.deadline, generator)


def test_raar_convinces_by_itself(dipeptide: Callable[..., Any]) -> None:
    crystal = dipeptide(0)
    found = make_search(crystal.data, "raar")
    found.run()
    assert found.convinced
    assert found.best is not None
    assert found.best.method == "raar"
    assert crystal.compare(found.best.F).cosine2_aligned > SOLVED_COSINE


def test_a_refusal_in_the_middle_is_noted_once_and_not_repeated(
    random_data: RandomData, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def refuse(self: SequenceSearch, budget: Any) -> list[Any]:
        asked.append(1)
        raise NotApplicable("changed its mind")

    monkeypatch.setattr(SequenceSearch, "advance", refuse)
    found = make_search(random_data(), time_limit=2.0, settings=FEW)
    found.run()
    assert len(asked) == 1
    assert "sequence: not applicable (changed its mind)" in found.notes
    assert found.starts >= 5


def test_the_one_method_asked_for_is_refused_aloud_and_others_in_a_note(
    random_data: RandomData,
) -> None:
    with pytest.raises(NotApplicable, match=r"data to 1\.3 A"):
        make_search(random_data(), "fragments").run()
    auto = make_search(random_data(), time_limit=0.1)
    auto.run()
    assert [note for note in auto.notes if note.startswith("fragments: not applicable")]
    assert np.isfinite(auto.deadline)


def test_rating_of_a_huge_cell_ends_soon_after_the_deadline(
    random_data: RandomData, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a clock by iterations: every map that is made takes a minute
    seconds = {"now": 0.0}
    original = torch.fft.irfftn

    def slow(*rest: Any, **options: Any) -> torch.Tensor:
        seconds["now"] += 60.0
        return original(*rest, **options)

    found = make_search(random_data(), "charge-flipping")
    monkeypatch.setattr(time, "monotonic", lambda: seconds["now"])
    monkeypatch.setattr(torch.fft, "irfftn", slow)
    found.deadline = 100.0
    found.run()
    assert found.pool.candidates
    assert all(np.isfinite(one.confidence) for one in found.pool.candidates)
    # one or two to flip, two to polish, two to rate: not the hundred of a full rating
    assert seconds["now"] <= 6 * 60
    assert found.turns("charge-flipping") == 1
