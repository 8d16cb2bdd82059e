"""The solver: every method that applies, cheap ones first, until a candidate convinces."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.symmetry import expand_to_p1
from crysformer.errors import InputError, UsageError
from crysformer.models.device import pick_device
from crysformer.peptide.sequence_file import sequences_of
from crysformer.phasing.candidate_pool import Progress, Search
from crysformer.phasing.cell_content import cell_content
from crysformer.phasing.checkpoint import SavedSearch
from crysformer.phasing.origin.crystal_setting import place, symmetry_of
from crysformer.phasing.problem import phase_problem
from crysformer.phasing.solution import CandidateReport, Solution
from crysformer.phasing.strategy import METHODS, Schedule

SOLVED = 0.9
"""Confidence from which a solution is called solved."""
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
    progress: Progress | None = None,
    state: str | Path | None = None,
    resume: bool = False,
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
        ``"auto"`` (every one that applies), ``"charge-flipping"``, ``"raar"``, ``"network"``,
        ``"fragments"`` or ``"sequence"``.
    time_limit
        Seconds after which no new batch of starts is begun and the best candidate is taken.
    copies
        Copies of all chains in the asymmetric unit; by default estimated.
    seed
        Of the random starts: the same seed tries the same starts.
    device
        ``"auto"`` (CUDA if there is one), ``"cpu"``, ``"cuda"``, ``"mps"``.
    progress
        Called with the share of the time used and a short text.
    state
        A file (``state.safetensors``) to keep what was found in, written as rounds go; one that is
        there is replaced.
    resume
        Go on from `state`, if it is there, for another `time_limit`.

    Raises
    ------
    UsageError
        If an option has no meaning.
    InputError
        If the amplitudes, the sequence or the state cannot be used.
    NotApplicable
        If one method was asked for and it does not apply to this crystal.
    """
    begun = time.monotonic()
    if method not in METHODS:
        raise UsageError(f"`method` is {method}: expected one of {', '.join(METHODS)}")
    if not time_limit > 0:
        raise UsageError(f"`time_limit` is {time_limit:g}: expected seconds above zero")
    sequences = sequences_of(sequence)
    n_measured = int(data.measured.sum())
    if n_measured < _MIN_REFLECTIONS:
        raise InputError(
            f"{data.source}: {n_measured} amplitudes, too few to phase; expected at least "
            f"{_MIN_REFLECTIONS}"
        )
    content = cell_content(data, sequences, copies)
    p1, mapping = expand_to_p1(data)
    problem = phase_problem(p1, pick_device(device), mapping.parent)
    generator = torch.Generator().manual_seed(seed)
    search = Search(problem, content, generator, begun + time_limit)
    if len(data.space_group.operations()) > 1:
        search.symmetry = functools.partial(symmetry_of, data, problem)
    notes = [*data.notes, *content.notes]
    saved = None
    if state is not None:
        options = {"method": method, "seed": seed, "time_limit": time_limit}
        saved = SavedSearch(state, data, sequences, content.copies, options)
        if not resume:
            saved.path.unlink(missing_ok=True)
        elif saved.restore(search):
            notes.append(f"resumed after {saved.seconds:.0f} s and {search.starts} starts")
        search.keep = saved.keep

    schedule = Schedule(method, data, mapping, search, time_limit, progress)
    schedule.run()
    notes += schedule.notes

    best = search.best[0]
    drawn = generator.get_state()
    placed = place(data, mapping, problem, content, best, generator)
    if saved is not None:
        generator.set_state(drawn)  # placing is no part of the search, but its seconds count
        saved.write(search)
    confidence = best.confidence * (placed.symmetry if best.symmetry is None else 1.0)
    return Solution(
        solved=confidence >= SOLVED,
        confidence=confidence,
        method=best.method,
        f=np.where(np.isfinite(data.f), data.f, 0.0) * placed.fom,
        phi=placed.phi,
        fom=placed.fom,
        density=placed.density,
        space_group=data.space_group,
        hand_probability=placed.hand,
        enantiomorph=placed.agreement,
        origin=placed.origin,
        candidates=tuple(CandidateReport(c.method, c.confidence, c.figures) for c in search.best),
        seconds=time.monotonic() - begun + (saved.seconds if saved is not None else 0.0),
        starts=search.starts,
        notes=(*notes, *placed.notes),
        model=placed.model,
    )
