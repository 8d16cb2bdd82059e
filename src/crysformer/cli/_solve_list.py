"""``crysformer solve LIST.tsv``: many crystals, a process each, one table at the end."""

from __future__ import annotations

import argparse
import contextlib
import csv
import logging
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from crysformer.cli._common import emit, log, progress_bar, with_flags
from crysformer.cli._run_log import add_to_log, run_log
from crysformer.cli._verdict import report_lines
from crysformer.crystal.io.crystal_list import ListedCrystal, read_list
from crysformer.errors import CrysformerError, InputError, UsageError
from crysformer.files import atomic_path, locked_folder, write_json
from crysformer.parallel import Workers, run_tasks
from crysformer.progress import Progress
from crysformer.schema import read_json_object, record
from crysformer.signals import end_processes, prepare_worker
from crysformer.wording import counted

#: Columns of results.tsv.
FIELDS = (
    "name", "data", "sequence", "copies", "status", "confidence", "method", "hand_probability",
    "seconds", "starts", "warnings", "message",
)  # fmt: skip
#: What is in the folder of a crystal that is complete.
RESULTS = ("solution.mtz", "solution.ccp4", "summary.json")
#: Seconds in which an interrupted crystal writes its best candidate.
_GRACE = 20.0
#: Fraction of the time limit after which an unsolved crystal counts as searched for all of it.
_SEARCHED = 0.8
_POLL = 0.5  # seconds between looks at processes that have nothing to say


@dataclass(frozen=True)
class _Row:
    """Line of the results; its fields are `FIELDS`."""

    name: str
    data: str
    sequence: str | None
    copies: int | None
    status: str
    confidence: float | None
    method: str | None
    hand_probability: float | None
    seconds: float | None
    starts: int | None
    warnings: int | None
    message: str | None


@dataclass(frozen=True)
class _Stored:
    """Content of results.json."""

    n: int
    solved: int
    not_solved: int
    failed: int
    crystals: list[dict[str, Any]]


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
    done = _complete(folder, crystals, args.time_limit) if args.resume else {}
    if args.resume:
        log.info("%d of %d are complete already", len(done), len(crystals))
    waiting = [crystal for crystal in crystals if crystal.name not in done]
    try:
        with progress_bar(args, "solving") as progress:
            solve_all = _solve_all if args.scheduler is None else _solve_on_cluster
            for record, fraction in solve_all(args, folder, waiting):
                if record is not None:
                    done[record["name"]] = record
                    _write(folder, crystals, done)
                    log.info(
                        "%d of %d: %s: %s",
                        len(done), len(crystals), record["name"], record["status"],
                    )  # fmt: skip
                if progress is not None:
                    solved = sum(r["status"] == "solved" for r in done.values())
                    text = f"{len(done)} of {len(crystals)}, {solved} solved"
                    progress((len(done) + fraction) / len(crystals), text)
    except KeyboardInterrupt as stop:
        raise type(stop)(
            f"{folder}: what was found so far is kept; pass `resume` to go on"
        ) from stop
    finally:
        _write(folder, crystals, done)
    written = [f"written: {folder}: results.tsv, results.json"]
    if not args.no_report:
        from crysformer.workflow.reports import write_batch_report

        page = write_batch_report(folder, [done[c.name] for c in crystals if c.name in done])
        written = [f"{written[0]}, {page.name}", *report_lines(folder)]
    records = [done[crystal.name] for crystal in crystals]
    table = _table(records)
    emit(args, _content(records), "\n".join([table, *written]), verdict=table.splitlines()[-1])
    failed = [record for record in records if record["status"] == "failed"]
    for record in failed:
        log.error("%s: %s", record["name"], record["message"])
    return 1 if failed else 0


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
        return _record(crystal, "failed", message=with_flags(str(error), options))
    except Exception as error:
        return _record(crystal, "failed", message=describe_error(error))
    return _solved(crystal, summary)


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
        job.fraction = float(content)
        return None
    job.process.join()
    job.pipe.close()
    if kind == "failed":
        return _record(job.crystal, "failed", message=content)
    return _solved(job.crystal, content)


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


def _record(crystal: ListedCrystal, status: str, **more: Any) -> dict[str, Any]:
    record: dict[str, Any] = dict.fromkeys(FIELDS)
    given = {name: str(x) if name == "data" else x for name, x in vars(crystal).items()}
    return {**record, **given, "status": status, **more}


def _solved(crystal: ListedCrystal, summary: dict[str, Any]) -> dict[str, Any]:
    return _record(
        crystal,
        "solved" if summary["solved"] else "not solved",
        confidence=summary["confidence"],
        method=summary["method"],
        hand_probability=summary["hand_probability"],
        seconds=summary["seconds"],
        starts=summary["starts"],
        warnings=len(summary["data"]["warnings"]),
    )


def _complete(
    folder: Path, crystals: Sequence[ListedCrystal], time_limit: float
) -> dict[str, dict[str, Any]]:
    """Records, by name, of the crystals that an earlier run with the same list row finished.

    An unsolved crystal is finished once it was searched for about `time_limit` seconds.
    """
    path = folder / "results.json"
    if not path.exists():
        return {}
    try:
        stored = record(_Stored, read_json_object(path))
        earlier = {values["name"]: asdict(record(_Row, values)) for values in stored.crystals}
    except (ValueError, KeyError) as error:
        raise InputError(f"{path}: not the results of a list ({error}); remove it") from error
    return {
        crystal.name: earlier[crystal.name]
        for crystal in crystals
        if crystal.name in earlier
        and _is_searched(earlier[crystal.name], time_limit)
        and _is_of(earlier[crystal.name], crystal)
        and all((folder / crystal.name / name).is_file() for name in RESULTS)
    }


def _is_searched(row: dict[str, Any], time_limit: float) -> bool:
    """Check if a crystal was solved, or searched for about `time_limit` seconds."""
    if row["confidence"] is None or row["seconds"] is None:
        return False
    enough: bool = row["seconds"] >= _SEARCHED * time_limit
    return row["status"] == "solved" or (row["status"] == "not solved" and enough)


def _is_of(row: dict[str, Any], crystal: ListedCrystal) -> bool:
    """Check if a row of the results is of the same data, sequence and copies."""
    given = _record(crystal, "")
    return all(row[name] == given[name] for name in ("data", "sequence", "copies"))


def _content(records: list[dict[str, Any]]) -> dict[str, Any]:
    states = [record["status"] for record in records]
    return {
        "n": len(records),
        "solved": states.count("solved"),
        "not_solved": states.count("not solved"),
        "failed": states.count("failed"),
        "crystals": records,
    }


def _write(
    folder: Path, crystals: tuple[ListedCrystal, ...], done: dict[str, dict[str, Any]]
) -> None:
    """results.tsv and results.json of what is done, in the order of the list."""
    records = [done[crystal.name] for crystal in crystals if crystal.name in done]
    write_json(folder / "results.json", _content(records))
    with (
        atomic_path(folder / "results.tsv") as path,
        open(path, "w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        table = csv.DictWriter(file, FIELDS, delimiter="\t", lineterminator="\n")
        table.writeheader()
        table.writerows(records)


def _line(record: dict[str, Any]) -> str:
    if record["status"] == "failed":
        return f"{record['name']}: failed"  # why is among the errors at the end
    return (
        f"{record['name']}: {record['status']}, confidence {record['confidence']:.2f}, "
        f"{record['method']}, {record['seconds']:.1f} s"
    )


def _table(records: list[dict[str, Any]]) -> str:
    content = _content(records)
    return "\n".join(
        [
            *(_line(record) for record in records),
            f"{counted(content['n'], 'crystal')}: {content['solved']} solved, "
            f"{content['not_solved']} not "
            f"solved, {content['failed']} failed",
        ]
    )
