"""Order and time of the methods, decided on a search that only pretends."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from crysformer.phasing.strategy import StrategySettings, Turn, auto, single


class Pretended:
    """A search whose turns cost what they are given, and find what is said."""

    def __init__(
        self,
        *,
        sequences: tuple[str, ...] = ("VA",),
        symmetric: bool = False,
        n_measured: int = 500,
        time_limit: float = 60.0,
        refused: tuple[str, ...] = ("sulphurs", "fragments"),
        convinces: str = "",
        groups: int = 1,
        d_min: float = 1.5,
        batch: float = 1.0,
    ) -> None:
        content = SimpleNamespace(sequences=sequences, copies=1)
        data = SimpleNamespace(measured=np.ones(n_measured, dtype=bool), d_min=d_min)
        self.problem: Any = SimpleNamespace(
            content=content, data=data, symmetric=symmetric, searched_groups=range(groups)
        )
        self.time_limit, self.refused, self.convinces = time_limit, refused, convinces
        self.batch = batch
        self.best: Any = None
        self.convinced = False
        self.now = 0.0
        self.taken: list[Turn] = []

    @property
    def done(self) -> bool:
        return self.convinced or (self.best is not None and self.seconds_left <= 0)

    @property
    def seconds_left(self) -> float:
        return self.time_limit - self.now

    def useful(self, method: str, least_seconds: float = 0.0) -> bool:
        return method not in self.refused and self.seconds_left >= least_seconds

    def turns(self, method: str) -> int:
        return sum(turn.method == method for turn in self.taken)

    def run(self, turns: Iterator[Turn], at_most: int = 1000) -> list[str]:
        for turn in turns:
            self.taken.append(turn)
            self.now += turn.seconds if turn.method == "sequence" else self.batch
            self.best = self.best or SimpleNamespace(peptide=None, method="test", confidence=0.0)
            if turn.method == self.convinces:
                self.convinced = True
            if len(self.taken) == at_most:
                break
        return [turn.method for turn in self.taken]


SETTINGS = StrategySettings()


def test_random_starts_come_first_and_raar_more_often() -> None:
    search = Pretended(refused=("sulphurs", "fragments", "sequence", "network"))
    methods = search.run(auto(search, SETTINGS), at_most=7)
    assert methods == ["raar", "raar", "charge-flipping"] * 2 + ["raar"]


def test_the_search_ends_with_the_turn_that_convinces() -> None:
    search = Pretended(convinces="raar")
    assert search.run(auto(search, SETTINGS)) == ["raar"]


def test_a_resumed_search_that_is_convinced_takes_no_turn() -> None:
    search = Pretended()
    search.convinced = True
    assert search.run(auto(search, SETTINGS)) == []


def test_longer_chains_in_p1_get_more_random_starts_first() -> None:
    def first_other(**options: Any) -> int:
        search = Pretended(**options)
        methods = search.run(auto(search, SETTINGS))
        return methods.index("sequence")

    assert first_other(sequences=("VAGKTG",)) == 3
    assert first_other(sequences=("VAGKT",)) == 1
    assert first_other(sequences=("VAGKTG",), symmetric=True) == 1
    assert first_other(sequences=()) == 1
    assert first_other(sequences=(), d_min=0.9) == 2


def test_sulphurs_and_fragments_share_a_fraction_of_the_time() -> None:
    search = Pretended(refused=("sequence", "network"), time_limit=101.0)
    methods = search.run(auto(search, SETTINGS), at_most=4)
    assert methods == ["raar", "sulphurs", "fragments", "raar"]
    assert search.taken[1].seconds == pytest.approx(60.0)
    assert search.taken[2].seconds == pytest.approx(59.0)  # the same end


def test_no_fragment_is_tried_where_sulphurs_are_enough() -> None:
    search = Pretended(refused=("sequence", "network"))
    for turn in auto(search, SETTINGS):
        search.taken.append(turn)
        confidence = SETTINGS.sulphurs_enough if turn.method == "sulphurs" else 0.1
        search.best = SimpleNamespace(peptide=None, method=turn.method, confidence=confidence)
        if len(search.taken) == 4:
            break
    assert [turn.method for turn in search.taken] == ["raar", "sulphurs", "raar", "charge-flipping"]


def test_both_groups_of_an_enantiomorphic_pair_get_their_time() -> None:
    search = Pretended(groups=2, time_limit=100.0)
    search.run(auto(search, SETTINGS))
    seconds = [turn.seconds for turn in search.taken if turn.method == "sequence"]
    assert seconds[:3] == [4.0, 8.0, 12.0]


def test_a_method_that_refuses_in_the_middle_is_left_alone() -> None:
    search = Pretended(time_limit=30.0)
    methods = []
    for turn in auto(search, SETTINGS):
        methods.append(turn.method)
        search.taken.append(turn)
        search.now += 1.0
        search.best = search.best or SimpleNamespace(peptide=None, method="raar", confidence=0.0)
        if turn.method == "sequence":
            search.refused = (*search.refused, "sequence")
    assert methods.count("sequence") == 1
    assert len(methods) > 20


def test_a_resumed_single_method_that_is_convinced_takes_no_turn() -> None:
    search = Pretended()
    search.convinced = True
    assert search.run(single("fragments", search, SETTINGS)) == []


def test_resumed_random_starts_go_on_in_their_order() -> None:
    search = Pretended(refused=("sulphurs", "fragments", "sequence", "network"))
    search.taken = [Turn("raar"), Turn("raar")]
    assert search.run(auto(search, SETTINGS), at_most=5)[2:] == ["charge-flipping", "raar", "raar"]


def test_the_sequence_search_takes_turns_with_random_starts_and_the_network() -> None:
    search = Pretended(time_limit=100.0)
    methods = search.run(auto(search, SETTINGS))
    assert methods.count("network") == 1
    at = methods.index("network")
    assert methods[:at].count("sequence") == SETTINGS.network_turn
    seconds = [turn.seconds for turn in search.taken if turn.method == "sequence"]
    assert seconds[:6] == [2.0, 4.0, 6.0, 8.0, 10.0, 10.0]
    beside = sum(m in ("raar", "charge-flipping") for m in methods[1:])
    assert beside / 100 == pytest.approx(SETTINGS.starts_fraction_p1, abs=0.1)
    other = Pretended(time_limit=100.0, symmetric=True)
    methods = other.run(auto(other, SETTINGS))
    beside = sum(m in ("raar", "charge-flipping") for m in methods[1:])
    assert beside / 100 == pytest.approx(SETTINGS.starts_fraction, abs=0.05)


def test_long_batches_of_random_starts_never_exceed_their_fraction() -> None:
    search = Pretended(
        time_limit=300.0, symmetric=True, batch=6.0, refused=("sulphurs", "fragments", "network")
    )
    search.run(auto(search, SETTINGS))
    elapsed, beside = 0.0, 0
    for turn in search.taken[1:]:
        own = turn.method != "sequence"
        beside += own
        elapsed += search.batch if own else turn.seconds
        assert search.batch * beside <= SETTINGS.starts_fraction * elapsed + 1e-9
    assert beside == 4


def test_the_network_is_not_asked_when_too_little_time_is_left() -> None:
    search = Pretended(time_limit=4.0)
    assert "network" not in search.run(auto(search, SETTINGS))


@pytest.mark.parametrize("method", ["raar", "charge-flipping", "network"])
def test_one_method_alone_takes_at_least_one_turn(method: str) -> None:
    late = Pretended(time_limit=-1.0)
    assert late.run(single(method, late, SETTINGS)) == [method]
    search = Pretended(time_limit=5.0)
    assert search.run(single(method, search, SETTINGS)) == [method] * 5


def test_a_method_that_is_finished_gets_no_further_turn() -> None:
    search = Pretended(refused=("fragments",))
    assert search.run(single("fragments", search, SETTINGS)) == ["fragments"]


class Bettered(Pretended):
    """A sequence search whose first turn convinces and whose later ones better it, or do not."""

    def __init__(self, better: list[bool], peptide: object, **options: Any) -> None:
        super().__init__(convinces="sequence", **options)
        self.better, self.peptide = better, peptide

    def run(self, turns: Iterator[Turn], at_most: int = 1000) -> list[str]:
        for turn in turns:
            if not self.taken or self.better[len(self.taken) - 1]:
                self.best = SimpleNamespace(peptide=self.peptide)
            self.taken.append(turn)
            self.convinced = True
        return [turn.method for turn in self.taken]


@pytest.mark.parametrize(
    ("n_measured", "better", "peptide", "further"),
    [
        (500, [True, True, True, True], "model", 3),
        (500, [True, False, True, True], "model", 2),
        (500, [False], "model", 1),
        (200, [True], "model", 0),
        (500, [True], None, 0),
    ],
)
def test_a_model_that_convinces_is_bettered_while_turns_help(
    n_measured: int, better: list[bool], peptide: object, further: int
) -> None:
    search = Bettered(better, peptide, n_measured=n_measured)
    assert len(search.run(single("sequence", search, SETTINGS))) == 1 + further


def test_no_further_turn_begins_after_the_deadline() -> None:
    search = Bettered([True], "model", time_limit=0.0)
    assert search.run(single("sequence", search, SETTINGS)) == ["sequence"]
