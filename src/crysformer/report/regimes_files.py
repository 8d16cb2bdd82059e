"""Tables, figures and report of a benchmark, written beside its record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

from crysformer.evaluation.regimes.grid import Condition
from crysformer.evaluation.regimes.results import ResultLog
from crysformer.evaluation.regimes.tables import (
    summarise,
    verdicts,
    write_results,
    write_summaries,
)
from crysformer.files import write_bytes, write_json
from crysformer.report.hardware import run_head
from crysformer.report.regimes import heat_maps, reliability_diagram
from crysformer.report.regimes_text import controls_report, regimes_report


def write_report(
    log: ResultLog,
    kind: Literal["regimes", "control"],
    conditions: Sequence[Condition],
    methods: Sequence[str],
    note: str,
) -> dict[str, Any]:
    """Write tables, figures and the Markdown report of all results so far.

    ``results.tsv`` (a line for each crystal and method), ``KIND.tsv`` (a line for each condition
    and method), ``KIND.json``, ``report.md``, and the figures ``regimes.png`` and
    ``reliability.png``.

    Parameters
    ----------
    log
        Results; the files go into its folder.
    kind
        Kind of report.
    conditions, methods
        Conditions and methods in the order of the tables; those without results are left out.
    note
        Options of the run, for the head of the report.

    Returns
    -------
    dict
        Content of ``KIND.json``.
    """
    results, folder = list(log.results.values()), log.folder
    methods = [m for m in methods if any(result.method == m for result in results)]
    summaries, judged = summarise(results, conditions, methods), verdicts(results)
    write_results(results, folder / "results.tsv")
    write_summaries(summaries, folder / f"{kind}.tsv")
    figures = []
    if kind == "regimes" and summaries:
        heat_maps(summaries, conditions, methods, folder / "regimes.png")
        figures.append("regimes.png")
    curves = {v.method: v.reliability for v in judged if v.reliability is not None}
    if curves:
        reliability_diagram(curves, folder / "reliability.png")
        figures.append("reliability.png")
    head = run_head(note)
    if kind == "regimes":
        text = regimes_report(results, conditions, methods, head, figures)
    else:
        text = controls_report(results, methods, head, figures)
    write_bytes(folder / "report.md", text.encode())
    content = {
        "head": head,
        "options": log.options,
        "cells": [asdict(summary) for summary in summaries],
        "verdicts": [asdict(verdict) for verdict in judged],
        "crashes": [asdict(result) for result in results if result.status == "crashed"],
    }
    write_json(folder / f"{kind}.json", content)
    return content
