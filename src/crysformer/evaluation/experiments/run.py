"""Experiments: all rows of a table, one after the other, each complete before the next."""

from __future__ import annotations

import datetime
import functools
import os
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from crysformer.errors import UsageError
from crysformer.evaluation.experiments.rows import Row, rows_of
from crysformer.evaluation.experiments.setting import ROWS, check_setting, read_piece
from crysformer.evaluation.experiments.table import markdown, table_of
from crysformer.evaluation.experiments.train_row import RESULT, Budget, run_row
from crysformer.evaluation.methods import Settings
from crysformer.evaluation.runner import evaluate
from crysformer.files import atomic_path, write_json
from crysformer.version import __version__

#: Phasing methods measured beside the networks, and seconds for each crystal.
PHASING = ("charge-flipping", "solve")
PHASING_SECONDS = 20.0
#: Longest time for all crystals together, as a multiple of the minutes of a row.
_PHASING_BUDGETS = 3


def run_experiment(
    experiment: str,
    data: str | Path,
    folder: Path,
    budget: Budget,
    progress: Callable[[str], None],
    rows: Sequence[Row] | None = None,
    phasing: Sequence[str] = PHASING,
    pieces: int | None = None,
    only: Sequence[str] = (),
) -> dict[str, Any] | None:
    """Train and test every row of an experiment that is not complete yet, and write its table.

    Leaves ``rows/NAME/`` with the weights and figures of each row, ``EXPERIMENT.json`` and
    ``EXPERIMENT.md`` in the folder, these with what is complete so far after each row. After an
    interruption the same call goes on: complete rows are kept, and a row that was being trained
    continues from its checkpoint.

    Parameters
    ----------
    experiment
        Name of the table.
    data
        Data set with training, validation and test split.
    folder
        Output folder, which exists.
    budget
        Budget of each row.
    progress
        Called with a line of text before and after each row.
    rows
        Rows instead of those of the experiment.
    phasing
        Methods measured on the same crystals.
    pieces
        Stop after this many rows or methods; None: all.
    only
        Names of the rows and methods that are made; all by default.

    Returns
    -------
    dict or None
        The table, None if rows or methods are left.

    Raises
    ------
    InputError
        If the folder holds an experiment with another budget, or the data set does not fit.
    UsageError
        If there is no such experiment or row, or one of `only` needs a row that is missing.
    """
    rows = rows_of(experiment) if rows is None else rows
    names = _chosen(only, rows, phasing, folder)
    check_setting(
        folder, {"experiment": experiment, "data": str(Path(data).resolve()), **asdict(budget)}
    )
    write = functools.partial(_write_table, experiment, folder, Path(data), budget, rows, phasing)
    done = 0
    for row in rows:
        if row.name not in names or (folder / ROWS / row.name / RESULT).is_file():
            continue
        if done == pieces:
            return None
        progress(f"{row.label}: {'testing' if row.tests else 'training'}")
        run_row(row, folder / ROWS, Path(data), budget)
        found = read_piece(folder / ROWS / row.name / RESULT)
        progress(f"{row.label}: PC {found['pc']:.3f} after {found['examples']:,} examples")
        write()
        done += 1
    for method in phasing:
        result = folder / ROWS / f"{method}.json"
        if method not in names or result.is_file():
            continue
        if done == pieces:
            return None
        progress(f"{method}: {budget.test_limit} crystals")
        settings = Settings(phasing_seconds(budget), budget.seed, budget.device)
        evaluation = evaluate(data, method, budget.split, budget.test_limit, settings=settings)
        write_json(result, evaluation.metrics())
        write()
        done += 1
    table = write()
    return table if len(table["rows"]) + len(table["phasing"]) == len(rows) + len(phasing) else None


def _chosen(
    only: Sequence[str], rows: Sequence[Row], phasing: Sequence[str], folder: Path
) -> set[str]:
    """Names of the rows and methods to make; refuse unknown ones, and rows without their basis."""
    known = [*(row.name for row in rows), *phasing]
    if unknown := [name for name in only if name not in known]:
        raise UsageError(f"no row {unknown[0]!r} in this experiment; expected {', '.join(known)}")
    for row in rows:
        basis = row.refines or row.tests
        ready = basis in only or (folder / ROWS / basis / RESULT).is_file()
        if row.name in only and basis and not ready:
            raise UsageError(f"row {row.name} needs row {basis}, which is missing: add it")
    return set(only or known)


def _write_table(
    experiment: str,
    folder: Path,
    data: Path,
    budget: Budget,
    rows: Sequence[Row],
    phasing: Sequence[str],
) -> dict[str, Any]:
    """Write the table of the rows and methods that are complete."""
    trained = [folder / ROWS / row.name / RESULT for row in rows]
    phased = [folder / ROWS / f"{method}.json" for method in phasing]
    table = table_of(
        experiment,
        {
            "version": __version__,
            "date": datetime.date.today().isoformat(),
            "hardware": f"{platform.machine()}, {os.cpu_count()} CPUs, {budget.device}",
            "data": data.name,
            "budget": asdict(budget),
            "phasing_seconds": phasing_seconds(budget),
        },
        [read_piece(path) for path in trained if path.is_file()],
        [read_piece(path) for path in phased if path.is_file()],
    )
    write_json(folder / f"{experiment}.json", table)
    with atomic_path(folder / f"{experiment}.md") as path:
        path.write_text(markdown(table), encoding="utf-8")
    return table


def phasing_seconds(budget: Budget) -> float:
    """Seconds that a phasing method has for each crystal, fewer in short experiments."""
    if budget.minutes is None:
        return PHASING_SECONDS
    share = _PHASING_BUDGETS * 60 * budget.minutes / budget.test_limit
    return min(PHASING_SECONDS, round(share, 2))


def check_budget(budget: Budget) -> None:
    """Refuse a budget that trains nothing.

    Raises
    ------
    UsageError
        If minutes or examples are missing, both given, or not positive, or if processor time is
        to be measured on another device.
    """
    given = [x for x in (budget.minutes, budget.examples) if x is not None]
    if len(given) != 1 or given[0] <= 0:
        raise UsageError("give either minutes (`budget`) or `examples` for each row, above zero")
    if budget.test_limit < 1:
        raise UsageError(f"`test_limit` is {budget.test_limit}: expected at least 1")
    if budget.processor_time and not budget.device.startswith("cpu"):
        raise UsageError(f"`processor_time` is measured on the CPU, not on {budget.device}")
