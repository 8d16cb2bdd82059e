"""Repeat the tables of the CrysFormer paper: train and test every row under the same budget.

table1: U-Net and CrysFormer for dipeptides, without and with partial structures and refining.
fifteen: CrysFormer for 15 residues, refining, and this package's network. nystrom: landmarks and
exact attention. partial-structures: without them, and with those of another crystal. ablations:
one-way and joint attention, padding, loss, orientations. Each row is trained in a process of its
own; the same command goes on after an interruption, also from within a row. Charge flipping and
solve are measured on the same test crystals. Writes NAME.json, NAME.md and the weights of all rows.
"""

from __future__ import annotations

import argparse

from crysformer.cli._common import add_output_arguments, emit, log, seed

#: Names of the experiments, repeated here so that --help needs no torch.
EXPERIMENTS = ("table1", "fifteen", "nystrom", "partial-structures", "ablations")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "experiment", metavar="NAME", choices=EXPERIMENTS, help="|".join(EXPERIMENTS)
    )
    parser.add_argument(
        "--data", required=True, metavar="DIR", help="folder made by `crysformer dataset build`"
    )
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--budget", type=float, metavar="MINUTES", help="training time of each row")
    budget.add_argument("--examples", type=int, metavar="N", help="training examples of each row")
    parser.add_argument(
        "--processor-time",
        action="store_true",
        help="count processor time, for a CPU that does other work at the same time",
    )
    parser.add_argument(
        "--test-limit", type=int, default=64, metavar="N", help="test crystals, at random (64)"
    )
    parser.add_argument(
        "--split", choices=("test", "validation"), default="test", help="where they are from (test)"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a training setting of all rows, as for `crysformer train` (repeatable)",
    )
    parser.add_argument("--seed", type=seed, default=0, metavar="N", help="seed of all rows (0)")
    parser.add_argument(
        "--device", default="auto", metavar="auto|cpu|cuda|mps", help="compute device"
    )
    parser.add_argument(
        "--rows", type=int, metavar="N", help="stop after N rows; the same command goes on"
    )
    add_output_arguments(parser, "the tables and the rows' weights")


def run(args: argparse.Namespace) -> int:
    """Run the rows that are not complete, and print the table."""
    from pathlib import Path

    from crysformer.evaluation.experiments.run import (
        SETTING,
        check_budget,
        run_experiment,
        start_afresh,
    )
    from crysformer.evaluation.experiments.table import markdown
    from crysformer.evaluation.experiments.train_row import Budget
    from crysformer.files import locked_folder
    from crysformer.models.device import pick_device

    budget = Budget(
        minutes=args.budget,
        examples=args.examples,
        test_limit=args.test_limit,
        split=args.split,
        seed=args.seed,
        device=str(pick_device(args.device)),
        changes=tuple(args.set),
        processor_time=args.processor_time,
    )
    check_budget(budget)
    if args.overwrite:
        start_afresh(Path(args.output))
    begun = (Path(args.output) / SETTING).is_file()
    with locked_folder(args.output, overwrite=args.overwrite, resume=begun) as folder:
        table = run_experiment(
            args.experiment, args.data, folder, budget, log.info, pieces=args.rows
        )
    if table is None:
        emit(args, {"complete": False}, f"{folder}: rows are left; the same command goes on")
        return 0
    emit(
        args,
        {"complete": True, **table},
        f"{markdown(table)}\nwritten: {folder / args.experiment}.json, .md",
    )
    return 0
