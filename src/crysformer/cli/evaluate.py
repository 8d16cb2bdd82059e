"""Measure a method on synthetic crystals of a data set, or the phases of any other program.

Writes metrics.json, examples.csv and phase_error.png into the output folder. Phase errors are
over the measured reflections (a missing phase counts as 90 degrees), before and after continuous
alignment of origin and hand. PC is the correlation of the method's map with the true map: the
network's raw prediction, the FOM-weighted map of solve and its searches, and for the others
measured amplitudes with the phases found. With --method network, its phases after polishing by
density modification and random phases polished the same way are measured too; --alone leaves them
out.

--phases FILE.mtz --truth MODEL.cif|TRUE.mtz scores phases that are there already; --phases DIR
--data DIR those for the crystals of a data set, by their ids (`dataset export --format mtz` writes
the amplitudes). A phase is a column of type P; its amplitude is the F before it or of its name,
else the measured one with the FOM. Errors are weighted by the measured F of the file, and solved is
an F-weighted error of at most 40 degrees (on a data set, a mean cosine of 0.85).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from crysformer.cli import _evaluate_phases
from crysformer.cli._common import add_output_arguments, emit, progress_bar, seconds, seed
from crysformer.errors import UsageError
from crysformer.files import locked_folder, staged_files, write_json
from crysformer.phasing.method import METHODS as SOLVER_METHODS
from crysformer.wording import counted

#: Names of `crysformer.evaluation.methods.METHODS`, repeated here so that --help loads no numpy.
METHODS = (
    "solve", *SOLVER_METHODS, "network-one-pass", "network-polished", "network-search",
    "random", "random-polished",
)  # fmt: skip


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--data", metavar="DIR", help="a data set")
    parser.add_argument("--split", choices=("train", "validation", "test"), default="test")
    parser.add_argument("--method", choices=METHODS)
    parser.add_argument(
        "--weights",
        metavar="NAME|FILE",
        help="for network methods: bundled weights or a .safetensors file (default: the bundled "
        "ones that fit)",
    )
    parser.add_argument(
        "--model", metavar="NAME", help="package.module:Class of weights of a network from outside"
    )
    parser.add_argument(
        "--alone",
        action="store_true",
        help="with --method network: leave out polished and random phases, which take as long",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="only N crystals, drawn at random")
    _evaluate_phases.add_options(parser)
    group = parser.add_argument_group("the crystals' data")
    group.add_argument("--d-min", type=float, default=1.5, metavar="A", help="resolution (1.5)")
    group.add_argument(
        "--amplitude-error", type=float, default=0.0, metavar="X", help="F(1 + X N(0,1)) (0)"
    )
    group.add_argument(
        "--completeness",
        type=float,
        default=1.0,
        metavar="X",
        help="fraction of reflections measured (1)",
    )
    parser.add_argument(
        "--time-limit", type=seconds, default=120.0, metavar="S", help="for each crystal (120)"
    )
    parser.add_argument(
        "--seed", type=seed, default=0, metavar="N", help="seed for the random starts (0)"
    )
    parser.add_argument(
        "--device", default="auto", metavar="auto|cpu|cuda|mps", help="compute device"
    )
    add_output_arguments(parser, "metrics.json, examples.csv and phase_error.png")


def run(args: argparse.Namespace) -> int:
    """Evaluate, write, and print the means."""
    if args.phases is not None:
        return _evaluate_phases.run(args)
    for name in ("truth", "labin", "truth_labin"):
        if getattr(args, name) is not None:
            raise UsageError(f"--{name.replace('_', '-')} needs --phases")
    missing = [f"--{name}" for name in ("data", "method") if getattr(args, name) is None]
    if missing and args.weights is not None:
        raise UsageError(
            "--weights: expected the test as well, --data DIR --method network-one-pass (one pass "
            f"of the network) or network (as `crysformer predict`); missing {' and '.join(missing)}"
        )
    if missing:
        raise UsageError(f"missing {' and '.join(missing)} (or --phases with --truth)")
    if args.alone and args.method != "network":
        raise UsageError(f"--alone: {args.method} is measured alone anyway")
    if args.weights is not None and not args.method.startswith("network"):
        raise UsageError(f"--weights: {args.method} takes none; expected a network method")
    if args.model is not None:
        from crysformer.models.registry import register

        register(args.model)
    with locked_folder(args.output, overwrite=args.overwrite) as target:
        return _run(args, target)


def _run(args: argparse.Namespace, target: Path) -> int:
    from crysformer.evaluation.data_quality import DataQuality
    from crysformer.evaluation.figures import phase_error_figure
    from crysformer.evaluation.methods import COMPANIONS, Settings
    from crysformer.evaluation.runner import evaluate, write_table

    evaluations = []
    for method in (args.method, *(() if args.alone else COMPANIONS.get(args.method, ()))):
        with progress_bar(args, method) as progress:
            evaluation = evaluate(
                args.data,
                method,
                split=args.split,
                limit=args.limit,
                quality=DataQuality(args.d_min, args.amplitude_error, args.completeness),
                settings=Settings(args.time_limit, args.seed, args.device, args.weights),
                progress=progress,
            )
        evaluations.append(evaluation)
    metrics, *companions = (evaluation.metrics() for evaluation in evaluations)
    if args.weights is not None:
        metrics["weights"] = args.weights
    result = {**metrics, **{companion["method"]: companion for companion in companions}}
    shells = {m["method"]: m["shells"] for m in (metrics, *companions)}
    with staged_files(target) as folder:
        write_json(folder / "metrics.json", result)
        write_table(evaluations, folder / "examples.csv")
        phase_error_figure(shells, folder / "phase_error.png")
    lines = "\n".join(text(m) for m in (metrics, *companions))
    emit(args, result, lines, verdict=f"{args.method}: {_evaluate_phases.result_line(metrics)}")
    return 0


def text(metrics: dict[str, Any]) -> str:
    """Format the means, one line each."""
    lines = [
        f"{metrics['method']} on {counted(metrics['n'], metrics['split'] + ' crystal')} to"
        f" {metrics['d_min']:g} A, amplitude error {metrics['amplitude_error']:.0%},"
        f" {metrics['completeness']:.0%} complete",
        f"  solved                          {metrics['solved_share']:8.1%}",
        *_evaluate_phases.mean_lines(metrics),
        f"  seconds each, longest           {metrics['seconds']:8.1f}"
        f" {metrics['seconds_max']:8.1f}",
    ]
    if metrics["n_not_applicable"]:
        lines.append(f"  not applicable to, no phases     {metrics['n_not_applicable']:8d}")
    if "false_claims" in metrics:
        lines.append(
            f"  claimed solved                  {metrics['claimed_share']:8.1%},"
            f" falsely {metrics['false_claims']}"
        )
    return "\n".join(lines)
