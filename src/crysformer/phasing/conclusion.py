"""What follows a search: all reflections, space group, crystal setting and atoms of a candidate."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.quality.outliers import Outliers
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.regrouping import in_space_group
from crysformer.phasing.atoms.atomic_structure import AtomicStructure
from crysformer.phasing.budget import CLOSING, method_generator
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.final_structure import has_final_structure, with_final_structure
from crysformer.phasing.origin.crystal_setting import (
    CrystalSetting,
    to_crystal_setting,
    weighted_map,
)
from crysformer.phasing.origin.found_symmetry import in_found_group, ranking_of
from crysformer.phasing.origin.hand_of_structure import with_hand_of_structure
from crysformer.phasing.origin.space_group_ranking import SpaceGroupFigures
from crysformer.phasing.problem import PhasingProblem
from crysformer.phasing.search import Search
from crysformer.phasing.sequence_support.support import sequence_support
from crysformer.phasing.sequence_support.verdict import SequenceSupport
from crysformer.phasing.suspected_reflections import restore

SOLVED = 0.9
"""Confidence from which a solution is claimed."""


@dataclass(frozen=True, eq=False)
class Conclusion:
    """The best candidate of a search in the crystal's setting.

    Attributes
    ----------
    candidate
        The candidate, whose confidence includes its agreement with the space group.
    data
        The measurements that the phases belong to: the input's, or merged in the space group found.
    placed
        Phases, hand and origin.
    fom
        Figures of merit, shape (n,); zero for reflections that the solution does not explain.
    density
        The map with them.
    space_groups
        Space groups that the phases support, best first; empty without a convincing candidate.
    atoms
        Atoms with their elements, of a claimed solution at atomic resolution.
    sequence
        Whether the amplitudes support the sequence.
    notes
        What was assumed and decided, a sentence each.
    """

    candidate: Candidate
    data: CrystalData
    placed: CrystalSetting
    fom: NDArray[np.float64]
    density: DensityMap
    space_groups: tuple[SpaceGroupFigures, ...]
    atoms: AtomicStructure | None
    sequence: SequenceSupport
    notes: tuple[str, ...]


def conclude(
    data: CrystalData,
    suspected: Outliers,
    search: Search,
    best: Candidate,
    seed: int,
    hurry: bool = False,
) -> Conclusion:
    """Bring the best candidate of a search into the crystal's setting.

    Parameters
    ----------
    data
        All measurements.
    suspected
        Reflections of `data` that the search did without.
    search
        The search, which has ended.
    best
        Its best candidate.
    seed
        Of the solution, for the random numbers of each step.
    hurry
        The search was interrupted: do without atoms, and spend little time on the hand.
    """
    deadline = time.monotonic() if hurry else search.deadline
    problem, chosen = search.problem, best
    notes: list[str] = []
    unexplained = np.zeros(len(data), dtype=bool)
    if len(suspected):
        generator = method_generator(seed, "suspected reflections")
        restored = restore(data, suspected, problem, best, generator)
        problem, chosen, unexplained = restored.problem, restored.candidate, restored.unexplained
        notes.append(restored.note)
    ranking: tuple[SpaceGroupFigures, ...] = ()
    moved = False
    if best.confidence >= SOLVED or search.contradiction is not None:
        ranking = ranking_of(search.problem, _best_phases(search, best))
        if search.find_space_group:
            found, chosen = _in_best_group(problem, chosen, ranking[0])
            moved = found is not problem
            if moved:
                implausible = data.hkl[unexplained]
                problem, data = found, in_space_group(data, found.data.space_group)
                unexplained = _rows_of(implausible, data)
                notes.append(data.notes[-1])
        if not moved and not ranking[0].stated:
            notes.append(_better_group(data, ranking))
    generator = method_generator(seed, "crystal setting")
    finish = best.confidence >= SOLVED and has_final_structure(
        problem, search.settings.final_structure
    )
    late = time.monotonic() >= deadline
    # atoms with elements, where they follow, tell the hand if nothing else does
    other_evidence = chosen.atoms is not None or chosen.peptide is not None or chosen.hand_log_odds
    provisional = finish and not late and not other_evidence
    placed = to_crystal_setting(problem, chosen, generator, deadline + CLOSING, provisional)
    if best.symmetry is None or moved:  # rated in the group that is written
        best = replace(best, symmetry=placed.symmetry)
    atoms = None
    if finish and late:
        notes.append(
            "atoms with their elements were not refined: the time limit had passed; `resume` "
            "with a longer `time_limit` gives them"
        )
    elif finish:
        f = np.where(unexplained, np.nan, problem.data.f)  # of some the model gave the amplitude
        explained = replace(problem, data=replace(problem.data, f=f))
        settings = search.settings.final_structure
        placed, atoms = with_final_structure(explained, chosen, placed, deadline, settings)
        if provisional and atoms is not None:
            placed, atoms = with_hand_of_structure(explained, placed, atoms)
        elif provisional:
            placed = to_crystal_setting(problem, chosen, generator, deadline + CLOSING)
    sequence = _sequence_of(search, best, deadline)
    if placed.model is not None and sequence.contradicted:
        placed = replace(placed, model=replace(placed.model, truncated=sequence.contradicted))
    fom = np.where(unexplained, 0.0, placed.fom)
    density = weighted_map(data, fom, placed.phi) if unexplained.any() else placed.density
    notes += placed.notes
    return Conclusion(best, data, placed, fom, density, ranking, atoms, sequence, tuple(notes))


def _sequence_of(search: Search, best: Candidate, deadline: float) -> SequenceSupport:
    """Verdict on the sequence of a claimed solution, from its model as it was found."""
    content = search.problem.content
    if not content.sequences:
        return SequenceSupport(note="no sequence was given")
    if best.peptide is None:
        return SequenceSupport(note="the solution has no peptide model of the sequence")
    if best.confidence < SOLVED:
        return SequenceSupport(note="the phases are not claimed")
    data = replace(search.problem.data, space_group=best.peptide.space_group)
    until = min(deadline + CLOSING, time.monotonic() + search.settings.sequence_support.seconds)
    return sequence_support(
        data, best.peptide, content.b_iso, until, settings=search.settings.sequence_support
    )


def _best_phases(search: Search, best: Candidate) -> Candidate:
    """The convincing candidate with the lowest R factor, whose phases show symmetry best.

    That may be modified density, where atoms of one kind stand for several elements.
    """
    if search.contradiction is not None:
        return search.contradiction
    convincing = [c for c in search.pool.candidates if c.confidence >= SOLVED]
    return min(convincing, key=lambda c: c.figures.r, default=best)


def _in_best_group(
    problem: PhasingProblem, candidate: Candidate, best: SpaceGroupFigures
) -> tuple[PhasingProblem, Candidate]:
    """The problem and the candidate in the first group of the ranking.

    A peptide model was refined in its own group, and stays in it.
    """
    if problem.data.space_group_known and (best.stated or candidate.peptide is not None):
        return problem, candidate
    return in_found_group(problem, candidate, best.space_group)


def _rows_of(hkl: NDArray[np.int32], data: CrystalData) -> NDArray[np.bool_]:
    """Flags of the rows of merged data, shape (n,), that equivalents of some reflections are in."""
    asu, operations = gemmi.ReciprocalAsu(data.space_group), data.space_group.operations()
    wanted = {tuple(asu.to_asu(h, operations)[0]) for h in hkl.tolist()}
    return np.array([tuple(h) in wanted for h in data.hkl.tolist()], dtype=bool)


def _better_group(data: CrystalData, ranking: Sequence[SpaceGroupFigures]) -> str:
    """Note on a space group that the phases support in place of the stated one."""
    best = ranking[0]
    stated = next(group for group in ranking if group.stated)
    against = (
        f"also {stated.name}, as stated, but that is lower"
        if stated.supported
        else f"not {stated.name}, as stated ({stated.agreement:.2f})"
    )
    pair = f" or {best.enantiomorph}" if best.enantiomorph else ""
    return (
        f"the phases support space group {best.name}{pair} (agreement {best.agreement:.2f}), "
        f"{against}; to have the solution in it, run again with `find_space_group`"
    )
