"""The solver: every method that applies, cheap ones first, until a candidate convinces."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.sequence import sequences_of
from crysformer.crystal.symmetry import expand_to_p1
from crysformer.errors import InputError, UsageError
from crysformer.models.device import pick_device
from crysformer.phasing.candidate import Candidate, settle
from crysformer.phasing.content import cell_content
from crysformer.phasing.finish import place
from crysformer.phasing.network import NotApplicable, predict
from crysformer.phasing.peptide.method import SequenceMethod, TooLarge, check_size
from crysformer.phasing.problem import PhaseProblem, phase_problem
from crysformer.phasing.search import Progress, Search
from crysformer.phasing.solution import CandidateReport, Solution
from crysformer.phasing.state import SavedSearch

METHODS = ("auto", "network", "charge-flipping", "sequence")
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
        ``"auto"``, ``"network"``, ``"charge-flipping"`` or ``"sequence"``.
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
        If ``method="network"`` and the network does not apply to this crystal.
    TooLarge
        If ``method="sequence"`` and the sequence search does not apply to it.
    """
    begun = time.monotonic()
    if method not in METHODS:
        raise UsageError(f"--method {method}: expected one of {', '.join(METHODS)}")
    if not time_limit > 0:
        raise UsageError(f"--time-limit {time_limit:g}: expected seconds above zero")
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

    if method == "auto" and not search.convinced:  # one round costs less than loading the network
        search.run(time_limit, progress, rounds=1)
    if method in ("auto", "network") and not search.convinced:
        try:
            if len(data.space_group.operations()) > 1:
                raise NotApplicable(f"it knows P 1, not {data.space_group.xhm()}")
            if search.out_of_time:
                raise NotApplicable("the time was up")
            search.refine([_network_candidate(problem, search, sequences)])
        except NotApplicable as reason:
            if method == "network":
                raise
            notes.append(f"network: not applicable ({reason})")
    placing: SequenceMethod | None = None
    if method in ("auto", "sequence") and not search.convinced:
        try:
            check_size(content, cheap=method == "auto")
            placing = SequenceMethod(data, mapping, problem, content, generator, search.deadline)
        except TooLarge as reason:
            if method == "sequence":
                raise
            notes.append(f"sequence search: not applicable ({reason})")
    while True:
        if method == "network" or search.convinced or search.out_of_time:
            break
        if placing is not None:
            search.place_sequence(placing, time_limit, progress)
        if method != "sequence" and not search.convinced:
            rounds = None if placing is None else 1
            search.run(time_limit, progress, rounds=rounds)

    best = search.best[0]
    drawn = generator.get_state()
    placed = place(data, mapping, problem, content, best, generator)
    if saved is not None:
        generator.set_state(drawn)  # placing is no part of the search, but its seconds count
        saved.write(search)
    confidence = best.confidence * placed.symmetry
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


def _network_candidate(
    problem: PhaseProblem, search: Search, sequences: tuple[str, ...]
) -> Candidate:
    """The network's phases, polished by density modification.

    Raises
    ------
    NotApplicable
        If the network does not apply to this crystal.
    """
    if not sequences:
        raise NotApplicable("it needs the sequence")
    if search.content.copies > 1:
        raise NotApplicable(f"it knows one molecule a cell, not {search.content.copies}")
    prediction = predict(problem.data, sequences, device=problem.device)
    phased = problem.data.f * np.exp(1j * np.deg2rad(prediction.phi))
    # beyond the network's resolution there is no phase, and density modification is to find one
    F = problem.to_grid(np.where(prediction.f > 0, phased, np.nan) / problem.scale)
    share = search.shares(1)
    return settle(problem, search.content, "network", F[None], share, 1, search.generator)[0]
