"""Run methods over the crystals of a grid, in several processes, within a time budget."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from crysformer import __version__
from crysformer.data.store import FRAGMENTS, FragmentStore, FragmentTable, Split
from crysformer.data.synthetic.synthetic_crystal import SyntheticCrystal
from crysformer.errors import InputError, NotApplicable, UsageError
from crysformer.evaluation.methods import METHODS, Settings
from crysformer.evaluation.record import crash_text
from crysformer.evaluation.regimes.controls import has_truth
from crysformer.evaluation.regimes.grid import Condition
from crysformer.evaluation.regimes.results import Result, ResultLog
from crysformer.evaluation.regimes.synthetic_crystals import grid_crystal
from crysformer.evaluation.scoring import score
from crysformer.parallel import Workers, one_thread, run_tasks

LEFT_OUT = ("random",)
"""Methods that are run only if named: the result of chance is known."""


@dataclass(frozen=True)
class Job:
    """One crystal and the methods to try on it."""

    data_dir: str
    split: Split
    condition: Condition
    number: int
    methods: tuple[str, ...]
    settings: Settings


def chosen_methods(names: str | None) -> tuple[str, ...]:
    """Parse a comma-separated list of methods; by default all registered ones but `LEFT_OUT`.

    Raises
    ------
    UsageError
        If there is no such method.
    """
    if names is None:
        return tuple(name for name in METHODS if name not in LEFT_OUT)
    chosen = tuple(dict.fromkeys(name.strip() for name in names.split(",")))
    for name in chosen:
        if name not in METHODS:
            raise UsageError(f"`methods` {name}: expected some of {', '.join(METHODS)}")
    return chosen


def result_options(data_dir: str | Path, split: Split, settings: Settings) -> dict[str, Any]:
    """Options that change a result; the data set is identified by its content.

    Raises
    ------
    InputError
        If the folder is no data set.
    """
    store = FragmentStore.open(data_dir)
    digest = hashlib.sha256((store.folder / FRAGMENTS).read_bytes()).hexdigest()
    return {"data": digest, "split": split, "version": __version__, **asdict(settings)}


def run_grid(
    log: ResultLog,
    data_dir: str | Path,
    conditions: Sequence[Condition],
    methods: Sequence[str],
    settings: Settings,
    n: int,
    split: Split = "test",
    jobs: int = 1,
    scheduler: str | None = None,
    budget: float | None = None,
    progress: Callable[[float, str], None] | None = None,
) -> None:
    """Run every method on `n` crystals of every condition, leaving out what `log` holds.

    The first crystal of every condition comes first, then the second: whenever the run ends, all
    conditions have been tried about equally often, and all methods on the same crystals.

    Parameters
    ----------
    log
        Record of the results so far, to which new ones are appended.
    data_dir, split
        Fragments that the crystals are made of.
    conditions, methods
        Conditions and methods to run.
    settings
        Settings of every method; crystal number k is searched with the seed plus k.
    n
        Crystals of each condition.
    jobs
        Processes, one thread each. More processes than cores make methods with a time limit look
        worse than they are.
    scheduler
        Address of a dask.distributed scheduler whose workers see the data set, or ``"local"``; see
        `crysformer.parallel.Workers`. Crystals whose worker died are done again by another.
    budget
        Minutes after which no further crystal is begun.
    progress
        Called with the fraction done and a text after every crystal.

    Raises
    ------
    InputError, UsageError
        If the data set does not hold such crystals.
    """
    keys = [(c.name, k, m) for k in range(n) for c in conditions for m in methods]
    missing: dict[tuple[str, int], list[str]] = {}
    for name, number, method in log.missing(keys):
        missing.setdefault((name, number), []).append(method)
    by_name = {condition.name: condition for condition in conditions}
    work = [
        Job(str(Path(data_dir).absolute()), split, by_name[name], number, tuple(todo), settings)
        for (name, number), todo in missing.items()
    ]
    deadline = None if budget is None else time.monotonic() + 60 * budget
    for done, results in enumerate(_run_all(work, Workers(jobs, scheduler), deadline), start=1):
        for result in results:
            log.append(result)
        if progress is not None:
            progress(done / len(work), f"{done} of {len(work)}, {results[0].cell}")


def run_job(job: Job) -> list[Result]:
    """Run the methods of one job in order.

    Raises
    ------
    InputError, UsageError
        If the data set does not hold such a crystal.
    """
    table = _table(job.data_dir, job.split)
    crystal = grid_crystal(table, job.condition, job.number, job.settings.seed)
    settings = replace(job.settings, seed=job.settings.seed + job.number)
    return [_run_one(crystal, job, method, settings) for method in job.methods]


def _run_one(crystal: SyntheticCrystal, job: Job, method: str, settings: Settings) -> Result:
    blank = Result(job.condition.name, job.number, method, crystal.id, crystal.sequence, "done")
    begun = time.perf_counter()
    try:
        phasing = METHODS[method](crystal.data, crystal.sequence, settings)
    except (InputError, NotApplicable) as error:  # the method declines, with a reason
        return replace(blank, status="not applicable", message=str(error))
    except Exception as error:  # recorded; the command fails at its end
        seconds = time.perf_counter() - begun
        return replace(blank, status="crashed", message=crash_text(error), seconds=seconds)
    if phasing.not_applicable:
        return replace(blank, status="not applicable", message=phasing.not_applicable)
    found = score(crystal, phasing.phi, job.condition.quality.d_min, phasing.density)
    return replace(
        blank,
        seconds=round(phasing.seconds, 3),
        solved=found.solved and has_truth(job.condition.control),
        claimed=None if phasing.claimed is None else bool(phasing.claimed),
        confidence=None if phasing.confidence is None else float(phasing.confidence),
        cosine=round(found.cosine_aligned, 5),
        mean_phase_error=round(found.mean_phase_error_aligned, 3),
        weighted_phase_error=round(found.weighted_phase_error_aligned, 3),
        pc=round(found.pc_aligned, 5),
    )


def _run_all(
    work: Sequence[Job], workers: Workers, deadline: float | None
) -> Iterator[list[Result]]:
    def in_time() -> bool:
        return deadline is None or time.monotonic() < deadline

    # A job that waits at a worker would begin after the deadline, so none is sent ahead.
    tasks = ((job,) for job in work)
    with one_thread():
        for _, results in run_tasks(run_job, tasks, workers, may_begin=in_time, ahead=1):
            yield results


@lru_cache(maxsize=1)
def _table(data_dir: str, split: Split) -> FragmentTable:
    return FragmentStore.open(data_dir).table(split)
