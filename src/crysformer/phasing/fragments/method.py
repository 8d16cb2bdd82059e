"""Ideal helices and strands as a method of the solver."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import gemmi
import torch
from torch import Tensor

from crysformer.crystal.reflections import CrystalData
from crysformer.errors import NotApplicable
from crysformer.peptide.secondary_structure import Fragment
from crysformer.phasing.budget import Budget
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.dual_space.polishing import polish_by_density_modification
from crysformer.phasing.dual_space.starting_parameters import positive_fractions
from crysformer.phasing.fragments.applicability import (
    VOLUME_PER_ATOM,
    check_fragments,
)
from crysformer.phasing.fragments.completion import (
    Rounds,
    complete_structure,
    weighted_start,
    without_symmetry,
)
from crysformer.phasing.fragments.free_atom_completion import atoms_from_phases
from crysformer.phasing.fragments.placement import (
    FragmentPlacer,
    PlacedFragment,
    structure_factors,
)
from crysformer.phasing.fragments.rescoring import refine_poses
from crysformer.phasing.fragments.strand_placement import place_fragments
from crysformer.phasing.merit.figures import DensityFigures
from crysformer.phasing.method import TurnCounter
from crysformer.phasing.problem import PhasingProblem
from crysformer.wording import counted

if TYPE_CHECKING:
    from crysformer.phasing.settings import SolveSettings

# Starts that take part in each round of density modification, and their iterations.
_ROUNDS: Rounds = ((16, 20), (6, 60), (2, 120))
_ROUNDS_OF_SEVERAL: Rounds = ((3, 60), (1, 140))
_ROUNDS_BEFORE_ATOMS: Rounds = ((1, 300),)
# Log odds of the hand of what grew from a fragment. Assumed: of L residues, helices right-handed,
# and a helix does not fit where its mirror image is.
_HAND_LOG_ODDS = {"helix": 6.0, "strand": 3.0, "ladder": 3.0}


class Fragments(TurnCounter):
    """Ideal fragments, one kind after the other, until one can be completed.

    A turn ends at the first kind from which density modification finds phases that predict
    amplitudes it was not given.

    Raises
    ------
    NotApplicable
        As `check_fragments`.
    """

    name = "fragments"
    unit = "placements"

    def __init__(self, problem: PhasingProblem, settings: SolveSettings) -> None:
        super().__init__()
        self.problem = problem
        self.settings = settings.fragments
        self._pieces = check_fragments(problem.data, problem.content, settings=self.settings.choice)
        self.n_atoms = problem.content.n_atoms or problem.data.cell.volume / VOLUME_PER_ATOM
        self.positive_fraction = 0.0

    def advance(self, budget: Budget) -> list[Candidate]:
        """Place fragments and complete the structure; candidates best first.

        Raises
        ------
        NotApplicable
            If there are too few reflections of low resolution to place any.
        """
        self.turns += 1
        problem = self.problem
        fractions = positive_fractions(problem, 8, budget.generator)
        self.positive_fraction = float(fractions.median())
        now = time.monotonic()
        grown_by = now + self.settings.growing_time_fraction * (budget.deadline - now)
        growing = replace(budget, until=max(budget.until, grown_by))
        own = problem.data.space_group
        found: list[Candidate] = []
        for fragments in self._pieces:
            for group in problem.searched_groups:
                if found and time.monotonic() > budget.until:
                    continue
                mirrored = group.xhm() != own.xhm()
                search = _Placement(self, fragments, group, budget, mirrored=mirrored)
                try:
                    more, right = search.completed(growing)
                except NotApplicable:
                    if not found:
                        raise
                    continue
                found += more
                if right:
                    return self._ended(found, budget)
        return self._ended(found, budget)

    def _ended(self, found: list[Candidate], budget: Budget) -> list[Candidate]:
        self.finished = time.monotonic() < budget.until  # everything was tried
        return sorted(found, key=lambda c: c.confidence, reverse=True)


class _Placement:
    """Fragments of one kind placed in one space group, and what they become."""

    def __init__(
        self,
        method: Fragments,
        fragments: tuple[Fragment, ...],
        group: gemmi.SpaceGroup,
        budget: Budget,
        *,
        mirrored: bool,
    ) -> None:
        self.method, self.problem, self.settings = method, method.problem, method.settings
        self.fragments, self.budget, self.mirrored = fragments, budget, mirrored
        self.fragment = fragments[0]  # several are of one kind and size
        self.data: CrystalData = replace(self.problem.data, space_group=group)
        self.fraction_of_one = len(self.fragment.xyz) * len(group.operations()) / method.n_atoms
        self.best_free, self.best_F, self.best_count = -1.0, torch.empty(0), 0
        self.stands_out = False  # the likeliest pose, from all that were refined

    def completed(self, growing: Budget) -> tuple[list[Candidate], bool]:
        """Candidates from one fragment or several, and whether the last looks right.

        `growing` is the budget for free atoms, which want more time where helices look right.
        """
        found: list[Candidate] = []
        for candidate, right in self._placed():
            found.append(candidate)
            if right:
                return found, True
        s = self.settings
        gain = self.best_free - _free(found[0]) if found else 0.0
        promising = self.best_free > s.growing_free_correlation or gain > s.growing_gain
        promising = promising or self.stands_out
        if not promising or self.problem.content.n_atoms is None:
            return found, False
        self.budget.report("growing free atoms")
        F, _ = self._complete(self.best_F, _ROUNDS_BEFORE_ATOMS, growing.until)
        grown = atoms_from_phases(
            self.problem, self.method.name, F[0], growing, settings=s.free_atoms
        )
        grown = replace(grown, hand_log_odds=self._hand())
        return [*found, grown], grown.confidence > s.enough

    def _placed(self) -> Iterator[tuple[Candidate, bool]]:
        """Candidates of one, two, three ... fragments, and whether each looks right."""
        s, budget = self.settings, self.budget
        begun = time.monotonic()
        placer, poses = self._first()
        first = 0.0
        most = s.max_helices if self.fragment.kind == "helix" else 1
        most = min(max(1, int(s.max_placed_fraction / self.fraction_of_one)), most)
        for count in range(1, most + 1):
            if count > 1:
                budget.report(f"placing {count} of it")
                assert placer is not None  # only helices are placed beside each other
                try:
                    poses = placer.further(poses[: s.poses_extended])
                except NotApplicable:
                    return
            if not poses:
                return
            self.method.tried += len(poses)
            F, candidate, right = self._candidate(poses, count)
            yield candidate, right
            free = _free(candidate)
            first = free if count == 1 else first
            if free > self.best_free:
                self.best_free, self.best_F, self.best_count = free, F, count
            gain = self.best_free - first
            useless = count >= s.helices_for_gain and gain < s.min_gain
            useless = useless or count - self.best_count >= s.helices_without_gain
            # free atoms want time as well
            until = 0.5 * (begun + budget.until) if gain > s.growing_gain else budget.until
            if useless or time.monotonic() > until:
                return

    def _first(self) -> tuple[FragmentPlacer | None, list[PlacedFragment]]:
        """Poses of one fragment, best first, and the placer of further helices."""
        s, budget, n_kinds = self.settings, self.budget, len(self.fragments)
        name = f"a {self.fragment.name}" if n_kinds == 1 else counted(n_kinds, self.fragment.kind)
        budget.report(f"placing {name} in {self.data.space_group.xhm()}")
        if self.fragment.kind != "helix":
            poses = place_fragments(
                self.data,
                self.fragments,
                self.problem.content.b_iso,
                s.strands.poses,
                budget.generator,
                budget.until,
                settings=s.strands,
                translation=s.translation,
                rigid_body=s.rigid_body,
            )
            return None, self._refined(poses)
        placer = FragmentPlacer(
            self.data,
            self.fragment,
            self.problem.content.b_iso,
            s.poses,
            s.orientations,
            budget.generator,
            budget.until,
            settings=s.placement,
            rotation=s.rotation,
            translation=s.translation,
            rigid_body=s.rigid_body,
        )
        return placer, placer.first()

    def _refined(self, poses: list[PlacedFragment]) -> list[PlacedFragment]:
        """The likeliest poses after flexible refinement, best first."""
        s, budget = self.settings, self.budget
        budget.report(f"refining a {self.fragment.name}")
        now = time.monotonic()
        until = now + s.rescoring.time_fraction * (budget.until - now)
        b_iso, fraction = self.problem.content.b_iso, self.fraction_of_one
        refined, typical = refine_poses(
            self.data, poses, b_iso, fraction, s.strands.completed, until, settings=s.rescoring
        )
        best = refined[0].gain if refined else None
        self.stands_out = best is not None and best > s.rescoring.standing_out * max(typical, 0.0)
        return refined

    def _candidate(self, poses: list[PlacedFragment], count: int) -> tuple[Tensor, Candidate, bool]:
        """Best of the poses after density modification.

        Returns
        -------
        (F, candidate, right)
            Phases, half grid (1, ...), the candidate, and whether it looks right.
        """
        problem, budget = self.problem, self.budget
        rounds = _ROUNDS if count == 1 else _ROUNDS_OF_SEVERAL
        placed = structure_factors(self.data, poses[: rounds[0][0]], problem.content.b_iso)
        # the mirror image is consistent with the group that was given
        placed = placed.conj() if self.mirrored else placed
        fraction = min(0.9, count * self.fraction_of_one)
        starts = [weighted_start(problem, self.data, one, fraction) for one in placed]
        name = self.fragment.name
        budget.report(f"completing a {name}" if count == 1 else "completing them")
        F, free = self._complete(torch.stack(starts), rounds, self.budget.rated_by)
        right = float(free[0]) > self.settings.right_free_correlation
        if right and problem.symmetric:
            candidate = self._polished(self._without_symmetry(F[:1]))
        else:
            candidate = self._polished(F[:1])
            if problem.symmetric and candidate.confidence > self.settings.doubted:
                candidate = self._polished(self._without_symmetry(F[:1]))
        hand = self._hand() if right else 0.0
        return F[:1], replace(candidate, hand_log_odds=hand), right

    def _complete(self, start: Tensor, rounds: Rounds, deadline: float) -> tuple[Tensor, Tensor]:
        return complete_structure(
            self.problem.grid,
            start,
            self.method.positive_fraction,
            self.problem.content.b_iso,
            rounds,
            self.budget.generator,
            deadline,
            enough=self.settings.right_free_correlation,
            dynamic=self.settings.dynamic,
        )

    def _without_symmetry(self, F: Tensor) -> Tensor:
        return without_symmetry(
            self.problem.grid,
            F,
            self.method.positive_fraction,
            self.problem.content.b_iso,
            self.budget.generator,
            self.budget.rated_by,
        )

    def _polished(self, F: Tensor) -> Candidate:
        fraction = torch.full((1,), self.method.positive_fraction)
        return polish_by_density_modification(
            self.problem,
            self.method.name,
            F,
            fraction,
            1,
            self.budget.generator,
            self.budget.rated_by,
        )[0]

    def _hand(self) -> float:
        odds = _HAND_LOG_ODDS[self.fragment.kind]
        return -odds if self.mirrored else odds


def _free(candidate: Candidate) -> float:
    assert isinstance(candidate.figures, DensityFigures)
    return candidate.figures.free_correlation
