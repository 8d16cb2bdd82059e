"""Order and time of the methods: cheap ones first, until a candidate convinces."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from crysformer.peptide.chain import letters_of
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.problem import PhasingProblem
from crysformer.settings import setting


@dataclass(frozen=True)
class StrategySettings:
    """Order of the methods in `auto`, and the time that each gets."""

    raar_batches: int = setting(
        2, "Batches of RAAR before each of charge flipping, which solves less.", min=0
    )
    flipping_d_min: float = setting(
        1.2,
        "Resolution from which charge flipping solves more: then the two change places.",
        unit="A",
        min=0.0,
        max=5.0,
    )
    first_batches: int = setting(1, "Batches of random starts before the other methods.", min=1)
    first_batches_long: int = setting(
        3,
        "The same in P1 for more residues than `long_residues`, whose sequence search takes "
        "longer to begin than random starts to end.",
        min=1,
    )
    first_batches_unknown: int = setting(
        2,
        "The same without a sequence where charge flipping solves more: the second, longer batch "
        "solves small molecules, which fragments of peptides do not.",
        min=1,
    )
    long_residues: int = setting(5, "Residues in the asymmetric unit.", min=0)
    starts_fraction: float = setting(
        0.1,
        "Fraction of the time for random starts beside the sequence search, outside P1: symmetry "
        "makes that search smaller, and not theirs.",
        min=0.0,
        max=1.0,
    )
    starts_fraction_p1: float = setting(0.4, "The same in P1.", min=0.0, max=1.0)
    fragment_fraction: float = setting(
        0.6, "Fraction of the time left for sulphurs and fragments together.", min=0.0, max=1.0
    )
    sulphurs_enough: float = setting(
        0.5, "Confidence of completed sulphurs from which no fragment is tried.", min=0.0, max=1.0
    )
    first_sequence_seconds: float = setting(
        2.0,
        "First turn of the sequence search in each space group; later ones are longer.",
        unit="s",
        min=0.1,
    )
    max_sequence_seconds: float = setting(
        10.0, "Longest turn of the sequence search.", unit="s", min=0.1
    )
    network_turn: int = setting(
        2, "Turns of the sequence search after which the network is asked.", min=1
    )
    network_seconds: float = setting(
        5.0, "Time that must be left for the network.", unit="s", min=0.0
    )
    further_turns: int = setting(
        3,
        "Turns of the sequence search after a model has convinced, while they better it.",
        min=0,
    )
    further_from: int = setting(
        300, "Measured reflections from which those are worth while.", min=0
    )


class Turn(NamedTuple):
    """The method that comes next, and the seconds that it gets; infinite: all that are left."""

    method: str
    seconds: float = math.inf


class SearchState(Protocol):
    """View of a running search that decides the next turn."""

    problem: PhasingProblem

    @property
    def best(self) -> Candidate | None:
        """The most convincing candidate."""

    @property
    def convinced(self) -> bool:
        """True if a candidate ends the search."""

    @property
    def done(self) -> bool:
        """True if the search is convinced, or out of time with something to show."""

    @property
    def now(self) -> float:
        """`time.monotonic`."""

    @property
    def seconds_left(self) -> float:
        """Time to the deadline, s."""

    def useful(self, method: str, least_seconds: float = 0.0) -> bool:
        """True if the method applies, is not finished, and so much time is left."""

    def turns(self, method: str) -> int:
        """Turns that a method has had, in earlier runs of a resumed search as well."""


def single(method: str, search: SearchState, settings: StrategySettings) -> Iterator[Turn]:
    """Turns of one method that was asked for by name, at least one."""
    while not search.convinced:  # a resumed search may be
        seconds = math.inf
        if method == "sequence":
            seconds = _sequence_seconds(search, settings)
        yield Turn(method, seconds)
        if search.done or search.seconds_left <= 0 or not search.useful(method):
            break
    if method == "sequence":
        yield from _improved(search, settings)


def auto(search: SearchState, settings: StrategySettings) -> Iterator[Turn]:
    """Turns of every method that applies, until something convinces or the time is up."""
    if search.convinced:  # a resumed search
        return
    # one batch of random starts costs less than loading the network
    batch = 0.0  # seconds of the last batch of random starts
    for _ in range(_first_batches(search, settings)):
        before = search.now
        yield _starts(search, settings)
        batch = search.now - before
        if search.done:
            break
    yield from _fragments(search, settings)
    # for short peptides the sequence search solves more than the network does, and sooner
    if not search.convinced and search.useful("sequence"):
        yield from _sequence(search, settings, batch)
    yield from _network(search, settings)
    while not search.done:
        yield _starts(search, settings)


def _starts(search: SearchState, settings: StrategySettings) -> Turn:
    """The next batch of random starts: several of the better method, then one of the other."""
    better, other = "raar", "charge-flipping"
    if search.problem.data.d_min <= settings.flipping_d_min:
        better, other = other, better
    done = search.turns(better) + search.turns(other)
    return Turn(other if done % (settings.raar_batches + 1) == settings.raar_batches else better)


def _first_batches(search: SearchState, settings: StrategySettings) -> int:
    content = search.problem.content
    if not content.sequences and search.problem.data.d_min <= settings.flipping_d_min:
        return settings.first_batches_unknown
    residues = content.copies * sum(len(letters_of(s)) for s in content.sequences)
    long = residues > settings.long_residues and not search.problem.symmetric
    return settings.first_batches_long if long else settings.first_batches


def _fragments(search: SearchState, settings: StrategySettings) -> Iterator[Turn]:
    until = search.now + settings.fragment_fraction * search.seconds_left
    if not search.convinced and search.useful("sulphurs"):
        yield Turn("sulphurs", max(0.0, until - search.now))
        best = search.best
        by_sulphurs = best.confidence if best is not None and best.method == "sulphurs" else 0.0
        if by_sulphurs >= settings.sulphurs_enough:
            return
    if not search.convinced and search.useful("fragments") and until > search.now:
        yield Turn("fragments", until - search.now)


def _sequence(search: SearchState, settings: StrategySettings, batch: float) -> Iterator[Turn]:
    """The sequence search in turns with random starts, and the network once.

    `batch` is the time of the last batch of random starts, s. Another one begins when one as long
    does not exceed their fraction of the time.
    """
    symmetric = search.problem.symmetric
    fraction = settings.starts_fraction if symmetric else settings.starts_fraction_p1
    begun, spent = search.now, 0.0
    while not search.done and search.useful("sequence"):
        yield Turn("sequence", _sequence_seconds(search, settings))
        while not search.done and spent + batch <= fraction * (search.now - begun + batch):
            before = search.now
            yield _starts(search, settings)
            batch = search.now - before
            spent += batch
        if search.turns("sequence") == settings.network_turn:
            yield from _network(search, settings)
    yield from _improved(search, settings)


def _sequence_seconds(search: SearchState, settings: StrategySettings) -> float:
    seconds = settings.first_sequence_seconds * (1 + search.turns("sequence"))
    groups = len(search.problem.searched_groups)
    return groups * min(seconds, settings.max_sequence_seconds)


def _network(search: SearchState, settings: StrategySettings) -> Iterator[Turn]:
    waiting = not search.convinced and not search.turns("network")
    if waiting and search.useful("network", settings.network_seconds):
        yield Turn("network")


def _improved(search: SearchState, settings: StrategySettings) -> Iterator[Turn]:
    """Further turns from a model that convinces, while they better it: its place is known."""
    if int(search.problem.data.measured.sum()) < settings.further_from:
        return
    for _ in range(settings.further_turns):
        before = search.best
        if before is None or before.peptide is None or search.seconds_left <= 0:
            return
        yield Turn("sequence", _sequence_seconds(search, settings))
        if search.best is before:
            return
