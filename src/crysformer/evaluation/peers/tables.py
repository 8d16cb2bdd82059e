"""Summaries of programs on crystals, and their times in pairs."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np

from crysformer.evaluation.peers.results import COLUMNS, PeerResult
from crysformer.files import atomic_path


@dataclass(frozen=True)
class PeerSummary:
    """One program on one crystal, over the seeds.

    Attributes
    ----------
    crystal, program
        What was run.
    n
        Runs without crashes and without those that do not apply.
    solved
        Runs with right phases (without a truth: claimed runs).
    known
        True if the truth is known.
    majority
        True if more than half of the runs are `solved`.
    claimed, false_claims
        Runs that the program claimed, and of those the wrong ones.
    cpu_seconds
        Median CPU time of a run, from the start of the process to its end.
    cpu_seconds_per_solution
        CPU time of all runs for each that solved the crystal; None if none did.
    weighted_phase_error
        Median of the solved runs, or of all if none solved it, degrees; None without a truth.
    """

    crystal: str
    program: str
    n: int
    solved: int
    known: bool
    majority: bool
    claimed: int
    false_claims: int
    cpu_seconds: float
    cpu_seconds_per_solution: float | None
    weighted_phase_error: float | None


def summarise(results: Iterable[PeerResult]) -> list[PeerSummary]:
    """Summarise each crystal and program that has a run, in the order of the results."""
    groups: dict[tuple[str, str], list[PeerResult]] = {}
    for result in results:
        if result.status == "done":
            groups.setdefault((result.crystal, result.program), []).append(result)
    return [_summary(*key, runs) for key, runs in groups.items()]


def _summary(crystal: str, program: str, runs: Sequence[PeerResult]) -> PeerSummary:
    right = [run for run in runs if run.succeeded]
    errors = [
        run.weighted_phase_error for run in right or runs if run.weighted_phase_error is not None
    ]
    spent = sum(run.cpu_seconds for run in runs)
    return PeerSummary(
        crystal=crystal,
        program=program,
        n=len(runs),
        solved=len(right),
        known=runs[0].solved is not None,
        majority=2 * len(right) > len(runs),
        claimed=sum(bool(run.claimed) for run in runs),
        false_claims=sum(run.false_claim for run in runs),
        cpu_seconds=round(float(np.median([run.cpu_seconds for run in runs])), 2),
        cpu_seconds_per_solution=round(spent / len(right), 2) if right else None,
        weighted_phase_error=round(float(np.median(errors)), 1) if errors else None,
    )


@dataclass(frozen=True)
class Pair:
    """Two programs on the crystals that both were tried on.

    Attributes
    ----------
    first, second
        The programs.
    n
        Crystals.
    both, only_first, only_second
        Numbers of these solved in the majority of the seeds by both, and by one alone.
    ratios
        Median CPU time of the first in units of that of the second, for each crystal that both
        solved.
    ratio
        Geometric mean of `ratios`; None if there is none.
    """

    first: str
    second: str
    n: int
    both: int
    only_first: int
    only_second: int
    ratios: dict[str, float]
    ratio: float | None


def compare(summaries: Sequence[PeerSummary], first: str, second: str) -> Pair | None:
    """Compare two programs crystal by crystal; None if they have none in common."""
    by_key = {(s.crystal, s.program): s for s in summaries}
    pairs = [
        (s, by_key[s.crystal, second])
        for s in summaries
        if s.program == first and (s.crystal, second) in by_key
    ]
    if not pairs:
        return None
    ratios = {
        a.crystal: round(a.cpu_seconds / b.cpu_seconds, 2)
        for a, b in pairs
        if a.majority and b.majority and b.cpu_seconds > 0
    }
    return Pair(
        first=first,
        second=second,
        n=len(pairs),
        both=sum(a.majority and b.majority for a, b in pairs),
        only_first=sum(a.majority and not b.majority for a, b in pairs),
        only_second=sum(b.majority and not a.majority for a, b in pairs),
        ratios=ratios,
        ratio=round(float(np.exp(np.mean(np.log(list(ratios.values()))))), 2) if ratios else None,
    )


OURS = ("solve", "solve-sequence")
OTHER = "other-"  # prefix of the second installation's programs


def all_pairs(summaries: Sequence[PeerSummary]) -> list[Pair]:
    """Each of our programs with each peer, and with itself in the second installation."""
    programs = list(dict.fromkeys(s.program for s in summaries))
    peers = [p for p in programs if p not in OURS and not p.startswith(OTHER)]
    wanted = [(ours, peer) for ours in OURS for peer in (*peers, OTHER + ours)]
    found = (compare(summaries, first, second) for first, second in wanted)
    return [pair for pair in found if pair is not None]


def write_runs(results: Iterable[PeerResult], path: Path) -> None:
    """Write one tab-separated line for each run."""
    columns = [name for name in COLUMNS if name != "figures"]
    rows = [{name: getattr(result, name) for name in columns} for result in results]
    _write(path, columns, rows)


def write_summaries(summaries: Sequence[PeerSummary], path: Path) -> None:
    """Write one tab-separated line for each crystal and program."""
    _write(path, [f.name for f in fields(PeerSummary)], [asdict(s) for s in summaries])


def _write(path: Path, columns: Sequence[str], rows: Sequence[dict[str, object]]) -> None:
    with atomic_path(path) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns, delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)
