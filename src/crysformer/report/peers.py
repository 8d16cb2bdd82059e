"""Tables of programs side by side, written beside the record of their runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from crysformer.evaluation.peers.program import Program
from crysformer.evaluation.peers.results import PeerResult
from crysformer.evaluation.peers.tables import (
    Pair,
    PeerSummary,
    all_pairs,
    summarise,
    write_runs,
    write_summaries,
)
from crysformer.evaluation.record import Record
from crysformer.files import atomic_path, write_json
from crysformer.report.hardware import machine


def write_peers(
    log: Record[PeerResult],
    programs: Mapping[str, Program],
    skipped: Mapping[str, str],
    note: str,
) -> dict[str, Any]:
    """Write all results so far: peers.json, peers.tsv, runs.tsv and peers.md.

    Parameters
    ----------
    log
        Results; the files go into its folder.
    programs
        Programs by name, in the order of the tables.
    skipped
        Programs that could not be run, with the reason.
    note
        Options of the run, for the head.

    Returns
    -------
    dict
        Content of peers.json.
    """
    rank = {name: i for i, name in enumerate(programs)}
    order = {name: i for i, name in enumerate(dict.fromkeys(key[0] for key in log.results))}
    results = sorted(
        log.results.values(),
        key=lambda r: (order[r.crystal], rank.get(r.program, len(rank)), r.seed),
    )
    summaries = summarise(results)
    pairs = all_pairs(summaries)
    versions = {result.program: result.version for result in results if result.version}
    content = {
        "note": note,
        "machine": machine(),
        "programs": {
            name: {"description": programs[name].description, "version": version}
            for name in programs
            if (version := versions.get(name))
        },
        "skipped": dict(skipped),
        "summaries": [asdict(summary) for summary in summaries],
        "pairs": [asdict(pair) for pair in pairs],
        "runs": [asdict(result) for result in results],
    }
    folder = log.folder
    write_json(folder / "peers.json", content)
    write_summaries(summaries, folder / "peers.tsv")
    write_runs(results, folder / "runs.tsv")
    with atomic_path(folder / "peers.md") as temporary:
        temporary.write_text(peers_report(content), encoding="utf-8")
    return content


def peers_report(content: Mapping[str, Any], title: str = "Programs side by side") -> str:
    """Format the content of peers.json as Markdown."""
    summaries = [PeerSummary(**one) for one in content["summaries"]]
    pairs = [Pair(**one) for one in content["pairs"]]
    crashed = [PeerResult(**run) for run in content["runs"] if run["status"] == "crashed"]
    lines = [f"# {title}", "", f"{content['note']} {content['machine']}.", ""]
    lines += [
        f"- **{name}**: {about['description']} ({about['version']})"
        for name, about in content["programs"].items()
    ]
    lines += [f"- **{name}** was skipped: {why}" for name, why in content["skipped"].items()]
    lines += ["", *crystal_table(summaries, content["programs"]), "", *EXPLANATION]
    if pairs:
        lines += ["", *pair_table(pairs)]
    if crashed:
        lines += ["", "Runs that ended without a result:", ""]
        lines += [f"- {r.program} on {r.crystal}, seed {r.seed}: {r.message}" for r in crashed]
    return "\n".join(lines) + "\n"


EXPLANATION = (
    "Each cell: seeds solved of seeds run, median CPU seconds of a run from the start of the",
    "process to its end, and median F-weighted phase error of the solved runs (of all, if none is",
    "solved) over the measured reflections, origin and hand aligned. Solved: at most 40° to the",
    "deposited model, or a mean cosine of at least 0.85 for simulated crystals. Where no model is",
    "known the count is of runs that the program itself claims, in parentheses. \"! n false\": n",
    "runs with wrong phases that the program claims, or ends as converged. The truth is used for",
    "scoring alone; what stops each program is said above.",
)  # fmt: skip


def crystal_table(summaries: Sequence[PeerSummary], order: Iterable[str] = ()) -> list[str]:
    """One row for each crystal, one column for each program, those of `order` first."""
    measured = dict.fromkeys(s.program for s in summaries)
    programs = [*(name for name in order if name in measured)]
    programs += [name for name in measured if name not in programs]
    by_key = {(s.crystal, s.program): s for s in summaries}
    lines = [f"| crystal | {' | '.join(programs)} |", "|---|" + "---|" * len(programs)]
    for crystal in dict.fromkeys(s.crystal for s in summaries):
        cells = [_cell(by_key.get((crystal, program))) for program in programs]
        lines.append(f"| {crystal} | {' | '.join(cells)} |")
    return lines


def _cell(summary: PeerSummary | None) -> str:
    if summary is None:
        return "-"
    count = f"{summary.solved} of {summary.n}"
    parts = [count if summary.known else f"({count})", f"{summary.cpu_seconds:.1f} s"]
    if summary.weighted_phase_error is not None:
        parts.append(f"{summary.weighted_phase_error:.1f}°")
    text = ", ".join(parts)
    if summary.majority:
        text = f"**{text}**"
    return f"{text} ! {summary.false_claims} false" if summary.false_claims else text


def pair_table(pairs: Sequence[Pair]) -> list[str]:
    """Numbers of crystals solved in the majority of the seeds, and ratios of time, by pair."""
    lines = [
        "Crystals solved in the majority of the seeds, in pairs, and CPU time of the first program",
        "divided by that of the second where both solve it (geometric mean, then each crystal):",
        "",
        "| first | second | crystals | both | first alone | second alone | time ratio | each |",
        "|---|---|---:|---:|---:|---:|---:|---|",
    ]
    for pair in pairs:
        each = ", ".join(f"{name} {ratio:g}" for name, ratio in pair.ratios.items())
        ratio = "-" if pair.ratio is None else f"{pair.ratio:g}"
        lines.append(
            f"| {pair.first} | {pair.second} | {pair.n} | {pair.both} | {pair.only_first} | "
            f"{pair.only_second} | {ratio} | {each or '-'} |"
        )
    return lines
