"""One crystal of ``crysformer solve``: read, solved and written."""

from __future__ import annotations

import argparse
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crysformer.cli._common import load_inputs, log, with_flags
from crysformer.cli._verdict import verdict
from crysformer.wording import counted

if TYPE_CHECKING:
    from crysformer.crystal.quality.report import DataReport
    from crysformer.crystal.reflections import CrystalData
    from crysformer.phasing.settings import SolveSettings
    from crysformer.progress import Progress


def load_settings(args: argparse.Namespace) -> SolveSettings:
    """Settings of the solver: those of --settings, the defaults for the others."""
    from crysformer.phasing.settings import SolveSettings

    return SolveSettings() if args.settings is None else SolveSettings.read(args.settings)


def solve_one(args: argparse.Namespace, progress: Progress | None) -> tuple[dict[str, Any], str]:
    """Read, solve and write one crystal; returns summary.json and the verdict for a person.

    `args.settings` holds the settings themselves (`load_settings`).
    """
    data, sequences = load_inputs(args, unknown_group=True)
    from crysformer.workflow.solve import solve_to_folder

    log.info("%s", describe(data))
    solution, summary = solve_to_folder(
        data,
        args.output,
        sequences,
        copies=args.copies,
        composition=args.composition,
        overwrite=args.overwrite,
        resume=args.resume,
        on_report=_log_report,
        translate=functools.partial(with_flags, args=args),
        method=args.method,
        time_limit=args.time_limit,
        seed=args.seed,
        device=args.device,
        settings=args.settings,
        progress=progress,
        find_space_group=args.find_space_group,
        build_time_limit=None if args.no_build else args.build_time_limit,
        dictionary=args.dictionary,
        report_page=not args.no_report,
        command=getattr(args, "command_line", None),
    )
    return summary, verdict(data, solution, summary, Path(args.output))


def _log_report(report: DataReport) -> None:
    for line in report.lines():
        log.info("%s", line)
    for warning in report.warnings:
        log.warning("%s", warning)


def describe(data: CrystalData) -> str:
    """One line on the data to be phased."""
    from crysformer.crystal.unit_cell import constants_text

    group = data.space_group.xhm()
    if not data.space_group_known:
        group = f"Laue class {data.space_group.laue_str()}"
    return (
        f"{data.source}: {counted(int(data.measured.sum()), 'amplitude')} to {data.d_min:.2f} A, "
        f"{group}, cell {constants_text(data.cell)}"
    )
