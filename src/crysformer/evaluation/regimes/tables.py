"""Summaries of results: by condition and method, pairs of methods, verdicts against truth."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from crysformer.evaluation.calibration import Reliability, reliability, upper_bound
from crysformer.evaluation.regimes.grid import Condition
from crysformer.evaluation.regimes.results import COLUMNS, Result
from crysformer.files import atomic_path

RIVALS = (
    ("network-polished", "random-polished"),
    ("network-search", "charge-flipping"),
    ("solve", "charge-flipping"),
    ("sequence", "charge-flipping"),
    ("solve", "sequence"),
)
"""Pairs of methods that differ by one ingredient; those not measured are left out."""


@dataclass(frozen=True)
class Summary:
    """Summary of one method under one condition.

    Attributes
    ----------
    cell, method
        Name of the condition (stored files call it the cell of the grid), and method.
    n
        Crystals tried, without crashes.
    n_not_applicable, n_crashed
        Numbers of crystals that the method declined, and on which it crashed.
    solved_share
        Fraction solved of the crystals tried; one that a method declines counts as not solved.
        None if it declined all.
    mean_phase_error, weighted_phase_error, pc
        Means over the crystals with phases (aligned, degrees); None if there is none.
    seconds
        Mean over the crystals with phases.
    claimed, false_claims
        Numbers of crystals claimed solved, and of those claimed falsely; None if the method gives
        no verdicts.
    """

    cell: str
    method: str
    n: int
    n_not_applicable: int
    n_crashed: int
    solved_share: float | None
    mean_phase_error: float | None
    weighted_phase_error: float | None
    pc: float | None
    seconds: float | None
    claimed: int | None
    false_claims: int | None


def summarise(
    results: Iterable[Result], conditions: Sequence[Condition], methods: Sequence[str]
) -> list[Summary]:
    """Summarise each condition and method that has results, in the order of both."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        groups.setdefault((result.cell, result.method), []).append(result)
    keys = [(condition.name, method) for condition in conditions for method in methods]
    return [_summary(*key, groups[key]) for key in keys if key in groups]


def _summary(cell: str, method: str, results: Sequence[Result]) -> Summary:
    done = [r for r in results if r.status == "done"]
    declined = sum(r.status == "not applicable" for r in results)
    verdicts = [r for r in done if r.claimed is not None]
    n = len(done) + declined

    def mean(name: str) -> float | None:
        return float(np.mean([getattr(r, name) for r in done])) if done else None

    return Summary(
        cell=cell,
        method=method,
        n=n,
        n_not_applicable=declined,
        n_crashed=len(results) - n,
        solved_share=sum(r.solved for r in done) / n if done else None,
        mean_phase_error=mean("mean_phase_error"),
        weighted_phase_error=mean("weighted_phase_error"),
        pc=mean("pc"),
        seconds=mean("seconds"),
        claimed=sum(bool(r.claimed) for r in verdicts) if verdicts else None,
        false_claims=sum(r.false_claim for r in verdicts) if verdicts else None,
    )


@dataclass(frozen=True)
class Comparison:
    """Comparison of two methods on the crystals that both were tried on.

    Attributes
    ----------
    first, second
        The methods.
    n
        Crystals to which the first applies.
    both, only_first, only_second
        Numbers of these solved by both, by the first alone, and by the second alone.
    p_value
        Two-sided sign test of the crystals that only one solved; 1 if there is none.
    helps, harms
        Conditions where the first solved more, and fewer, of its crystals than the second.
    not_applicable
        Conditions all of whose crystals the first declines.
    """

    first: str
    second: str
    n: int
    both: int
    only_first: int
    only_second: int
    p_value: float
    helps: tuple[str, ...]
    harms: tuple[str, ...]
    not_applicable: tuple[str, ...]


def compare_methods(
    results: Iterable[Result], conditions: Sequence[Condition], first: str, second: str
) -> Comparison | None:
    """Compare two methods crystal by crystal; None if they have no crystal in common."""
    by_key = {result.key: result for result in results}
    pairs = [
        (result, by_key[cell, number, second])
        for (cell, number, method), result in by_key.items()
        if method == first and (cell, number, second) in by_key
    ]
    pairs = [(a, b) for a, b in pairs if "crashed" not in (a.status, b.status)]
    if not pairs:
        return None
    tried = [(a, b) for a, b in pairs if a.status == "done"]
    names = [condition.name for condition in conditions]
    balance = {name: sum(a.solved - b.solved for a, b in tried if a.cell == name) for name in names}
    seen, used = {a.cell for a, _ in pairs}, {a.cell for a, _ in tried}
    only_first = sum(a.solved and not b.solved for a, b in tried)
    only_second = sum(b.solved and not a.solved for a, b in tried)
    differ = only_first + only_second
    return Comparison(
        first=first,
        second=second,
        n=len(tried),
        both=sum(a.solved and b.solved for a, b in tried),
        only_first=only_first,
        only_second=only_second,
        p_value=float(binomtest(only_first, differ).pvalue) if differ else 1.0,
        helps=tuple(name for name in names if balance[name] > 0),
        harms=tuple(name for name in names if balance[name] < 0),
        not_applicable=tuple(name for name in names if name in seen - used),
    )


@dataclass(frozen=True)
class Verdicts:
    """Reliability of one method's own verdicts.

    Attributes
    ----------
    method
        Method.
    n
        Crystals that it gave a verdict on.
    claimed, false_claims
        Numbers of crystals claimed solved, and of those claimed falsely.
    upper_bound
        95 % upper bound on the fraction of false claims among the n.
    reliability
        Confidence against truth.
    """

    method: str
    n: int
    claimed: int
    false_claims: int
    upper_bound: float
    reliability: Reliability | None


def verdicts(
    results: Iterable[Result], choose: Callable[[Result], bool] = lambda result: True
) -> list[Verdicts]:
    """Verdicts of each method that gives any, over the results that `choose` accepts."""
    by_method: dict[str, list[Result]] = {}
    for result in results:
        if result.status == "done" and result.claimed is not None and choose(result):
            by_method.setdefault(result.method, []).append(result)
    found = []
    for method, judged in by_method.items():
        rated = [(r.confidence, r.solved) for r in judged if r.confidence is not None]
        false = sum(r.false_claim for r in judged)
        found.append(
            Verdicts(
                method=method,
                n=len(judged),
                claimed=sum(bool(r.claimed) for r in judged),
                false_claims=false,
                upper_bound=upper_bound(false, len(judged)),
                reliability=reliability([c for c, _ in rated], [s for _, s in rated])
                if rated
                else None,
            )
        )
    return found


def write_summaries(summaries: Sequence[Summary], path: Path) -> None:
    """Write one tab-separated line for each condition and method."""
    _write(path, [field.name for field in fields(Summary)], [asdict(s) for s in summaries])


def write_results(results: Iterable[Result], path: Path) -> None:
    """Write one tab-separated line for each crystal and method."""
    _write(path, COLUMNS, [asdict(result) for result in results])


def _write(path: Path, columns: Sequence[str], rows: Sequence[dict[str, object]]) -> None:
    with atomic_path(path) as temporary, temporary.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, columns, delimiter="\t")
        writer.writeheader()
        writer.writerows(rows)
