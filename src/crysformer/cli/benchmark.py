"""Compare phasing methods and programs on the same crystals, and check the verdicts' reliability.

`peers` compares the solver with other programs, or with another version of itself, on crystals of
your choice; for the other actions crystals are made from a data set's held-out split. Results are
recorded line by line, so that a run that was stopped can be resumed with --resume. See
docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from crysformer.cli import _benchmark_peers
from crysformer.cli._common import (
    add_scheduler_argument,
    common_options,
    emit,
    positive,
    progress_bar,
    seconds,
    seed,
)
from crysformer.errors import CrysformerError, UsageError
from crysformer.files import locked_folder

if TYPE_CHECKING:
    from crysformer.evaluation.regimes.grid import Condition
    from crysformer.evaluation.regimes.results import Result, ResultLog

_FILES = "results.jsonl, tables, figures and report.md"

ACTIONS = ("regimes", "control", "reliability", "peers")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and their options."""
    actions = parser.add_subparsers(dest="action", metavar="|".join(ACTIONS), required=True)
    regimes = actions.add_parser(
        "regimes",
        help="run all methods, from easy to hopeless crystals",
        description="Run every method under every condition of the grid (--list prints them). The "
        "defaults are the small edition; raise -n, --time-limit and --budget for a larger one.",
        allow_abbrev=False,
        parents=[common_options()],
    )
    _add_run_options(regimes, n=3, time_limit=10.0)
    control = actions.add_parser(
        "control",
        help="count false claims on crystals that cannot be solved",
        description="Run methods on random amplitudes, wrong sequences and hopeless data, and "
        "count how often they claim a solution.",
        allow_abbrev=False,
        parents=[common_options()],
    )
    _add_run_options(control, n=20, time_limit=4.0)
    reliability = actions.add_parser(
        "reliability",
        help="compare confidence with truth, from earlier results",
        description="Reliability diagram, expected calibration error and false claims, over the "
        "results of earlier runs.",
        allow_abbrev=False,
        parents=[common_options()],
    )
    reliability.add_argument(
        "results", nargs="+", metavar="RESULTS", help="results.jsonl of a run, or its folder"
    )
    reliability.add_argument("-o", "--output", metavar="PNG", help="also draw the diagram")
    peers = actions.add_parser(
        "peers",
        help="run other programs beside the solver, from process start to verdict",
        description=_benchmark_peers.DESCRIPTION,
        allow_abbrev=False,
        parents=[common_options()],
    )
    _benchmark_peers.add_options(peers)


def _add_run_options(parser: argparse.ArgumentParser, n: int, time_limit: float) -> None:
    parser.add_argument("--list", action="store_true", help="print the conditions and stop")
    parser.add_argument("--data", metavar="DIR", help="a data set of the recipe fifteen")
    parser.add_argument("-o", "--output", metavar="DIR", help=f"folder for {_FILES}")
    parser.add_argument("--split", choices=("train", "validation", "test"), default="test")
    parser.add_argument(
        "-n", type=positive, default=n, metavar="N", help=f"crystals of each condition ({n})"
    )
    parser.add_argument(
        "--conditions",
        metavar="PATTERNS",
        help="only these, such as '2-tight*,15-rich' (default: all)",
    )
    # The option's earlier name.
    parser.add_argument("--cells", dest="conditions", help=argparse.SUPPRESS)
    parser.add_argument(
        "--methods",
        metavar="LIST",
        help="comma-separated (default: all methods of `evaluate` but random)",
    )
    parser.add_argument(
        "--time-limit",
        type=seconds,
        default=time_limit,
        metavar="S",
        help=f"seconds for each crystal and method ({time_limit:g})",
    )
    parser.add_argument(
        "--budget",
        type=float,
        metavar="MINUTES",
        help="begin no further crystal after this time (default: none)",
    )
    parser.add_argument(
        "--jobs", type=positive, default=1, metavar="N", help="processes of one thread each (1)"
    )
    add_scheduler_argument(parser)
    parser.add_argument(
        "--seed", type=seed, default=0, metavar="N", help="seed for the random starts (0)"
    )
    parser.add_argument(
        "--device", default="cpu", metavar="auto|cpu|cuda|mps", help="compute device (cpu)"
    )
    parser.add_argument("--resume", action="store_true", help="resume the run in the output folder")


def run(args: argparse.Namespace) -> int:
    """Run the chosen action."""
    if args.action == "reliability":
        return _reliability(args)
    if args.action == "peers":
        return _benchmark_peers.run(args)
    from crysformer.evaluation.regimes.controls import CONTROLS
    from crysformer.evaluation.regimes.grid import GRID, select

    grid = GRID if args.action == "regimes" else CONTROLS
    chosen = select(grid, args.conditions)
    if args.list:
        descriptions = {condition.name: condition.description for condition in chosen}
        width = max(map(len, descriptions))
        listing = "\n".join(f"{name:<{width}}  {text}" for name, text in descriptions.items())
        emit(args, {"cells": descriptions}, listing)
        return 0
    if args.data is None or args.output is None:
        raise UsageError("--data and -o/--output are needed (or --list)")
    return _run(args, grid, chosen)


def _run(
    args: argparse.Namespace, grid: tuple[Condition, ...], chosen: tuple[Condition, ...]
) -> int:
    if args.budget is not None and args.budget < 0:
        raise UsageError("--budget: expected a time above zero")
    with locked_folder(args.output, resume=True):  # what is in it decides `ResultLog`
        return _run_locked(args, grid, chosen)


def _run_locked(
    args: argparse.Namespace, grid: tuple[Condition, ...], chosen: tuple[Condition, ...]
) -> int:
    from crysformer.evaluation.methods import METHODS, Settings
    from crysformer.evaluation.regimes.results import ResultLog
    from crysformer.evaluation.regimes.run import chosen_methods, result_options, run_grid
    from crysformer.report.regimes_files import write_report

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
                log, args.data, chosen, methods, settings, args.n,
                split=args.split, jobs=args.jobs, scheduler=args.scheduler, budget=args.budget,
                progress=progress,
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
    wanted = {(c.name, k, m) for c in chosen for k in range(args.n) for m in methods}
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
        lines.append(f"{left} left to do: continue with --resume")
    return "\n".join([*lines, f"written: {log.folder}/report.md"])


def _method_lines(results: list[Result]) -> list[str]:
    lines = [f"{'method':<20} {'n':>5} {'solved':>7} {'n/a':>5} {'crashed':>8} {'seconds':>8}"]
    for method in dict.fromkeys(result.method for result in results):
        own = [result for result in results if result.method == method]
        done = [result for result in own if result.status == "done"]
        seconds = sum(result.seconds for result in done) / max(len(done), 1)
        declined, crashed = (
            sum(result.status == status for result in own)
            for status in ("not applicable", "crashed")
        )
        fraction = sum(result.solved for result in own) / len(own)
        lines.append(
            f"{method:<20} {len(own):5d} {fraction:7.1%} {declined:5d} {crashed:8d} {seconds:8.2f}"
        )
    return lines


def _verdict_lines(results: list[Result]) -> list[str]:
    from crysformer.evaluation.regimes.tables import verdicts

    lines = []
    for v in verdicts(results):
        ece = f", calibration error {v.reliability.ece:.3f}" if v.reliability else ""
        lines.append(
            f"{v.method}: claimed {v.claimed} of {v.n} solved, falsely {v.false_claims} "
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
