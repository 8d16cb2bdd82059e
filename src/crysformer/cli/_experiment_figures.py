"""``crysformer experiment figures``: figures 2 to 9 of the paper."""

from __future__ import annotations

import argparse

from crysformer.cli._common import emit, log, seconds


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    group = parser.add_argument_group("figures, building")
    group.add_argument(
        "--weights",
        action="append",
        default=[],
        metavar="[NAME=]FILE",
        help="a network: packaged name or .safetensors file (for figures repeatable; default: the "
        "bundled ones that fit)",
    )
    group.add_argument(
        "--draw", metavar="NAME", help="name in the legend whose maps are drawn as surfaces"
    )
    group.add_argument(
        "--cases",
        metavar="LIST",
        help="crystals to draw: trp, ranks by PC, per cent of the ranking "
        "(trp,11,18,31,50%%,75%%,90%%)",
    )
    group.add_argument(
        "--time-limit", type=seconds, metavar="S", help="for each crystal and method (20)"
    )


def run(args: argparse.Namespace) -> int:
    """Measure and draw what is missing."""
    from pathlib import Path

    from crysformer.evaluation.experiments.case_selection import DEFAULT_CASES
    from crysformer.evaluation.experiments.curves import curves_of
    from crysformer.evaluation.experiments.run import PHASING_SECONDS
    from crysformer.evaluation.experiments.setting import SETTING, start_afresh
    from crysformer.evaluation.methods import Settings
    from crysformer.files import locked_folder
    from crysformer.models.device import pick_device
    from crysformer.report.isosurfaces import require_marching_cubes
    from crysformer.report.paper_figures import draw_figures, page

    require_marching_cubes()
    curves = curves_of(args.weights)
    settings = Settings(
        args.time_limit or PHASING_SECONDS, args.seed, str(pick_device(args.device))
    )
    if args.overwrite:
        start_afresh(Path(args.output))
    begun = (Path(args.output) / SETTING).is_file()
    with locked_folder(args.output, overwrite=args.overwrite, resume=begun) as folder:
        result = draw_figures(
            args.data, folder, curves, settings, log.info, args.split, args.test_limit, args.draw,
            args.cases.split(",") if args.cases else DEFAULT_CASES,
        )  # fmt: skip
    emit(args, result, f"{page(result)}\nwritten: {folder / 'figures.json'}, .md and pictures")
    return 0
