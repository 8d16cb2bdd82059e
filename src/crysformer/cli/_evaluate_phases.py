"""``crysformer evaluate --phases``: the phases of any program, scored as this package's own."""

from __future__ import annotations

import argparse
from typing import Any

from crysformer.cli._common import emit, log, progress_bar
from crysformer.errors import UsageError
from crysformer.files import locked_folder, staged_files, write_json
from crysformer.wording import counted

#: Options that have no meaning for phases which are there already.
_OF_METHODS = ("method", "weights")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    group = parser.add_argument_group("phases of any other program")
    group.add_argument(
        "--phases",
        metavar="FILE.mtz|DIR|LIST.tsv",
        help="score these phases instead of running a method: one file, a folder of NAME.mtz, or a "
        "list (tab-separated: phases, truth, name)",
    )
    group.add_argument(
        "--truth",
        metavar="MODEL|MTZ|DIR",
        help="what they are compared with: a model (PDB, mmCIF), an MTZ with true phases, or a "
        "folder of those; or give a data set by --data and --split",
    )
    group.add_argument(
        "--labin", metavar="F,PHI[,FOM]", help="columns of the phases, where a file has several"
    )
    group.add_argument("--truth-labin", metavar="F,PHI", help="the same for an MTZ of --truth")


def run(args: argparse.Namespace) -> int:
    """Score, write metrics.json, examples.csv and phase_error.png, and print the means."""
    for name in _OF_METHODS:
        if getattr(args, name) is not None:
            raise UsageError(f"--{name} runs a method; it does not go with --phases")
    if args.data is not None:
        if args.truth is not None or args.truth_labin is not None:
            raise UsageError("--truth and --data: the data set is the truth, give one of them")
        return _on_data_set(args)
    with (
        locked_folder(args.output, overwrite=args.overwrite) as target,
        staged_files(target) as folder,
    ):
        from crysformer.evaluation.figures import phase_error_figure
        from crysformer.evaluation.phases.sets import evaluate_pairs, find_pairs, write_rows

        pairs = find_pairs(args.phases, args.truth)
        with progress_bar(args, "phases") as progress:
            evaluation = evaluate_pairs(pairs, args.labin, args.truth_labin, progress)
        metrics = evaluation.metrics()
        for crystal in metrics["crystals"]:
            for note in crystal["notes"]:
                log.info("%s: %s", crystal["id"], note)
        write_json(folder / "metrics.json", metrics)
        write_rows(evaluation, folder / "examples.csv")
        phase_error_figure({"phases": metrics["shells"]}, folder / "phase_error.png")
    emit(args, metrics, text(metrics), verdict=f"phases: {result_line(metrics)}")
    return 0


def _on_data_set(args: argparse.Namespace) -> int:
    from crysformer.cli.evaluate import text as means
    from crysformer.evaluation.data_quality import DataQuality
    from crysformer.evaluation.figures import phase_error_figure
    from crysformer.evaluation.methods import Settings
    from crysformer.evaluation.phases.sets import phases_as_method
    from crysformer.evaluation.runner import evaluate, write_table

    with (
        locked_folder(args.output, overwrite=args.overwrite) as target,
        staged_files(target) as folder,
    ):
        with progress_bar(args, "phases") as progress:
            evaluation = evaluate(
                args.data,
                "phases",
                split=args.split,
                limit=args.limit,
                quality=DataQuality(args.d_min, args.amplitude_error, args.completeness),
                settings=Settings(seed=args.seed),
                progress=progress,
                run=phases_as_method(args.phases, args.labin),
            )
        metrics = evaluation.metrics()
        write_json(folder / "metrics.json", metrics)
        write_table([evaluation], folder / "examples.csv")
        phase_error_figure({"phases": metrics["shells"]}, folder / "phase_error.png")
    emit(args, metrics, means(metrics), verdict=f"phases: {result_line(metrics)}")
    return 0


def result_line(metrics: dict[str, Any]) -> str:
    """The result in one line."""
    return (
        f"{counted(metrics['n'], 'crystal')}, solved {metrics['solved_share']:.1%}, PC after "
        f"alignment {metrics['pc_aligned']:.3f}, F-weighted phase error "
        f"{metrics['weighted_phase_error_aligned']:.2f} degrees"
    )


def mean_lines(metrics: dict[str, Any]) -> list[str]:
    """Mean correlation and phase errors, before and after alignment, a line each."""
    return [
        f"  PC before, after alignment      {metrics['pc']:8.3f} {metrics['pc_aligned']:8.3f}",
        f"  mean phase error                {metrics['mean_phase_error']:8.2f}"
        f" {metrics['mean_phase_error_aligned']:8.2f} degrees",
        f"  F-weighted phase error          {metrics['weighted_phase_error']:8.2f}"
        f" {metrics['weighted_phase_error_aligned']:8.2f} degrees",
    ]


def text(metrics: dict[str, Any]) -> str:
    """Format each crystal on a line, then the means."""
    lines = []
    for c in metrics["crystals"]:
        hand = ", inverted" if c["inverted"] else ""
        shift = " ".join(f"{x:.3f}" for x in c["origin_shift"])
        lines.append(
            f"{c['id']}: columns {c['columns']}, {counted(c['n_reflections'], 'reflection')} to "
            f"{c['d_min']:.2f} A, F-weighted phase error {c['weighted_phase_error_aligned']:.2f} "
            f"degrees (origin moved by {shift}{hand})"
        )
    return "\n".join(
        [
            *lines,
            f"  solved                          {metrics['solved_share']:8.1%} of {metrics['n']}",
            *mean_lines(metrics),
        ]
    )
