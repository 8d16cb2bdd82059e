"""Measure every phasing method on the same crystals, and how far its verdicts can be trusted.

Crystals are made from a data set's held-out split. Results are kept line by line, so that a run
that was stopped goes on with --resume. See docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from crysformer.cli._common import common_options, emit, positive, progress_bar, seed
from crysformer.errors import CrysformerError, UsageError

if TYPE_CHECKING:
    from crysformer.evaluation.regimes.grid import GridCell
    from crysformer.evaluation.regimes.results import Result, ResultLog

_FILES = "results.jsonl, tables, figures and report.md"

ACTIONS = ("regimes", "control", "reliability")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the three actions and their options."""
    actions = parser.add_subparsers(dest="action", metavar="|".join(ACTIONS), required=True)
    regimes = actions.add_parser(
        "regimes",
        help="all methods from easy to hopeless crystals",
        description="Run every method on every cell of the regime grid. The defaults are the small "
        "edition; raise -n, --time-limit and --budget for a larger one.",
        allow_abbrev=False,
        parents=[common_options()],
    )
    _add_run_options(regimes, n=3, time_limit=10.0)
    control = actions.add_parser(
        "control",
        help="false claims on crystals that cannot be solved",
        description="Run methods on random amplitudes, wrong sequences and hopeless data, and "
        "count how often they say solved.",
        allow_abbrev=False,
        parents=[common_options()],
    )
    _add_run_options(control, n=20, time_limit=4.0)
    reliability = actions.add_parser(
        "reliability",
        help="confidence against truth, from the results of the others",
        description="Reliability diagram, expected calibration error and false claims, over the "
        "results of earlier runs.",
        allow_abbrev=False,
        parents=[common_options()],
    )
    reliability.add_argument(
        "results", nargs="+", metavar="RESULTS", help="results.jsonl of a run, or its folder"
    )
    reliability.add_argument("-o", "--output", metavar="PNG", help="also draw the diagram")


def _add_run_options(parser: argparse.ArgumentParser, n: int, time_limit: float) -> None:
    parser.add_argument("--list", action="store_true", help="print the cells and stop")
    parser.add_argument("--data", metavar="DIR", help="a data set of the recipe fifteen")
    parser.add_argument("-o", "--output", metavar="DIR", help=f"folder for {_FILES}")
    parser.add_argument("--split", choices=("train", "validation", "test"), default="test")
    parser.add_argument(
        "-n", type=positive, default=n, metavar="N", help=f"crystals of each cell ({n})"
    )
    parser.add_argument(
        "--cells", metavar="PATTERNS", help="only these, such as '2-tight*,15-rich' (default: all)"
    )
    parser.add_argument(
        "--methods",
        metavar="LIST",
        help="comma-separated (default: all that `evaluate` knows, but not random)",
    )
    parser.add_argument(
        "--time-limit",
        type=float,
        default=time_limit,
        metavar="S",
        help=f"for each crystal and method ({time_limit:g})",
    )
    parser.add_argument(
        "--budget",
        type=float,
        metavar="MINUTES",
        help="begin no further crystal after so long (default: none)",
    )
    parser.add_argument(
        "--jobs", type=positive, default=1, metavar="N", help="processes of one thread each (1)"
    )
    parser.add_argument("--seed", type=seed, default=0, metavar="N")
    parser.add_argument("--device", default="cpu", metavar="auto|cpu|cuda|mps")
    parser.add_argument(
        "--resume", action="store_true", help="go on with what the output folder holds"
    )


def run(args: argparse.Namespace) -> int:
    """Do the action asked for."""
    if args.action == "reliability":
        return _reliability(args)
    from crysformer.evaluation.regimes.controls import CONTROLS
    from crysformer.evaluation.regimes.grid import GRID, select

    grid = GRID if args.action == "regimes" else CONTROLS
    cells = select(grid, args.cells)
    if args.list:
        width = max(len(cell.name) for cell in cells)
        listing = "\n".join(f"{cell.name:<{width}}  {cell.description}" for cell in cells)
        emit(args, {"cells": {cell.name: cell.description for cell in cells}}, listing)
        return 0
    if args.data is None or args.output is None:
        raise UsageError("--data and -o/--output are needed (or --list)")
    return _run(args, grid, cells)


def _run(args: argparse.Namespace, grid: tuple[GridCell, ...], cells: tuple[GridCell, ...]) -> int:
    from crysformer.evaluation.methods import METHODS, Settings
    from crysformer.evaluation.regimes.results import ResultLog
    from crysformer.evaluation.regimes.run import chosen_methods, result_options, run_grid
    from crysformer.report.regimes_files import write_report

    if not args.time_limit > 0 or (args.budget is not None and args.budget < 0):
        raise UsageError("--time-limit and --budget: expected a time above zero")
    methods = chosen_methods(args.methods)
    settings = Settings(args.time_limit, args.seed, args.device)
    log = ResultLog(
        args.output,
        {"benchmark": args.action, **result_options(args.data, args.split, settings)},
        args.resume,
    )
    try:
        with progress_bar(args, args.action) as progress:
            run_grid(
                log, args.data, cells, methods, settings, args.n,
                split=args.split, jobs=args.jobs, budget=args.budget, progress=progress,
            )  # fmt: skip
    finally:  # also after Ctrl-C: what there is so far
        written = write_report(
            log,
            args.action,
            grid,
            tuple(METHODS),
            f"seed {args.seed}, {args.split} split, at most {args.time_limit:g} s for each crystal "
            f"and method, {args.jobs} at a time on one thread each, device {args.device}",
        )
    wanted = {(cell.name, k, m) for cell in cells for k in range(args.n) for m in methods}
    left = len(log.missing(wanted))
    crashed = [r for r in log.results.values() if r.status == "crashed"]
    emit(args, {**written, "left_to_do": left}, _text(log, left))
    if crashed:
        first = crashed[0]
        raise CrysformerError(
            f"{len(crashed)} crashed: {', '.join(sorted({r.method for r in crashed}))}; first "
            f"{first.method} on {first.cell}, crystal {first.number}: {first.message}"
        )
    return 0


def _text(log: ResultLog, left: int) -> str:
    results = list(log.results.values())
    lines = [*_method_lines(results), *_verdict_lines(results)]
    if left:
        lines.append(f"{left} left to do: go on with --resume")
    return "\n".join([*lines, f"written: {log.folder}/report.md"])


def _method_lines(results: list[Result]) -> list[str]:
    lines = [f"{'method':<20} {'n':>5} {'solved':>7} {'n/a':>5} {'crashed':>8} {'seconds':>8}"]
    for method in dict.fromkeys(result.method for result in results):
        own = [result for result in results if result.method == method]
        done = [result for result in own if result.status == "done"]
        seconds = sum(result.seconds for result in done) / max(len(done), 1)
        counts = [sum(r.status == s for r in own) for s in ("not applicable", "crashed")]
        share = sum(result.solved for result in own) / len(own)
        lines.append(
            f"{method:<20} {len(own):5d} {share:7.1%} {counts[0]:5d} {counts[1]:8d} {seconds:8.2f}"
        )
    return lines


def _verdict_lines(results: list[Result]) -> list[str]:
    from crysformer.evaluation.regimes.tables import verdicts

    lines = []
    for v in verdicts(results):
        ece = f", calibration error {v.reliability.ece:.3f}" if v.reliability else ""
        lines.append(
            f"{v.method}: said to be solved {v.claimed} of {v.n}, wrongly {v.false_claims} "
            f"(95 % upper bound {v.upper_bound:.2%}){ece}"
        )
    return lines


def _reliability(args: argparse.Namespace) -> int:
    from crysformer.evaluation.regimes.results import read_results
    from crysformer.evaluation.regimes.tables import verdicts
    from crysformer.report.regimes import reliability_diagram

    results = [result for path in args.results for result in read_results(path)]
    judged = verdicts(results)
    curves = {v.method: v.reliability for v in judged if v.reliability is not None}
    if not curves:
        raise CrysformerError(f"{', '.join(args.results)}: no result carries a confidence")
    if args.output is not None:
        reliability_diagram(curves, Path(args.output))
    emit(
        args,
        {"verdicts": [asdict(verdict) for verdict in judged]},
        "\n".join(_verdict_lines(results)),
    )
    return 0
