"""The one interface: here, in processes, or on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from crysformer.parallel.cluster import run_on_cluster
from crysformer.parallel.processes import run_in_processes
from crysformer.parallel.task_queue import TaskQueue
from crysformer.parallel.workers import Workers

Result = TypeVar("Result")


def run_tasks(
    work: Callable[..., Result],
    tasks: Iterable[tuple[Any, ...]],
    workers: Workers,
    shared: tuple[Any, ...] = (),
    may_begin: Callable[[], bool] = lambda: True,
    ahead: int = 2,
) -> Iterator[tuple[int, Result]]:
    """Run ``work(*shared, *task)`` for every task.

    Parameters
    ----------
    work
        A function of a module; with other processes its arguments and result are pickled.
    tasks
        Arguments of each task, taken one by one as workers become free.
    workers
        Place where they run.
    shared
        Leading arguments that are the same for all tasks, sent to each worker once.
    may_begin
        Asked before each task; once it is False no further task begins.
    ahead
        Tasks that are sent out for each worker, so that none waits for its next.

    Yields
    ------
    The number of a task, from 0, and its result, in the order in which tasks end.

    Raises
    ------
    CrysformerError
        If workers died repeatedly with the same task, or the scheduler cannot be reached. What
        `work` raises is raised here, and ends the other tasks.
    UsageError
        If dask.distributed is needed and absent.
    """
    queue = TaskQueue(tasks, may_begin)
    if workers.scheduler is not None:
        return run_on_cluster(work, queue, workers, shared, ahead)
    if workers.jobs > 1:
        return run_in_processes(work, queue, workers.jobs, shared, ahead)
    return _here(work, queue, shared)


def _here(
    work: Callable[..., Result], queue: TaskQueue, shared: tuple[Any, ...]
) -> Iterator[tuple[int, Result]]:
    while (task := queue.next()) is not None:
        yield task.number, work(*shared, *task.arguments)
