"""``crysformer experiment building``: figures 10 and 11 of the paper."""

from __future__ import annotations

import argparse

from crysformer.cli._common import emit, positive, progress_bar, seconds
from crysformer.errors import CrysformerError, UsageError

#: Seconds for each step of building, and for another program.
_BUILDING, _PROGRAM = 300.0, 3600.0
#: Results of all maps in the output folder.
_ROWS = "rows"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options that only this experiment has."""
    group = parser.add_argument_group("building")
    group.add_argument(
        "--methods",
        metavar="LIST",
        help="methods whose maps are interpreted, as for `crysformer evaluate` "
        "(network-one-pass,network-polished,solve,random,random-polished)",
    )
    group.add_argument(
        "--programs",
        metavar="LIST",
        help="other programs that build from the same maps: phenix.autobuild, shelxe, modelcraft; "
        "found on the PATH",
    )
    group.add_argument(
        "--build-time-limit",
        type=seconds,
        metavar="S",
        help=f"each step of building ({_BUILDING:g})",
    )
    group.add_argument(
        "--program-time-limit", type=seconds, metavar="S", help=f"another program ({_PROGRAM:g})"
    )
    group.add_argument(
        "--jobs", type=positive, metavar="N", help="processes of one thread each (1)"
    )


def run(args: argparse.Namespace) -> int:
    """Build what is missing, and write the tables and figures."""
    from pathlib import Path

    from crysformer.evaluation.building.programs.known import chosen_programs
    from crysformer.evaluation.building.programs.program import require_programs
    from crysformer.evaluation.building.result import BuildingResult
    from crysformer.evaluation.building.run import (
        Limits,
        chosen_maps,
        result_options,
        run_building,
    )
    from crysformer.evaluation.experiments.run import PHASING_SECONDS
    from crysformer.evaluation.experiments.setting import SETTING, check_setting, start_afresh
    from crysformer.evaluation.methods import Settings
    from crysformer.evaluation.record import Record
    from crysformer.files import locked_folder
    from crysformer.models.device import pick_device
    from crysformer.report.building_report import write_building_report
    from crysformer.report.building_tables import markdown

    if len(args.weights) > 1:
        raise UsageError("--weights is given more than once: building takes one network")
    methods, programs = chosen_maps(args.methods), chosen_programs(args.programs)
    require_programs(programs)
    limits = Limits(args.build_time_limit or _BUILDING, args.program_time_limit or _PROGRAM)
    settings = Settings(
        args.time_limit or PHASING_SECONDS,
        args.seed,
        str(pick_device(args.device)),
        args.weights[0] if args.weights else None,
    )
    options = result_options(args.data, args.split, settings, limits)
    if args.overwrite:
        start_afresh(Path(args.output))
    begun = (Path(args.output) / SETTING).is_file()
    with locked_folder(args.output, overwrite=args.overwrite, resume=begun) as folder:
        check_setting(folder, options)
        log: Record[BuildingResult] = Record(folder / _ROWS, options, True, BuildingResult)
        with progress_bar(args, "building") as progress:
            crystals = run_building(
                log, args.data, methods, programs, settings, limits,
                split=args.split, limit=args.test_limit, jobs=args.jobs or 1, progress=progress,
            )  # fmt: skip
        results = [r for r in log.results.values() if r.crystal in set(crystals)]
        table = write_building_report(
            folder, results, methods, Path(args.data).name, args.split, len(crystals), options
        )
    emit(args, table, f"{markdown(table)}\nwritten: {folder / 'building.json'}, .md and pictures")
    crashed = [r for r in results if r.status == "crashed"]
    if crashed:
        first = crashed[0]
        raise CrysformerError(
            f"{len(crashed)} crashed; first {first.crystal}, {first.method}, {first.builder}: "
            f"{first.message}"
        )
    return 0
