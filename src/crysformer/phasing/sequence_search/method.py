"""The search with a known sequence as a method of the solver."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from crysformer.errors import NotApplicable
from crysformer.peptide.model import PeptideModel
from crysformer.phasing.atoms.atomic_candidates import atomic_candidates, atoms_are_quick
from crysformer.phasing.budget import Budget
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.dual_space.starting_parameters import positive_fractions
from crysformer.phasing.method import TurnCounter
from crysformer.phasing.problem import PhasingProblem
from crysformer.phasing.sequence_search.applicability import TooLarge, check_size
from crysformer.phasing.sequence_search.group_search import GroupSearch, RatedModel

if TYPE_CHECKING:
    from crysformer.phasing.settings import SolveSettings


class SequenceSearch(TurnCounter):
    """Peptide models of the sequence, in the crystal's own space group.

    Of an enantiomorphic pair of groups both are searched in turns.

    Raises
    ------
    TooLarge
        If there is no sequence, or too much of it.
    NotApplicable
        If the space group is not known.
    """

    name = "sequence"
    unit = "poses"

    def __init__(self, problem: PhasingProblem, settings: SolveSettings) -> None:
        super().__init__()
        self.problem = problem
        self.settings = settings.sequence
        check_size(problem.content, settings=self.settings.size)
        if not problem.data.space_group_known:
            raise NotApplicable("the space group is not known")
        try:
            check_size(problem.content, cheap=True, settings=self.settings.size)
        except TooLarge as reason:
            self.slow = str(reason)
        self._atoms, self._convinced = settings.atoms, settings.pool.convinced
        self._searches: tuple[GroupSearch, ...] = ()
        self._tried_before = 0

    def advance(self, budget: Budget) -> list[Candidate]:
        """Continue the search; candidates if there is a better pose than before."""
        self.turns += 1
        groups = self.problem.searched_groups
        if not self._searches:  # takes about a second
            self._tried_before = self.tried
            self._searches = tuple(
                GroupSearch(self.problem, group, self.settings, budget) for group in groups
            )
        seconds = (budget.until - time.monotonic()) / len(groups)
        models: list[RatedModel] = []
        for search in self._searches:  # rating what is found comes on top
            models += search.advance(replace(budget, until=time.monotonic() + seconds))
        self.tried = self._tried_before + sum(s.population.tried for s in self._searches)
        agreement = {}
        if len(self._searches) > 1:
            agreement = {s.data.space_group.xhm(): s.correlation for s in self._searches}
        found = [
            self._candidate(replace(rated, model=replace(rated.model, agreement=agreement)))
            for rated in models
        ]
        return [*found, *self._free_atoms(found, budget)]

    def _free_atoms(self, found: list[Candidate], budget: Budget) -> list[Candidate]:
        """Atoms free of restraints, from a model that convinces, where they are quick.

        They are nearer the truth where the data are good, and tell the hand.
        """
        best = max(found, key=lambda candidate: candidate.confidence, default=None)
        if best is None or best.confidence < self._convinced:
            return []
        if not atoms_are_quick(self.problem, best, self._atoms):
            return []
        fraction = float(positive_fractions(self.problem, 1, budget.generator))
        start = [replace(best, positive_fraction=fraction, peptide=None)]
        return atomic_candidates(
            self.problem, start, budget.generator, self._atoms, budget.deadline
        )

    def _candidate(self, rated: RatedModel) -> Candidate:
        problem, model = self.problem, rated.model
        own = np.nan_to_num(model.F)
        if _in_other_group(model, problem):
            own = own.conj()  # the mirror image is consistent with the group that was given
        phased = problem.expand(own)
        return Candidate(
            method=self.name,
            F=problem.grid.with_amplitudes(phased[None])[0],
            model=phased,
            figures=rated.figures,
            positive_fraction=0.0,
            peptide=model,
            hand_log_odds=rated.hand_log_odds,
        )


def _in_other_group(model: PeptideModel, problem: PhasingProblem) -> bool:
    return model.space_group.xhm() != problem.data.space_group.xhm()
