"""A running search: methods in turns, candidates in a pool, progress, and its state on disk."""

from __future__ import annotations

import functools
import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crysformer.errors import NotApplicable
from crysformer.phasing.budget import GRACE, Budget, method_generator
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.candidate_pool import CandidatePool
from crysformer.phasing.method import AUTO, Method, method_class
from crysformer.phasing.origin.crystal_setting import symmetry_of
from crysformer.phasing.origin.found_symmetry import symmetry_in_any_group
from crysformer.phasing.problem import PhasingProblem
from crysformer.phasing.settings import SolveSettings
from crysformer.phasing.strategy import Turn, auto, single
from crysformer.progress import Progress
from crysformer.wording import counted

if TYPE_CHECKING:
    import torch

    from crysformer.phasing.checkpoint import Checkpoint

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CoursePoint:
    """End of a turn: seconds since the search began, and the best confidence that it brought."""

    seconds: float
    method: str
    confidence: float


class Search:
    """One crystal being searched; the strategy sees it as a `SearchState`.

    Parameters
    ----------
    problem
        The crystal.
    requested
        ``"auto"`` or the name of one method.
    settings
        Of every part.
    time_limit
        Seconds from `begun` to the deadline.
    seed
        Seed for the random numbers of every method.
    progress
        Called after every turn, and by methods in between.
    begun
        `time.monotonic` at which the time began; now by default.
    find_space_group
        Accept candidates that are consistent with any space group of the data's Laue class.

    Attributes
    ----------
    pool
        What was found.
    methods
        Methods begun so far, by name.
    notes
        Methods that do not apply, and why.
    contradiction
        A candidate that convinces but for the stated space group, and supports another one of the
        same Laue class, which ends the search; None without.
    course
        The turns so far, of this run.
    """

    def __init__(
        self,
        problem: PhasingProblem,
        requested: str,
        settings: SolveSettings,
        time_limit: float,
        seed: int = 0,
        progress: Progress | None = None,
        begun: float | None = None,
        find_space_group: bool = False,
    ) -> None:
        self.problem, self.requested, self.settings = problem, requested, settings
        self.time_limit, self.seed, self.progress = time_limit, seed, progress
        self._begun = time.monotonic() if begun is None else begun
        self.deadline = self._begun + time_limit
        self.find_space_group = find_space_group
        check = symmetry_in_any_group if find_space_group else symmetry_of
        symmetry = functools.partial(check, problem) if problem.symmetric else None
        self.contradiction: Candidate | None = None
        self.pool = CandidatePool(settings.pool, symmetry, self._late)
        self.methods: dict[str, Method] = {}
        self.generators: dict[str, torch.Generator] = {}
        self.notes: list[str] = []
        self._refused: set[str] = set()
        self.course: list[CoursePoint] = []
        self._running = requested

    @property
    def best(self) -> Candidate | None:
        """The most convincing candidate."""
        return self.pool.best

    @property
    def convinced(self) -> bool:
        """True if a candidate ends the search."""
        return self.pool.convinced or self.contradiction is not None

    @property
    def done(self) -> bool:
        """True if the search is convinced, or out of time with something to show."""
        return self.convinced or (self.best is not None and self.seconds_left <= 0)

    @property
    def now(self) -> float:
        """`time.monotonic`."""
        return time.monotonic()

    @property
    def seconds_left(self) -> float:
        """Time to the deadline, s."""
        return self.deadline - time.monotonic()

    @property
    def starts(self) -> int:
        """Random starts of charge flipping and RAAR so far."""
        names = ("charge-flipping", "raar")
        return sum(self.methods[name].tried for name in names if name in self.methods)

    def turns(self, method: str) -> int:
        """Turns that a method has had, in earlier runs of a resumed search as well."""
        return self.methods[method].turns if method in self.methods else 0

    def useful(self, method: str, least_seconds: float = 0.0) -> bool:
        """True if a turn of the method may bring something, and so much time is left.

        The reason why a method does not apply becomes a note.
        """
        if method in self._refused:
            return False
        try:
            found = self.method(method)
        except NotApplicable as reason:
            self._refused.add(method)
            self._note(method, str(reason))
            return False
        if found.finished:
            return False
        if self.requested == AUTO and found.slow:
            self._note(method, found.slow)
            return False
        if self.seconds_left < least_seconds:
            late = "too little time was left" if least_seconds else "the time was up"
            self._note(method, late)
            return False
        return True

    def method(self, name: str) -> Method:
        """A method, built on first use.

        Raises
        ------
        NotApplicable
            If it does not apply to this crystal.
        """
        if name not in self.methods:
            self.methods[name] = method_class(name)(self.problem, self.settings)
        return self.methods[name]

    def generator(self, method: str) -> torch.Generator:
        """Random numbers of one method."""
        if method not in self.generators:
            self.generators[method] = method_generator(self.seed, method)
        return self.generators[method]

    def run(self, checkpoint: Checkpoint | None = None) -> None:
        """Give the methods their turns until something convinces, or to the deadline.

        Parameters
        ----------
        checkpoint
            Written at once, and kept up to date after every turn.

        Raises
        ------
        NotApplicable
            If the one method that was asked for does not apply.
        """
        if checkpoint is not None:
            checkpoint.write(self)
        strategy = self.settings.strategy
        if self.requested == AUTO:
            turns = auto(self, strategy)
        else:
            turns = single(self.requested, self, strategy)
        for turn in turns:
            self.take(turn, checkpoint)

    def take(self, turn: Turn, checkpoint: Checkpoint | None = None) -> None:
        """Give one method its turn, and keep the checkpoint up to date.

        Raises
        ------
        NotApplicable
            If it is the one method that was asked for and does not apply.
        """
        until = min(self.deadline, time.monotonic() + turn.seconds)
        generator = self.generator(turn.method)
        before = generator.get_state()
        self._running = turn.method
        budget = Budget(until, self.deadline, generator, self._report)
        self._report("searching")
        try:
            method = self.method(turn.method)
            found = method.advance(budget)
        except KeyboardInterrupt:
            generator.set_state(before)  # a resumed search tries what this turn has tried
            raise
        except NotApplicable as reason:
            if turn.method == self.requested:
                message = f"`method` {turn.method} is not applicable: {reason}"
                raise NotApplicable(message) from reason
            self._refused.add(turn.method)
            self._note(turn.method, str(reason))
            return
        self.adopt(found)
        self._record(turn.method, found)
        alike = sum(m.tried for m in self.methods.values() if m.unit == method.unit)
        self._report(f"{alike} {method.unit}")
        if checkpoint is not None:
            checkpoint.keep(self)

    def adopt(self, candidates: Sequence[Candidate]) -> None:
        """Rate candidates of a turn, or of an earlier run, and keep the best."""
        self.pool.add(candidates)
        if self.contradiction is None and not self.pool.convinced:
            self.contradiction = self._contradiction()

    def _record(self, method: str, found: Sequence[Candidate]) -> None:
        best = max((candidate.confidence for candidate in found), default=0.0)
        log.debug("%s: %s, best confidence %.4f", method, counted(len(found), "candidate"), best)
        self.course.append(CoursePoint(time.monotonic() - self._begun, method, best))

    def _late(self) -> bool:
        return time.monotonic() > self.deadline + GRACE

    def _contradiction(self) -> Candidate | None:
        """The best candidate, as found, that only the stated space group speaks against."""
        if self.find_space_group:
            return None
        for candidate in self.pool.rejected:
            if symmetry_in_any_group(self.problem, candidate) == 1.0:
                return candidate
        return None

    def _note(self, method: str, reason: str) -> None:
        note = f"{method}: not applicable ({reason})"
        if note not in self.notes:
            self.notes.append(note)

    def _report(self, text: str) -> None:
        words = f"{self._running}: {text}"
        log.debug("%6.1f s  %s", time.monotonic() - self._begun, words)
        if self.progress is None:
            return
        best = self.best.confidence if self.best is not None else 0.0
        used = 1.0 if math.isinf(self.time_limit) else 1 - self.seconds_left / self.time_limit
        self.progress(min(used, 1.0), f"{words}, best confidence {best:.2f}")
