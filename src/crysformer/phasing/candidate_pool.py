"""Rounds of charge flipping or RAAR, each a batch of random starts, until something convinces."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch

from crysformer.phasing.candidate import Candidate, atoms_are_cheap, settle, with_atoms
from crysformer.phasing.cell_content import CellContent, positive_fractions, supports
from crysformer.phasing.dual_space.charge_flipping import charge_flipping, random_phases
from crysformer.phasing.dual_space.raar import raar
from crysformer.phasing.problem import PhaseProblem
from crysformer.phasing.sequence_search.method import SequenceMethod

CONVINCED = 0.98
_BEYOND_DOUBT = 0.95
_PROMISING = 0.5
_VOXELS = 600_000  # of a batch: a round of small cells takes about a second on a core
_FIRST_STARTS, _MAX_STARTS = 24, 64  # most small cells are solved by the first few
_ITERATIONS = 200
_MORE_ITERATIONS = 50  # with every round: hard structures need longer runs, not only more
_MAX_ITERATIONS = 1000
_RAAR_ITERATIONS = 150
_RAAR_ROUNDS = 2  # before each of charge flipping, which solves less
# Sharpening leaves atoms with a B between these (A^2); which is best differs between cells.
_B_LEFT = (-2.0, 10.0)
_KEPT = 8
_SEQUENCE_SLICE, _LONGEST_SLICE = 2.0, 10.0  # seconds of the first turn with the sequence
_SETTLING = 60  # iterations that take as long as what follows them
# Seconds after the deadline for rating, which is cut short then: only cells of millions of grid
# points need as long, and what rating tells is worth the wait in all others.
_GRACE = 5.0

Progress = Callable[[float, str], None]
"""Called with the share of the time limit used (0 to 1) and a short text."""


@dataclass
class Search:
    """One crystal being searched.

    Attributes
    ----------
    problem, content
        The crystal in P1.
    generator
        Source of every random number.
    deadline
        `time.monotonic` after which no new batch is begun.
    best
        Best candidates so far, the most convincing first.
    starts, rounds
        Random starts and batches of them tried.
    tried
        Methods that would only repeat themselves.
    keep
        Called after every round, to save what was found.
    symmetry
        What the space group leaves of a candidate's confidence, 0 to 1; None in P1.
    """

    problem: PhaseProblem
    content: CellContent
    generator: torch.Generator
    deadline: float
    best: list[Candidate] = field(default_factory=list)
    starts: int = 0
    rounds: int = 0
    tried: set[str] = field(default_factory=set)
    keep: Callable[[Search], None] | None = None
    symmetry: Callable[[Candidate], float] | None = None

    @property
    def convinced(self) -> bool:
        """Whether a candidate is confidently right."""
        return bool(self.best) and self.best[0].confidence >= CONVINCED

    @property
    def out_of_time(self) -> bool:
        """Whether the deadline has passed, with something to show."""
        return bool(self.best) and time.monotonic() > self.deadline

    def add(self, candidates: list[Candidate]) -> None:
        """Take over candidates, keeping the best few.

        Outside P1 one that would be promising must also obey the space group, or a wrong one might
        end the search.
        """
        rated = [self._rated(candidate) for candidate in candidates]
        self.best = sorted([*self.best, *rated], key=_rank, reverse=True)[:_KEPT]

    def _rated(self, candidate: Candidate) -> Candidate:
        looked_at = candidate.symmetry is not None or candidate.peptide is not None
        if self.symmetry is None or looked_at or candidate.confidence < _PROMISING:
            return candidate
        factor = self.symmetry(candidate)
        return replace(candidate, confidence=factor * candidate.confidence, symmetry=factor)

    def refine(self, candidates: list[Candidate]) -> None:
        """Add candidates, and what refined atoms make of them where that is cheap."""
        self.add(candidates)
        cheap = bool(candidates) and atoms_are_cheap(self.problem, self.content, candidates[0])
        if cheap and time.monotonic() < self.deadline:
            self._add_atoms(candidates)

    def _add_atoms(self, candidates: list[Candidate]) -> None:
        self.add(
            with_atoms(
                self.problem, self.content, candidates, self.generator, deadline=self.deadline
            )
        )

    def shares(self, n: int) -> torch.Tensor:
        """Shares of positive voxels for `n` starts, shape (n,)."""
        volume, d_min = self.problem.cell.volume, self.problem.data.d_min
        return positive_fractions(self.content, volume, d_min, n, self.generator)

    def flipping_round(self, index: int) -> None:
        """Charge flipping from one batch of random starts."""
        shares, sharpening, F = self._starts(index)
        iterations = _iterations(_ITERATIONS, index)
        F = charge_flipping(
            self.problem, F, iterations, shares, sharpening, self.deadline, _SETTLING
        )
        self._settle("charge-flipping", F, shares)

    def raar_round(self, index: int) -> None:
        """RAAR from one batch of random starts."""
        shares, sharpening, F = self._starts(index)
        room, width = supports(self.content, self.problem.cell.volume, len(F), self.generator)
        iterations = _iterations(_RAAR_ITERATIONS, index)
        F = raar(self.problem, F, iterations, room, width, sharpening, self.deadline, _SETTLING)
        self._settle("raar", F, shares)

    def _starts(self, index: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Shares of positive voxels, sharpening and random phases of a batch."""
        most = _MAX_STARTS if index else _FIRST_STARTS
        n = max(1, min(most, _VOXELS // self.problem.n_voxels))
        shares = self.shares(n)
        low, high = _B_LEFT
        left = low + (high - low) * torch.rand(n, generator=self.generator)
        sharpening = (self.content.b_iso - left).clamp(min=0)
        self.starts += n
        return shares, sharpening, random_phases(self.problem, n, self.generator)

    def _settle(self, method: str, F: torch.Tensor, shares: torch.Tensor) -> None:
        end = self.deadline + _GRACE
        self.refine(
            settle(self.problem, self.content, method, F, shares, _KEPT, self.generator, end)
        )

    def _round(self, method: str) -> None:
        """The next batch of random starts; in `auto` mostly RAAR, charge flipping in between."""
        index = self.rounds
        if method == "auto":
            others, place = divmod(index, _RAAR_ROUNDS + 1)
            method = "raar" if place < _RAAR_ROUNDS else "charge-flipping"
            index = _RAAR_ROUNDS * others + place if method == "raar" else others
        if method == "raar":
            self.raar_round(index)
        else:
            self.flipping_round(index)
        self.rounds += 1

    def place_sequence(
        self, method: SequenceMethod, time_limit: float, progress: Progress | None = None
    ) -> None:
        """One turn of the search with the sequence, longer the longer it has run."""
        found = method.advance(min(_SEQUENCE_SLICE * (1 + method.turns), _LONGEST_SLICE))
        self.add(found)
        if found and self.convinced and atoms_are_cheap(self.problem, self.content, found[0]):
            # atoms free of restraints are nearer the truth where data are good, and tell the hand
            share = float(self.shares(1))
            start = [replace(found[0], positive_fraction=share, peptide=None)]
            self._add_atoms(start)
        if self.keep is not None:
            self.keep(self)
        self.report(f"{method.search.tried} poses", time_limit, progress)

    def report(self, text: str, time_limit: float, progress: Progress | None) -> None:
        """Say how far the search is, and the best confidence so far."""
        if progress is not None:
            used = 1 - (self.deadline - time.monotonic()) / time_limit
            best = self.best[0].confidence if self.best else 0.0
            progress(min(used, 1.0), f"{text}, confidence {best:.2f}")

    def run(
        self,
        time_limit: float,
        progress: Progress | None = None,
        rounds: int | None = None,
        method: str = "auto",
    ) -> None:
        """Rounds of random starts until convinced or out of time, at least one.

        Parameters
        ----------
        time_limit
            Seconds that the deadline stands for.
        progress
            Called after every round.
        rounds
            How many at most.
        method
            ``"charge-flipping"``, ``"raar"``, or ``"auto"`` for both in turns.
        """
        for done in itertools.count(1):
            self._round(method)
            if self.keep is not None:
                self.keep(self)
            self.report(f"{self.starts} starts", time_limit, progress)
            if self.convinced or time.monotonic() >= self.deadline or done == rounds:
                return


def _iterations(first: int, index: int) -> int:
    return min(first + _MORE_ITERATIONS * index, _MAX_ITERATIONS)


def _rank(candidate: Candidate) -> tuple[float, bool, float]:
    """Confidence first; among those as promising, or beyond doubt, atoms before density, then R."""
    has_atoms = candidate.atoms is not None or candidate.peptide is not None
    confidence = min(candidate.confidence, _BEYOND_DOUBT)
    if confidence >= _PROMISING:
        confidence = round(confidence, 2)
    return confidence, has_atoms, -candidate.figures["r"]
