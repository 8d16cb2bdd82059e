"""Runs of programs on crystals, in turns on one core, recorded so that they can be resumed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from crysformer.crystal.comparison.compare import SOLVED_COSINE
from crysformer.errors import CrysformerError, UsageError
from crysformer.evaluation.peers.crystals import PeerCrystal
from crysformer.evaluation.peers.program import Job, Program
from crysformer.evaluation.peers.results import PeerResult
from crysformer.evaluation.phases.score import score_phases
from crysformer.evaluation.phases.truth import read_truth
from crysformer.evaluation.record import Record
from crysformer.processes import Run, run_command

#: A program is killed after this many times its time limit and these seconds.
_PATIENCE, _MORE = 5.0, 120.0


def run_peers(
    log: Record[PeerResult],
    crystals: Sequence[PeerCrystal],
    programs: Sequence[Program],
    seeds: Sequence[int],
    time_limit: float,
    budget: float | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> None:
    """Run every program on every crystal with every seed, leaving out what `log` holds.

    All crystals are run with one seed before the next, so that a run which ends early has tried all
    of them. Programs take turns on each crystal, with every second seed in reverse order, so that a
    machine which slows down or speeds up does so for all.

    Parameters
    ----------
    log
        Record of the results so far, to which new ones are appended.
    crystals, programs, seeds
        What to run.
    time_limit
        Seconds of each run, wall time.
    budget
        Minutes after which no further run is begun.
    progress
        Called with the fraction done and a text after every run.
    """
    deadline = None if budget is None else time.monotonic() + 60 * budget
    work = [
        (crystal, program, seed)
        for turn, seed in enumerate(seeds)
        for crystal in crystals
        for program in (programs if turn % 2 == 0 else programs[::-1])
    ]
    todo = set(log.missing([(c.name, p.name, seed) for c, p, seed in work]))
    work = [item for item in work if (item[0].name, item[1].name, item[2]) in todo]
    for done, (crystal, program, seed) in enumerate(work, start=1):
        if deadline is not None and time.monotonic() > deadline:
            return
        result = run_one(crystal, program, seed, time_limit)
        log.append(result)
        if progress is not None:
            progress(done / len(work), f"{done} of {len(work)}: {crystal.name} {program.name}")


def refuse_other_versions(log: Record[PeerResult], programs: Sequence[Program]) -> None:
    """Refuse to add runs of a program to those of another version of it.

    Raises
    ------
    UsageError
        If `log` holds such runs.
    """
    now = {program.name: program.version for program in programs}
    for result in log.results.values():
        if result.version != now.get(result.program, result.version):
            raise UsageError(
                f"{log.folder}: holds runs of {result.program} {result.version}, not of "
                f"{now[result.program]}; results are not comparable, choose another folder"
            )


def run_one(crystal: PeerCrystal, program: Program, seed: int, time_limit: float) -> PeerResult:
    """Run one program on one crystal, and score its phases if the truth is known."""
    result = PeerResult(crystal.name, program.name, seed, "done", version=program.version)
    reason = program.declines(crystal)
    if reason:
        return replace(result, status="not applicable", message=reason)
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        job = Job(crystal, seed, time_limit, Path(folder))
        command = program.command(job)
        run = run_command(command, _PATIENCE * time_limit + _MORE, program.environment())
        result = replace(result, cpu_seconds=run.cpu_seconds, seconds=run.seconds)
        try:
            return _scored(result, crystal, program, job, run)
        except (CrysformerError, OSError, ValueError, KeyError) as error:
            message = " ".join(str(error).split())
            return replace(result, status="crashed", message=f"{type(error).__name__}: {message}")


def _scored(
    result: PeerResult, crystal: PeerCrystal, program: Program, job: Job, run: Run
) -> PeerResult:
    outcome = program.outcome(job, run)
    result = replace(
        result,
        claimed=bool(outcome.claimed),
        confidence=outcome.confidence,
        stopped=outcome.stopped,
        figures=outcome.figures,
    )
    if crystal.truth is None:
        return result
    truth = read_truth(crystal.truth)
    found = score_phases(outcome.phases, truth)
    exact = crystal.simulated
    return replace(
        result,
        solved=found.score.cosine_aligned >= SOLVED_COSINE if exact else found.solved,
        weighted_phase_error=round(found.score.weighted_phase_error_aligned, 2),
        pc=round(found.score.pc_aligned, 4),
    )
