"""Find the phases of a crystal from its amplitudes, with the sequence where it is known.

The quality of the data (completeness, Wilson B, twinning and so on) is reported first, in full by
`crysformer info DATA`. Writes solution.mtz (the measured amplitudes with FWT PHWT
FOM), solution.ccp4 (the map), summary.json and report.html into the output folder, with a model of
a solved crystal whose sequence is known (model.cif, model.pdb, refinement.log, open.py for Coot,
and model.ins and model.hkl for SHELXL at atomic resolution), and prints a verdict.
A solution that is claimed at atomic resolution also has atoms.res: atoms with their elements, in
SHELX format. A run that finds nothing convincing is not a failure: the best candidate is written,
with solved: false.
After a convincing solution the space groups that its phases support are ranked in summary.json
under space_groups; the files stay in the space group of DATA, unless --find-space-group is given.
Of a solved crystal with a known sequence a model is built and refined last, as `crysformer build`
does, in a time of its own; --no-build leaves that out.
The state of the search is kept in state.safetensors; --resume continues from it, also after the run
was killed. Ctrl-C and SIGTERM end the search and write the best candidate so far.

DATA may be a list, LIST.tsv: tab-separated, with the header data, sequence, copies (and name, if
file names are not enough). Paths are relative to the list; sequence and copies may be empty. Every
crystal gets a folder of its own below the output folder, beside results.tsv and results.json.
"""

from __future__ import annotations

import argparse
from dataclasses import asdict

from crysformer.cli._common import (
    add_building_arguments,
    add_composition_argument,
    add_copies_argument,
    add_data_arguments,
    add_output_arguments,
    add_scheduler_argument,
    add_sequence_arguments,
    check_contents,
    emit,
    progress_bar,
    seconds,
    seed,
)
from crysformer.cli._solve_one import load_settings, solve_one
from crysformer.errors import UsageError
from crysformer.phasing.method import AUTO, METHODS

LIST_ENDING = ".tsv"


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_data_arguments(
        parser,
        "reflections: .mtz, CIF, SHELX .hkl, XDS_ASCII or .sca, also .gz; - for stdin; or a list "
        "of them, .tsv",
        required=False,
    )
    add_sequence_arguments(parser)
    add_composition_argument(parser)
    add_copies_argument(parser)
    parser.add_argument(
        "--method",
        choices=(AUTO, *METHODS),
        default=AUTO,
        help="default: every method that applies",
    )
    parser.add_argument(
        "--time-limit",
        type=seconds,
        default=120.0,
        metavar="S",
        help="seconds of search after which the best candidate so far is taken (default 120)",
    )
    parser.add_argument(
        "--find-space-group",
        action="store_true",
        help="rely on the Laue class of DATA alone and write the solution in the space group that "
        "its phases support (always so for a file without space group)",
    )
    parser.add_argument(
        "--seed", type=seed, default=0, metavar="N", help="seed for the random starts"
    )
    parser.add_argument(
        "--device", default="auto", metavar="auto|cpu|cuda|mps", help="compute device"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="crystals of a list solved side by side"
    )
    add_scheduler_argument(parser)
    parser.add_argument(
        "--resume",
        action="store_true",
        help="continue from the state in the output folder, for --time-limit seconds more; for a "
        "list, skip the crystals that are solved or were searched for --time-limit seconds in all",
    )
    parser.add_argument(
        "--settings", metavar="FILE.toml", help="settings of the solver, as --print-settings writes"
    )
    parser.add_argument(
        "--print-settings",
        action="store_true",
        help="print every setting with its meaning as TOML (with --json as JSON), and stop",
    )
    add_building_arguments(parser)
    parser.add_argument(
        "--no-build", action="store_true", help="stop at the phases, without building a model"
    )
    parser.add_argument("--no-report", action="store_true", help="leave out report.html")
    add_output_arguments(parser, "the phases, the map, the model and the report", required=False)


def run(args: argparse.Namespace) -> int:
    """Solve one crystal or a list of them, or print the settings."""
    if args.print_settings:
        settings = load_settings(args)
        emit(args, asdict(settings), settings.to_toml().rstrip("\n"))
        return 0
    missing = [name for name, x in (("DATA", args.data), ("-o/--output", args.output)) if x is None]
    if missing:
        raise UsageError(f"missing {' and '.join(missing)} (see crysformer solve --help)")
    check_contents(args)
    args.settings = load_settings(args)
    if args.data.endswith(LIST_ENDING):
        from crysformer.cli import _solve_list

        return _solve_list.run(args)
    if args.scheduler is not None:
        raise UsageError(f"--scheduler is for a list of crystals ({LIST_ENDING})")
    if args.jobs != 1:
        raise UsageError(f"--jobs is for a list of crystals ({LIST_ENDING}), not for {args.data}")
    with progress_bar(args, "solving") as progress:
        summary, text = solve_one(args, progress)
    emit(args, summary, text, verdict=text.partition("\n")[0])
    return 0
