"""Rounds of charge flipping: what is kept, when they end, and that they repeat."""

import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import gemmi
import numpy as np
import pytest
import torch

from crysformer.crystal.comparison.compare import SOLVED_COSINE
from crysformer.crystal.reflections import CrystalData
from crysformer.phasing import candidate_pool as search
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.candidate_pool import CONVINCED, Search
from crysformer.phasing.cell_content import cell_content
from crysformer.phasing.dual_space import charge_flipping
from crysformer.phasing.dual_space import free_correlation as merit
from crysformer.phasing.problem import phase_problem


def make_search(
    data: CrystalData, sequence: str = "VA", seed: int = 0, deadline: float = np.inf
) -> Search:
    generator = torch.Generator().manual_seed(seed)
    return Search(phase_problem(data), cell_content(data, (sequence,)), generator, deadline)


def random_data(seed: int = 0) -> CrystalData:
    """Amplitudes of no structure, with the fall-off of one."""
    cell = gemmi.UnitCell(8.3, 7.1, 5.9, 90, 90, 90)
    hkl = gemmi.make_miller_array(cell, gemmi.SpaceGroup("P 1"), 1.5).astype(np.int32)
    fall_off = np.exp(-0.25 * 30 * cell.calculate_1_d2_array(hkl))
    f = 30 * fall_off * np.random.default_rng(seed).rayleigh(size=len(hkl))
    return CrystalData(cell, gemmi.SpaceGroup("P 1"), hkl, f, 0.01 * f)


class Clock(SimpleNamespace):
    """A clock that moves on by a second each time it is read."""

    def __init__(self) -> None:
        super().__init__(now=0.0)

    def monotonic(self) -> float:
        self.now += 1.0
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(search, "time", made)
    monkeypatch.setattr(charge_flipping, "time", made)
    return made


def test_a_tight_dipeptide_convinces(dipeptide: Callable[..., Any]) -> None:
    crystal = dipeptide(0)
    found = make_search(crystal.data)
    assert not found.convinced
    told: list[tuple[float, str]] = []
    found.deadline = 1e12
    found.run(1e12, lambda share, text: told.append((share, text)))
    assert found.convinced
    assert found.best[0].confidence >= CONVINCED
    comparison = crystal.compare(found.best[0].F)
    assert comparison.cosine2_aligned > SOLVED_COSINE
    assert comparison.mean_aligned < 25
    assert found.best[0].method == "raar"
    # one report a round, and it stopped at the round that convinced
    assert len(told) >= 1
    assert all(0 <= share <= 1 for share, _ in told)
    assert told[-1][1] == f"{found.starts} starts, confidence {found.best[0].confidence:.2f}"


def test_the_best_are_kept_in_order(dipeptide: Callable[..., Any]) -> None:
    found = make_search(dipeptide(0).data)

    def candidate(confidence: float, r: float, atoms: bool = False) -> Candidate:
        return Candidate(
            method="test",
            F=torch.zeros(1),
            model=torch.zeros(1),
            figures={"r": r},
            confidence=confidence,
            positive_fraction=0.2,
            atoms=object() if atoms else None,  # type: ignore[arg-type]
        )

    many = [candidate(0.05 * i, r=0.5) for i in range(12)]
    found.add(many[::2])
    found.add(many[1::2])
    kept = [one.confidence for one in found.best]
    assert kept == [one.confidence for one in many[:3:-1]]
    # as good as equal: atoms before density, then the lower R
    near = [candidate(0.991, 0.02), candidate(0.990, 0.05, True), candidate(0.989, 0.03, True)]
    found.add(near)
    assert found.best[:3] == [near[2], near[1], near[0]]


def test_no_round_begins_after_the_deadline(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[float] = []
    original = Search.flipping_round

    def spy(self: Search, index: int) -> None:
        assert index == len(begun)
        begun.append(clock.now)
        original(self, index)

    monkeypatch.setattr(Search, "flipping_round", spy)
    monkeypatch.setattr(search, "with_atoms", lambda *rest, **options: [])
    limit = 60.0
    found = make_search(random_data(), deadline=clock.now + limit)
    told: list[float] = []
    found.run(limit, lambda share, _: told.append(share), method="charge-flipping")
    assert not found.convinced
    assert len(begun) >= 2
    assert max(begun) < found.deadline <= clock.now
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert found.best


def test_what_disobeys_the_space_group_does_not_convince() -> None:
    found = make_search(random_data())
    asked = []

    def symmetry(candidate: Candidate) -> float:
        asked.append(candidate.confidence)
        return 0.25

    found.symmetry = symmetry
    plain = Candidate("test", torch.zeros(1), torch.zeros(1), {"r": 0.1}, 0.99, 0.2)
    found.add([plain, replace(plain, confidence=0.4), replace(plain, symmetry=1.0)])
    assert asked == [0.99]  # unpromising ones and those looked at before cost nothing
    assert sorted(one.confidence for one in found.best) == [0.99 * 0.25, 0.4, 0.99]
    assert found.convinced
    found.best = found.best[1:]
    assert not found.convinced


def test_out_of_time_at_once_still_gives_a_candidate(clock: Clock) -> None:
    found = make_search(random_data(), deadline=clock.now - 1)
    found.run(10.0)
    assert found.starts == 24
    assert found.best
    assert all(one.atoms is None for one in found.best)


def test_amplitudes_of_no_structure_do_not_convince() -> None:
    for seed in range(2):
        found = make_search(random_data(seed))
        found.flipping_round(0)
        assert not found.convinced
        assert found.best[0].confidence < 0.5


def test_same_seed_same_candidates(
    dipeptide: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_FIRST_STARTS", 5)
    data = dipeptide(1).data
    one, same, other = (make_search(data, "GK", seed) for seed in (3, 3, 4))
    for made in (one, same, other):
        made.flipping_round(0)
    assert [c.figures for c in one.best] == [c.figures for c in same.best]
    assert torch.equal(one.best[0].F, same.best[0].F)
    assert [c.figures for c in one.best] != [c.figures for c in other.best]


def test_starts_of_a_round_fit_the_cell(
    fifteen: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[int] = []

    def spy(problem: Any, F: torch.Tensor, *rest: Any) -> torch.Tensor:
        batches.append(len(F))
        return F

    monkeypatch.setattr(search, "charge_flipping", spy)
    monkeypatch.setattr(search, "settle", lambda *rest: [])
    for data, expected in ((random_data(), [24, 64]), (fifteen(0).data, [4, 4])):
        found = make_search(data, "VAGKTGTVIENNDKY" if expected == [4, 4] else "VA")
        batches.clear()
        for index in range(2):
            found.flipping_round(index)
        assert batches == expected
        assert found.starts == sum(expected)


def test_rating_of_a_huge_cell_ends_soon_after_the_deadline(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a clock by iterations: every map that is made takes a minute
    seconds = {"now": 0.0}
    original = charge_flipping.to_map

    def slow(*rest: Any) -> torch.Tensor:
        seconds["now"] += 60.0
        return original(*rest)

    still = SimpleNamespace(monotonic=lambda: seconds["now"])
    for module in (search, charge_flipping, merit):
        monkeypatch.setattr(module, "time", still)
    monkeypatch.setattr(charge_flipping, "to_map", slow)
    found = make_search(random_data(), deadline=100.0)
    found.run(100.0)
    assert found.best
    assert all(np.isfinite(one.confidence) for one in found.best)
    # one or two to flip, two to settle, two to rate: not the hundred of a full rating
    assert seconds["now"] <= 6 * 60
    assert found.rounds == 1


def test_rating_in_time_is_not_cut_short(dipeptide: Callable[..., Any]) -> None:
    data = dipeptide(0).data
    figures = []
    for deadline in (np.inf, time.monotonic() + 1e6):
        found = make_search(data, deadline=deadline)
        found.flipping_round(0)
        figures.append([one.figures for one in found.best])
    assert figures[0] == figures[1]


def test_both_methods_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[tuple[str, int]] = []
    monkeypatch.setattr(Search, "raar_round", lambda self, index: begun.append(("raar", index)))
    monkeypatch.setattr(
        Search, "flipping_round", lambda self, index: begun.append(("flipping", index))
    )

    def rounds(method: str) -> list[tuple[str, int]]:
        begun.clear()
        made = make_search(random_data())
        for _ in range(7):
            made.run(1.0, rounds=1, method=method)
        return list(begun)

    raar, flipping = ([(name, i) for i in range(7)] for name in ("raar", "flipping"))
    assert rounds("auto") == [*raar[:2], flipping[0], *raar[2:4], flipping[1], raar[4]]
    assert rounds("raar") == raar
    assert rounds("charge-flipping") == flipping


def test_raar_convinces_by_itself(dipeptide: Callable[..., Any]) -> None:
    crystal = dipeptide(0)
    found = make_search(crystal.data)
    found.deadline = 1e12
    found.run(1e12, method="raar")
    assert found.convinced
    assert found.best[0].method == "raar"
    assert crystal.compare(found.best[0].F).cosine2_aligned > SOLVED_COSINE
