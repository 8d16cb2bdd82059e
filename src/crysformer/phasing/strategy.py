"""Which method when: cheap ones first, until a candidate convinces or the time is up."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.symmetry import P1Mapping
from crysformer.errors import NotApplicable
from crysformer.peptide.chain import letters_of
from crysformer.phasing.candidate import settle
from crysformer.phasing.candidate_pool import Progress, Search
from crysformer.phasing.fragments.applicability import check_fragments
from crysformer.phasing.fragments.method import fragment_candidates
from crysformer.phasing.network.predict import predict
from crysformer.phasing.refinement.bulk_solvent import ENOUGH
from crysformer.phasing.sequence_search.applicability import check_size
from crysformer.phasing.sequence_search.method import SequenceMethod

METHODS = ("auto", "charge-flipping", "raar", "network", "fragments", "sequence")
_NETWORK_TURN = 2  # of the sequence search, after which the network is asked
_NETWORK_SECONDS = 5.0  # loading it, and some chains of predictions
# Rounds of random starts before the sequence search of more than so many residues, in P1; and their
# share of the time in which the two take turns, outside P1 and in it.
_FIRST_ROUNDS, _FEW_RESIDUES = 3, 5
_SHARE_OF_STARTS, _SHARE_IN_P1 = 0.1, 0.4
_FRAGMENT_SHARE, _GROWING_SHARE = 0.6, 0.85  # of the time left; where helices look right
# Turns of the sequence search after a model has convinced, where bulk solvent is modelled.
_FURTHER_TURNS = 3


@dataclass
class Schedule:
    """The methods that a search may turn to.

    Attributes
    ----------
    method
        One of `METHODS`.
    data, mapping
        The crystal in its own space group, and its expansion to P1.
    search
        What was found so far; its content holds the sequences.
    time_limit
        Seconds that the deadline of the search stands for.
    progress
        Called with the share of the time used and a short text.
    notes
        What did not apply, and why.
    """

    method: str
    data: CrystalData
    mapping: P1Mapping
    search: Search
    time_limit: float
    progress: Progress | None = None
    notes: list[str] = field(default_factory=list)

    def run(self) -> None:
        """Search until something convinces, or to the deadline.

        Raises
        ------
        NotApplicable
            If one method was asked for and it does not apply.
        """
        search = self.search
        if self.method == "auto" and not search.convinced:
            # one round costs less than loading the network
            search.run(self.time_limit, self.progress, rounds=self._first_rounds())
        self._attempt("fragments", self._fragments)
        # of short peptides the sequence search solves more than the network does, and sooner
        self._attempt("sequence", self._sequence)
        self._attempt("network", self._network)
        going_on = self.method in ("auto", "charge-flipping", "raar")
        if going_on and not (search.convinced or search.out_of_time):
            search.run(self.time_limit, self.progress, method=self.method)

    def _first_rounds(self) -> int:
        """The sequence search of longer chains takes longer to begin than random starts to end."""
        letters = sum(len(letters_of(s)) for s in self.search.content.sequences)
        longer = letters * self.search.content.copies > _FEW_RESIDUES
        return _FIRST_ROUNDS if longer and not self._symmetric else 1

    @property
    def _symmetric(self) -> bool:
        return len(self.data.space_group.operations()) > 1

    def _attempt(self, name: str, method: Callable[[], None]) -> None:
        if self.method not in ("auto", name) or self.search.convinced:
            return
        if self.method == "auto" and name in self.search.tried:
            return  # a resumed search: it would only repeat itself
        try:
            method()
        except NotApplicable as reason:
            if self.method == name:
                raise
            note = f"{name}: not applicable ({reason})"
            if note not in self.notes:
                self.notes.append(note)
        if self.search.keep is not None:
            self.search.keep(self.search)

    def _require_seconds(self, least: float) -> None:
        """A method asked for by name runs in any case."""
        if self.method == "auto" and self.search.deadline - time.monotonic() < least:
            raise NotApplicable("too little time was left" if least else "the time was up")

    def _network(self) -> None:
        """The network's phases, polished by density modification."""
        search, problem = self.search, self.search.problem
        if self._symmetric:
            raise NotApplicable(f"it knows P 1, not {self.data.space_group.xhm()}")
        if not search.content.sequences:
            raise NotApplicable("it needs the sequence")
        if search.content.copies > 1:
            raise NotApplicable(f"it knows one molecule a cell, not {search.content.copies}")
        self._require_seconds(_NETWORK_SECONDS)
        search.tried.add("network")
        for seed in itertools.count():
            prediction = predict(
                problem.data,
                search.content.sequences,
                device=problem.device,
                seed=seed,
                deadline=search.deadline,
            )
            phased = problem.data.f * np.exp(1j * np.angle(prediction.chain))
            # beyond the network's resolution there is no phase: density modification is to find one
            F = problem.to_grid(np.where(prediction.chain != 0, phased, np.nan) / problem.scale)
            share = search.shares(1)
            search.refine(
                settle(problem, search.content, "network", F[None], share, 1, search.generator)
            )
            search.report(f"{seed + 1} predictions", self.time_limit, self.progress)
            if self.method == "auto" or search.convinced or search.out_of_time:
                return

    def _fragments(self) -> None:
        """Ideal helices and strands, completed."""
        search = self.search
        check_fragments(self.data, search.content)
        self._require_seconds(0.0)
        share = _FRAGMENT_SHARE if self.method == "auto" else 1.0
        now = time.monotonic()
        until = now + share * (search.deadline - now)

        found = fragment_candidates(
            search.problem,
            self.data,
            self.mapping,
            search.content,
            search.generator,
            until,
            lambda text: search.report(text, self.time_limit, self.progress),
            now + max(share, _GROWING_SHARE) * (search.deadline - now),
        )
        search.add(found)
        if time.monotonic() < until:
            search.tried.add("fragments")  # all of them

    def _sequence(self) -> None:
        """Peptide models, in `auto` in turns with rounds of random starts."""
        search = self.search
        check_size(search.content, cheap=self.method == "auto")
        self._require_seconds(0.0)
        placing = SequenceMethod(
            self.data,
            self.mapping,
            search.problem,
            search.content,
            search.generator,
            search.deadline,
        )
        # symmetry makes the sequence search's problem smaller, and not that of random starts
        share = _SHARE_OF_STARTS if self._symmetric else _SHARE_IN_P1
        begun, spent = time.monotonic(), 0.0
        while not (search.convinced or search.out_of_time):
            search.place_sequence(placing, self.time_limit, self.progress)
            if self.method != "auto" or search.convinced:
                continue
            now = time.monotonic()
            while spent <= share * (now - begun) and not (search.convinced or search.out_of_time):
                search.run(self.time_limit, self.progress, rounds=1)
                spent += time.monotonic() - now
                now = time.monotonic()
            if placing.turns == _NETWORK_TURN:
                self._attempt("network", self._network)
        self._improve(placing)

    def _improve(self, placing: SequenceMethod) -> None:
        """Search on from a model that convinces, as long as that betters it: its place is known."""
        search = self.search
        n_measured = int(self.data.measured.sum())
        for _ in range(_FURTHER_TURNS if n_measured >= ENOUGH else 0):
            before = search.best[0]
            if before.peptide is None or search.out_of_time:
                return
            search.place_sequence(placing, self.time_limit, self.progress)
            if search.best[0] is before:
                return
