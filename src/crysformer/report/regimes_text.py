"""Markdown reports of the benchmark grid and of the controls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from crysformer.evaluation.regimes.controls import CONTROLS
from crysformer.evaluation.regimes.grid import Condition
from crysformer.evaluation.regimes.results import Result
from crysformer.evaluation.regimes.tables import (
    RIVALS,
    Comparison,
    Summary,
    Verdicts,
    compare_methods,
    summarise,
    verdicts,
)


def regimes_report(
    results: Sequence[Result],
    conditions: Sequence[Condition],
    methods: Sequence[str],
    head: str,
    figures: Sequence[str] = (),
) -> str:
    """Report on the benchmark grid.

    Parameters
    ----------
    results
        Results of the run.
    conditions, methods
        Conditions and methods in the order of the tables.
    head
        Paragraph with date, machine and options.
    figures
        Names of figures beside the report.
    """
    summaries = summarise(results, conditions, methods)
    lines = ["# Every method on the same crystals", "", head, ""]
    lines += [
        "Solved: F²-weighted mean cosine of the aligned phase error ≥ 0.85. Fractions are of all",
        "crystals of a condition; n/a: the method does not apply. The names of the conditions are",
        "explained in docs/benchmarks.md.",
        "",
        *(f"![{name}]({name})\n" for name in figures),
        "## Where the network helps, and where it does not",
        "",
        *_comparisons(results, conditions),
        "",
        "## All methods together",
        "",
        *_overall(results, methods),
        "",
        "## Verdicts",
        "",
        *verdict_table(verdicts(results)),
        "",
        "## Conditions",
        "",
        *_condition_table(summaries, conditions, methods),
    ]
    crashed = [result for result in results if result.status == "crashed"]
    if crashed:
        lines += ["", "## Crashes", ""]
        lines += [f"- {r.method} on {r.cell}, crystal {r.number}: {r.message}" for r in crashed]
    return "\n".join(lines) + "\n"


def controls_report(
    results: Sequence[Result], methods: Sequence[str], head: str, figures: Sequence[str] = ()
) -> str:
    """Report on claims about crystals that cannot be solved; arguments as `regimes_report`."""
    lines = [
        "# False claims on crystals that cannot be solved",
        "",
        head,
        "",
        "A claim is false if the phases are wrong or the amplitudes random; a claim on a crystal",
        "that was solved against expectation is right. The bound is Clopper and Pearson's,",
        "one-sided, 95 %.",
        "",
        *verdict_table(verdicts(results)),
        "",
        *(f"![{name}]({name})\n" for name in figures),
        "| control | method | n | claimed | false claims | solved | seconds |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for s in summarise(results, CONTROLS, methods):
        shown = (s.cell, s.method, s.n, s.claimed, s.false_claims, _fraction(s), _number(s.seconds))
        lines.append("| " + " | ".join("–" if v is None else str(v) for v in shown) + " |")
    return "\n".join(lines) + "\n"


def verdict_table(found: Iterable[Verdicts]) -> list[str]:
    """Table with one row for each method that gives verdicts, as lines of Markdown."""
    lines = [
        "| method | n | claimed | false claims | 95 % upper bound | ECE | Brier |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for v in found:
        rated = v.reliability
        ece, brier = (f"{rated.ece:.3f}", f"{rated.brier:.3f}") if rated else ("–", "–")
        lines.append(
            f"| {v.method} | {v.n} | {v.claimed} | {v.false_claims} | {v.upper_bound:.2%} "
            f"| {ece} | {brier} |"
        )
    return lines if len(lines) > 2 else ["No method gave a verdict."]


def _comparisons(results: Sequence[Result], conditions: Sequence[Condition]) -> list[str]:
    lines = []
    for first, second in RIVALS:
        found = compare_methods(results, conditions, first, second)
        if found is not None:
            lines += _comparison(found)
    return lines or ["No two methods that differ by one ingredient were measured."]


def _comparison(found: Comparison) -> list[str]:
    def listed(names: tuple[str, ...]) -> str:
        return ", ".join(names) or "none"

    first, second = found.first, found.second
    verdict = "no difference beyond chance"
    if found.n == 0:
        verdict = f"{first} applies to none of them"
    elif found.p_value < 0.05:
        verdict = f"{first if found.only_first > found.only_second else second} solves more"
    return [
        f"**{first} against {second}**: {verdict}. Of {found.n} crystals {found.both} are solved",
        f"by both, {found.only_first} by {first} alone, {found.only_second} by {second} alone",
        f"(sign test p = {found.p_value:.2g}).",
        "",
        f"- more solved with {first}: {listed(found.helps)}",
        f"- fewer: {listed(found.harms)}",
        f"- {first} does not apply: {listed(found.not_applicable)}",
        "",
    ]


def _overall(results: Sequence[Result], methods: Sequence[str]) -> list[str]:
    lines = [
        "| method | crystals | solved | n/a | crashed | solved per core-hour |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for method in methods:
        own = [r for r in results if r.method == method]
        if not own:
            continue
        solved = sum(r.solved for r in own)
        hours = sum(r.seconds for r in own) / 3600
        rate = f"{solved / hours:.0f}" if hours else "–"
        declined, crashed = (
            sum(r.status == status for r in own) for status in ("not applicable", "crashed")
        )
        lines.append(
            f"| {method} | {len(own)} | {solved / len(own):.1%} | {declined} | {crashed} | {rate} |"
        )
    return lines


def _condition_table(
    summaries: Sequence[Summary], conditions: Sequence[Condition], methods: Sequence[str]
) -> list[str]:
    by_key = {(s.cell, s.method): s for s in summaries}
    methods = [m for m in methods if any(s.method == m for s in summaries)]
    lines = [
        "| condition | n | " + " | ".join(methods) + " |",
        "|---|---:|" + "---:|" * len(methods),
    ]
    for condition in conditions:
        row = [by_key.get((condition.name, method)) for method in methods]
        counts = [s.n for s in row if s is not None]
        if counts:
            shown = [_shown(s) for s in row]
            lines.append(f"| {condition.name} | {max(counts)} | " + " | ".join(shown) + " |")
    return lines


def _shown(summary: Summary | None) -> str:
    if summary is None or (not summary.n and not summary.n_crashed):
        return ""
    if not summary.n:
        return "crashed"
    if summary.solved_share is None:
        return "n/a"
    false = f", {summary.false_claims} false" if summary.false_claims else ""
    return f"{_fraction(summary)} ({_number(summary.seconds)} s{false})"


def _fraction(summary: Summary) -> str:
    return "n/a" if summary.solved_share is None else f"{summary.solved_share:.0%}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"
