"""Repeat the tables of the CrysFormer paper: train and test every row under the same budget.

table1: U-Net and CrysFormer for dipeptides, without and with partial structures and refining.
fifteen: CrysFormer for 15 residues, refining, and this package's network. nystrom: landmarks and
exact attention. partial-structures: without them, and with those of another crystal. ablations:
one-way and joint attention, padding, loss, orientations. Each row is trained in a process of its
own; the same command goes on after an interruption, also from within a row. Charge flipping and
solve are measured on the same test crystals. Writes NAME.json, NAME.md and the weights of all rows.

figures trains nothing: phase errors against resolution of networks, charge flipping and solve
(figure 2), and iso-surfaces of true density (blue) and prediction (red) over the model for crystals
chosen by rank (figures 3 to 9), as PNG with captions in figures.md and figures.json. It needs
scikit-image, as installed by crysformer[figures].

building builds models (figures 10 and 11): from maps of the network, polished ones, those of solve,
and random phases as control, with and without density modification, and from a fixed map; R factors
and poly-alanine traces beside the paper's, and what tells right models from wrong ones. Other
programs build from the same maps if they are installed (--programs). The same command goes on after
an interruption, also with more crystals. Writes building.json, building.md, and scatter plots.
"""

from __future__ import annotations

import argparse

from crysformer.cli import _experiment_building, _experiment_figures
from crysformer.cli._common import add_output_arguments, emit, log, seed
from crysformer.errors import UsageError

#: Names of the experiments, repeated here so that --help needs no torch.
EXPERIMENTS = (
    "table1", "fifteen", "nystrom", "partial-structures", "ablations", "figures", "building",
)  # fmt: skip
#: Options of tables, and of the experiments that train nothing, which no other one takes.
_OF_TABLES = frozenset({"budget", "examples", "rows", "only", "processor_time", "set"})
_OWN = {
    "figures": frozenset({"weights", "draw", "cases", "time_limit"}),
    "building": frozenset(
        {
            "weights", "time_limit", "methods", "programs", "build_time_limit",
            "program_time_limit", "jobs",
        }
    ),
}  # fmt: skip


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "experiment", metavar="NAME", choices=EXPERIMENTS, help="|".join(EXPERIMENTS)
    )
    parser.add_argument(
        "--data", required=True, metavar="DIR", help="folder made by `crysformer dataset build`"
    )
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument("--budget", type=float, metavar="MINUTES", help="training time of each row")
    budget.add_argument("--examples", type=int, metavar="N", help="training examples of each row")
    parser.add_argument(
        "--processor-time",
        action="store_true",
        help="count processor time, for a CPU that does other work at the same time",
    )
    parser.add_argument(
        "--test-limit",
        "--limit",
        type=int,
        default=64,
        metavar="N",
        help="test crystals, at random (64)",
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
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="NAME",
        help="make only this row or method, as named in the JSON (repeatable)",
    )
    _experiment_figures.add_options(parser)
    _experiment_building.add_options(parser)
    add_output_arguments(parser, "the tables and the rows' weights, or the figures")


def run(args: argparse.Namespace) -> int:
    """Run the rows that are not complete, and print the table."""
    _check(args)
    if args.experiment == "figures":
        return _experiment_figures.run(args)
    if args.experiment == "building":
        return _experiment_building.run(args)
    from pathlib import Path

    from crysformer.evaluation.experiments.run import check_budget, run_experiment
    from crysformer.evaluation.experiments.setting import SETTING, start_afresh
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
            args.experiment, args.data, folder, budget, log.info, pieces=args.rows, only=args.only
        )
    if table is None:
        emit(
            args,
            {"complete": False},
            f"written: {folder / args.experiment}.md, of the rows so far; the same command goes on"
            + (", without --only with the other rows" if args.only else ""),
        )
        return 0
    emit(
        args,
        {"complete": True, **table},
        f"{markdown(table)}\nwritten: {folder / args.experiment}.json, .md",
    )
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuse options that belong to other experiments, and tables without a budget."""
    taken = _OWN.get(args.experiment, _OF_TABLES)
    for name in sorted(_OF_TABLES.union(*_OWN.values()) - taken):
        if getattr(args, name):
            raise UsageError(
                f"--{name.replace('_', '-')} does not go with {args.experiment}; see "
                "crysformer experiment --help"
            )
    if args.experiment not in _OWN and args.budget is None and args.examples is None:
        raise UsageError("one of --budget and --examples is required")
