"""The solver: amplitudes to phases and a verdict."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from crysformer.crystal.molecular_formula import formula_of
from crysformer.crystal.quality.outliers import wilson_outliers, without_outliers
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import InputError, NotApplicable, UsageError
from crysformer.models.device import pick_device
from crysformer.peptide.sequence_file import sequences_of
from crysformer.phasing.checkpoint import Checkpoint
from crysformer.phasing.conclusion import SOLVED, Conclusion, conclude
from crysformer.phasing.method import check_method
from crysformer.phasing.problem import phasing_problem
from crysformer.phasing.search import Search
from crysformer.phasing.settings import SolveSettings
from crysformer.phasing.solution import CandidateReport, Solution
from crysformer.progress import Progress, begin_stage, ending_stage
from crysformer.settings import check_ranges
from crysformer.signals import uninterrupted
from crysformer.wording import counted

_MIN_REFLECTIONS = 30


@ending_stage
def solve(
    data: CrystalData,
    sequence: str | Sequence[str] | None = None,
    *,
    composition: str | Mapping[str, int] | None = None,
    method: str = "auto",
    time_limit: float = 120.0,
    copies: int | None = None,
    seed: int = 0,
    device: str = "auto",
    settings: SolveSettings | None = None,
    progress: Progress | None = None,
    state: str | Path | None = None,
    resume: bool = False,
    return_interrupted: bool = False,
    begun: float | None = None,
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
    composition
        Molecular formula of the asymmetric unit or of one molecule, such as ``"C45H60N4O4"``, or
        atoms by element, in place of a sequence. Hydrogens count for the scattering only.
    method
        ``"auto"`` (every one that applies) or a name of `crysformer.phasing.method.METHODS`.
    time_limit
        Seconds after which no new turn is begun and the best candidate is taken. Rating and placing
        it take a few seconds more at most.
    copies
        Copies of all chains or of the formula in the asymmetric unit; estimated by default.
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
        Continue from `state`, if it is there, for `time_limit` seconds more; a note says if it is
        not.
    return_interrupted
        On Ctrl-C or SIGTERM, return the best candidate so far with the `interruption`, instead of
        raising it; a second signal is not caught.
    begun
        `time.monotonic` from which `time_limit` counts; now by default.
    find_space_group
        Rely on the Laue class of the data alone, and return a convincing solution in the space
        group that its phases support (`Solution.data` has the measurements merged in it). Always
        so for data of unknown space group. Otherwise the solution stays in the stated group, and
        a note names a better one.

    Returns
    -------
    Solution
        The most convincing phases that were found, also where they are not claimed to be right
        (`Solution.solved`).

    Raises
    ------
    KeyboardInterrupt
        On Ctrl-C or SIGTERM, after `state` is written.
    UsageError
        If an option has no meaning.
    InputError
        If the amplitudes, the sequence or the state cannot be used.
    NotApplicable
        If one method was asked for and it does not apply to this crystal, or found nothing.
    """
    begun = time.monotonic() if begun is None else begun
    check_method(method)
    if not time_limit > 0:
        raise UsageError(f"`time_limit` is {time_limit:g}: expected seconds above zero")
    if seed < 0:
        raise UsageError(f"`seed` is {seed}: expected a whole number from 0")
    settings = settings or SolveSettings()
    check_ranges(settings)
    sequences = sequences_of(sequence)
    formula = formula_of(composition)
    n_measured = int(data.measured.sum())
    if n_measured < _MIN_REFLECTIONS:
        raise InputError(
            f"{data.source}: {counted(n_measured, 'amplitude')}, too few to phase; expected at "
            "least "
            f"{_MIN_REFLECTIONS}"
        )
    suspected = wilson_outliers(data)
    problem = phasing_problem(
        without_outliers(data, suspected), sequences, copies, pick_device(device), formula
    )
    find_space_group = find_space_group or not data.space_group_known
    begin_stage(progress, "solving", time_limit)
    search = Search(problem, method, settings, time_limit, seed, progress, begun, find_space_group)
    notes = [*data.notes, *problem.content.notes]
    checkpoint = None
    if state is not None:
        options = {"method": method, "seed": seed, "time_limit": time_limit}
        checkpoint = Checkpoint(state, problem, options)
        if resume and checkpoint.restore(search):
            notes.append(
                f"resumed after {checkpoint.seconds:.0f} s and {counted(search.starts, 'start')}"
            )
        elif resume:
            notes.append(f"no {checkpoint.path.name} to resume from: the search started anew")
    interruption = _run(search, checkpoint)
    notes += search.notes

    best = search.best
    if best is None and interruption is None:
        raise NotApplicable(f"{method}: nothing was found that fits the amplitudes")
    if interruption is not None and (best is None or not return_interrupted):
        what = "no candidate was found yet" if best is None else "the search was not complete"
        kept = "" if checkpoint is None else "; the state is kept, pass `resume` to go on"
        raise type(interruption)(f"{what}{kept}") from interruption
    assert best is not None
    end: Conclusion | None = None
    try:
        with uninterrupted():
            end = conclude(data, suspected, search, best, seed, interruption is not None)
            if checkpoint is not None:
                checkpoint.write(search)
    except KeyboardInterrupt as late:
        if end is None or not return_interrupted:
            raise
        interruption = late
    chosen, placed = end.candidate, end.placed  # its confidence may include the symmetry only now
    ranked = [chosen if c is best else c for c in search.pool.candidates]
    return Solution(
        solved=chosen.confidence >= SOLVED,
        confidence=chosen.confidence,
        method=chosen.method,
        f=np.where(np.isfinite(end.data.f), end.data.f, 0.0) * end.fom,
        phi=placed.phi,
        fom=end.fom,
        density=end.density,
        space_group=end.data.space_group,
        hand_probability=placed.hand_probability,
        enantiomorph=placed.enantiomorph,
        origin=placed.origin,
        candidates=tuple(
            CandidateReport(c.method, c.confidence, asdict(c.figures)) for c in ranked
        ),
        seconds=time.monotonic() - begun + (checkpoint.seconds if checkpoint is not None else 0.0),
        starts=search.starts,
        notes=(*notes, *end.notes),
        settings=settings,
        model=placed.model,
        sequence=end.sequence,
        interruption=interruption,
        atoms=end.atoms,
        space_groups=end.space_groups,
        data=end.data,
        course=tuple(search.course),
    )


def _run(search: Search, checkpoint: Checkpoint | None) -> KeyboardInterrupt | None:
    """Run the search; on Ctrl-C or SIGTERM write its state, and return the interruption."""
    interruption = None
    try:
        search.run(checkpoint)
    except KeyboardInterrupt as stop:
        interruption = stop
    except NotApplicable:
        if checkpoint is not None and not search.starts:  # nothing to go on from
            checkpoint.path.unlink(missing_ok=True)
        raise
    if checkpoint is not None:
        with uninterrupted():
            checkpoint.write(search)
    return interruption
