"""The solver: amplitudes to phases and a verdict."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from crysformer.crystal.reflections import CrystalData
from crysformer.errors import InputError, NotApplicable, UsageError
from crysformer.models.device import pick_device
from crysformer.peptide.sequence_file import sequences_of
from crysformer.phasing.budget import Progress, method_generator
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.checkpoint import Checkpoint
from crysformer.phasing.method import check_method
from crysformer.phasing.origin.crystal_setting import to_crystal_setting
from crysformer.phasing.origin.found_symmetry import in_found_group, ranking_of
from crysformer.phasing.origin.space_group_ranking import SpaceGroupFigures
from crysformer.phasing.problem import PhasingProblem, phasing_problem
from crysformer.phasing.search import Search
from crysformer.phasing.settings import SolveSettings
from crysformer.phasing.solution import CandidateReport, Solution
from crysformer.settings import check_ranges

SOLVED = 0.9
"""Confidence from which a solution is claimed."""
_MIN_REFLECTIONS = 30


def solve(
    data: CrystalData,
    sequence: str | Sequence[str] | None = None,
    *,
    method: str = "auto",
    time_limit: float = 120.0,
    copies: int | None = None,
    seed: int = 0,
    device: str = "auto",
    settings: SolveSettings | None = None,
    progress: Progress | None = None,
    state: str | Path | None = None,
    resume: bool = False,
    find_space_group: bool = False,
) -> Solution:
    """Find the phases of a crystal from its amplitudes.

    Parameters
    ----------
    data
        Measured amplitudes, any space group.
    sequence
        One-letter codes (several chains separated by commas or as a sequence of strings), or the
        path of a FASTA file. Makes the search faster, the verdict firmer, and tells the hand.
    method
        ``"auto"`` (every one that applies) or a name of `crysformer.phasing.method.METHODS`.
    time_limit
        Seconds after which no new turn is begun and the best candidate is taken.
    copies
        Copies of all chains in the asymmetric unit; estimated by default.
    seed
        Seed for the random numbers: with the same seed a method tries the same starts, whatever
        other methods run beside it.
    device
        ``"auto"`` (CUDA if there is one), ``"cpu"``, ``"cuda"``, ``"mps"``.
    settings
        Of the search; the defaults suit peptides.
    progress
        Called with the fraction of the time used and a short text.
    state
        A file (``state.safetensors``) to keep what was found in, written after turns; one that is
        there is replaced.
    resume
        Continue from `state`, if it is there, for another `time_limit`.
    find_space_group
        Rely on the Laue class of the data alone, and return a convincing solution in the space
        group that its phases support (`Solution.data` has the measurements merged in it). Always
        so for data of unknown space group. Otherwise the solution stays in the stated group, and
        a note names a better one.

    Raises
    ------
    UsageError
        If an option has no meaning.
    InputError
        If the amplitudes, the sequence or the state cannot be used.
    NotApplicable
        If one method was asked for and it does not apply to this crystal, or found nothing.
    """
    begun = time.monotonic()
    check_method(method)
    if not time_limit > 0:
        raise UsageError(f"`time_limit` is {time_limit:g}: expected seconds above zero")
    if seed < 0:
        raise UsageError(f"`seed` is {seed}: expected a whole number from 0")
    settings = settings or SolveSettings()
    check_ranges(settings)
    sequences = sequences_of(sequence)
    n_measured = int(data.measured.sum())
    if n_measured < _MIN_REFLECTIONS:
        raise InputError(
            f"{data.source}: {n_measured} amplitudes, too few to phase; expected at least "
            f"{_MIN_REFLECTIONS}"
        )
    problem = phasing_problem(data, sequences, copies, pick_device(device))
    find_space_group = find_space_group or not data.space_group_known
    search = Search(problem, method, settings, time_limit, seed, progress, begun, find_space_group)
    notes = [*data.notes, *problem.content.notes]
    checkpoint = None
    if state is not None:
        options = {"method": method, "seed": seed, "time_limit": time_limit}
        checkpoint = Checkpoint(state, problem, options)
        if not resume:
            checkpoint.path.unlink(missing_ok=True)
        elif checkpoint.restore(search):
            notes.append(f"resumed after {checkpoint.seconds:.0f} s and {search.starts} starts")
    search.run(checkpoint)
    notes += search.notes

    best = search.best
    if best is None:
        raise NotApplicable(f"{method}: nothing was found that fits the amplitudes")
    ranking: tuple[SpaceGroupFigures, ...] = ()
    if best.confidence >= SOLVED or search.contradiction is not None:
        ranking = ranking_of(problem, _best_phases(search, best))
        if find_space_group:
            problem, best = _in_best_group(problem, best, ranking[0])
            data = problem.data
        elif not ranking[0].stated:
            notes.append(_better_group(data, ranking))
    placed = to_crystal_setting(problem, best, method_generator(seed, "crystal setting"))
    if best.symmetry is None:
        best = replace(best, symmetry=placed.symmetry)
    if checkpoint is not None:
        checkpoint.write(search)
    return Solution(
        solved=best.confidence >= SOLVED,
        confidence=best.confidence,
        method=best.method,
        f=np.where(np.isfinite(data.f), data.f, 0.0) * placed.fom,
        phi=placed.phi,
        fom=placed.fom,
        density=placed.density,
        space_group=data.space_group,
        hand_probability=placed.hand_probability,
        enantiomorph=placed.enantiomorph,
        origin=placed.origin,
        candidates=tuple(
            CandidateReport(c.method, c.confidence, asdict(c.figures))
            for c in search.pool.candidates
        ),
        seconds=time.monotonic() - begun + (checkpoint.seconds if checkpoint is not None else 0.0),
        starts=search.starts,
        notes=(*notes, *placed.notes),
        settings=settings,
        model=placed.model,
        space_groups=ranking,
        data=data,
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
    """The problem and the candidate in the first group of the ranking."""
    if problem.data.space_group_known and best.stated:
        return problem, candidate
    return in_found_group(problem, candidate, best.space_group)


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
