"""``crysformer solve LIST.tsv``: many crystals, a process each, one table at the end."""

from __future__ import annotations

import argparse
import contextlib
import logging
import math
import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from crysformer.cli._common import emit, log, progress_bar, with_flags
from crysformer.cli._list_results import (
    complete_records,
    content,
    record_of,
    results_table,
    solved_record,
    write_results,
)
from crysformer.cli._run_log import add_to_log, run_log
from crysformer.cli._verdict import report_lines
from crysformer.crystal.io.crystal_list import ListedCrystal, read_list
from crysformer.errors import CrysformerError, UsageError
from crysformer.files import locked_folder
from crysformer.parallel import Workers, run_tasks
from crysformer.progress import Progress, duration
from crysformer.signals import end_processes, prepare_worker
from crysformer.wording import counted

#: Seconds in which an interrupted crystal writes its best candidate.
_GRACE = 20.0
_POLL = 0.5  # seconds between looks at processes that have nothing to say


@dataclass
class _Job:
    """One crystal in its process; `fraction` is how much of it is done."""

    crystal: ListedCrystal
    process: BaseProcess
    pipe: Connection
    fraction: float = 0.0


def run(args: argparse.Namespace) -> int:
    """Solve every crystal of the list; 1 if one could not be done, when all others are."""
    for option in ("sequence", "copies"):
        if getattr(args, option) is not None:
            raise UsageError(f"--{option} is for one crystal; a list has a column {option}")
    if args.composition is not None:
        raise UsageError("--composition is for one crystal, not for a list")
    if args.jobs < 1:
        raise UsageError(f"--jobs {args.jobs}: expected a whole number from 1")
    crystals = read_list(args.data)
    with locked_folder(args.output, overwrite=args.overwrite, resume=args.resume) as folder:
        return _run(args, crystals, folder)


def _run(args: argparse.Namespace, crystals: tuple[ListedCrystal, ...], folder: Path) -> int:
    done = complete_records(folder, crystals, args.time_limit) if args.resume else {}
    if args.resume:
        log.info("%d of %d are complete already", len(done), len(crystals))
    waiting = [crystal for crystal in crystals if crystal.name not in done]
    if waiting:
        log.info("%s", _longest(args, len(waiting)))
    begun_with = len(done)
    try:
        with progress_bar(args, "solving") as progress:
            solve_all = _solve_all if args.scheduler is None else _solve_on_cluster
            for record, fraction in solve_all(args, folder, waiting):
                if record is not None:
                    done[record["name"]] = record
                    write_results(folder, crystals, done)
                    log.info(
                        "%d of %d: %s: %s",
                        len(done), len(crystals), record["name"], record["status"],
                    )  # fmt: skip
                if progress is not None:
                    solved = sum(r["status"] == "solved" for r in done.values())
                    text = f"{len(done)} of {len(crystals)}, {solved} solved"
                    # of this run alone, for the estimate of the time left
                    progress((len(done) - begun_with + fraction) / len(waiting), text)
    except KeyboardInterrupt as stop:
        raise type(stop)(
            f"{folder}: what was found so far is kept; pass `resume` to go on"
        ) from stop
    finally:
        write_results(folder, crystals, done)
    written = [f"written: {folder}: results.tsv, results.json"]
    if not args.no_report:
        from crysformer.workflow.reports import write_batch_report

        page = write_batch_report(folder, [done[c.name] for c in crystals if c.name in done])
        written = [f"{written[0]}, {page.name}", *report_lines(folder)]
    records = [done[crystal.name] for crystal in crystals]
    table = results_table(records)
    emit(args, content(records), "\n".join([table, *written]), verdict=table.splitlines()[-1])
    failed = [record for record in records if record["status"] == "failed"]
    for record in failed:
        log.error("%s: %s", record["name"], record["message"])
    return 1 if failed else 0


def _longest(args: argparse.Namespace, n: int) -> str:
    """The time that `n` crystals may take, in words."""
    building = 0.0 if args.no_build else args.build_time_limit
    text = f"{counted(n, 'crystal')} to solve, each in at most {duration(args.time_limit)}"
    if building:
        text += f", and {duration(building)} for the model of a solution"
    if args.scheduler is None:
        turns = math.ceil(n / args.jobs)
        text += f"; at most {duration(turns * (args.time_limit + building))} in all"
    return text


def _solve_all(
    args: argparse.Namespace, folder: Path, crystals: list[ListedCrystal]
) -> Iterator[tuple[dict[str, Any] | None, float]]:
    """Records as they are finished (or None), with the summed fractions of those under way."""
    # Forked from a clean process that has everything imported, where the system can do that.
    forks = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if forks else "spawn")
    if forks:
        context.set_forkserver_preload(["crysformer.phasing.solver", __name__])
    threads = max(1, (os.cpu_count() or 1) // args.jobs)
    queue, running = list(crystals), list[_Job]()
    try:
        while queue or running:
            while queue and len(running) < args.jobs:
                running.append(_start(context, args, folder, queue.pop(0), threads))
            for ready in wait([job.pipe for job in running], timeout=_POLL):
                job = next(job for job in running if job.pipe is ready)
                record = _listen(job)
                if record is not None:
                    running.remove(job)
                yield record, sum(other.fraction for other in running)
    finally:
        end_processes([job.process for job in running], _GRACE)


def _solve_on_cluster(
    args: argparse.Namespace, folder: Path, crystals: list[ListedCrystal]
) -> Iterator[tuple[dict[str, Any], float]]:
    """Records as they are finished by the workers of a dask scheduler."""
    tasks = ((_options(args, folder.absolute(), crystal), crystal) for crystal in crystals)
    workers = Workers(args.jobs, args.scheduler)
    for _, finished in run_tasks(_solve_remotely, tasks, workers, ahead=1):
        yield finished, 0.0


def _solve_remotely(options: argparse.Namespace, crystal: ListedCrystal) -> dict[str, Any]:
    """Solve one crystal; a worker that died before may have left its state, to go on from."""
    from crysformer.cli import describe_error

    output = Path(options.output)
    if not options.overwrite:  # then nothing was there before this run
        options.resume = options.resume or (output.is_dir() and any(output.iterdir()))
    try:
        summary = _solve_with_log(options, None, own_thread=True)
    except CrysformerError as error:
        return record_of(crystal, "failed", message=with_flags(str(error), options))
    except Exception as error:
        return record_of(crystal, "failed", message=describe_error(error))
    return solved_record(crystal, summary)


def _solve_with_log(
    options: argparse.Namespace, progress: Progress | None, *, own_thread: bool = False
) -> dict[str, Any]:
    """Solve one crystal into a folder with a log of its own; summary.json."""
    from crysformer.cli import failure
    from crysformer.cli._solve_one import solve_one

    log.setLevel(logging.DEBUG)
    with run_log(
        options.output, options.command_line, failure,
        resume=options.resume, own_thread=own_thread,
    ):  # fmt: skip
        summary, text = solve_one(options, progress)
        add_to_log(text)
    return summary


def _options(args: argparse.Namespace, folder: Path, crystal: ListedCrystal) -> argparse.Namespace:
    """The command line of one crystal."""
    options = argparse.Namespace(**{**vars(args), "run": None})
    options.data, options.sequence = str(crystal.data), crystal.sequence
    options.copies, options.output = crystal.copies, str(folder / crystal.name)
    return options


def _start(
    context: Any, args: argparse.Namespace, folder: Path, crystal: ListedCrystal, threads: int
) -> _Job:
    options = _options(args, folder, crystal)
    ours, theirs = context.Pipe(duplex=False)
    # a daemon ends with this process even if Ctrl-C comes before it is on the list of running jobs
    process = context.Process(
        target=_child, args=(options, theirs, threads), name=crystal.name, daemon=True
    )
    process.start()
    theirs.close()
    return _Job(crystal, process, ours)


def _listen(job: _Job) -> dict[str, Any] | None:
    """Take what a job says: its record if it has ended, else None."""
    try:
        kind, content = job.pipe.recv()
    except EOFError:
        job.process.join()
        code = job.process.exitcode
        kind, content = "failed", f"the process died (exit code {code}); perhaps out of memory"
    if kind == "progress":
        job.fraction = max(job.fraction, float(content))  # building counts from zero again
        return None
    job.process.join()
    job.pipe.close()
    if kind == "failed":
        return record_of(job.crystal, "failed", message=content)
    return solved_record(job.crystal, content)


def _child(options: argparse.Namespace, pipe: Connection, threads: int) -> None:
    """Solve one crystal and tell of it; SIGTERM leaves the best so far, for --resume."""
    import torch

    from crysformer.cli import describe_error

    prepare_worker(_GRACE)
    log.addHandler(logging.NullHandler())  # the log of the crystal has what it says
    torch.set_num_threads(threads)

    def progress(fraction: float, text: str) -> None:
        with contextlib.suppress(OSError):
            pipe.send(("progress", fraction))

    try:
        summary = _solve_with_log(options, progress)
    except KeyboardInterrupt:
        raise SystemExit(143) from None
    except CrysformerError as error:
        pipe.send(("failed", with_flags(str(error), options)))
    except Exception as error:
        pipe.send(("failed", describe_error(error)))
    else:
        pipe.send(("done", summary))
