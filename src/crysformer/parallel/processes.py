"""Tasks in processes of this machine."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from crysformer.parallel.task_queue import Task, TaskQueue
from crysformer.parallel.threads import compute_with_one_thread
from crysformer.signals import prepare_worker, workers_end_with_block

log = logging.getLogger(__name__)

Result = TypeVar("Result")


def run_in_processes(
    work: Callable[..., Result], queue: TaskQueue, jobs: int, shared: tuple[Any, ...], ahead: int
) -> Iterator[tuple[int, Result]]:
    """Run tasks as `run_tasks` does, in `jobs` processes of this machine."""
    context = multiprocessing.get_context("spawn")
    broken = True
    while broken:  # a pool with a dead process is of no further use
        broken = False
        with (
            ProcessPoolExecutor(jobs, context, _start_worker, (work, shared)) as pool,
            workers_end_with_block(),
        ):
            running: dict[Future[Result], Task] = {}
            try:
                while True:
                    while not broken and len(running) < ahead * jobs:
                        if (task := queue.next()) is None:
                            break
                        try:
                            running[pool.submit(_work, *task.arguments)] = task
                        except BrokenProcessPool:
                            broken = True
                            queue.put_back(task)
                    if not running:
                        break
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        task = running.pop(future)
                        try:
                            result = future.result()
                        except BrokenProcessPool:
                            broken = True
                            queue.died(task)
                            continue
                        yield task.number, result
            finally:
                pool.shutdown(wait=False, cancel_futures=True)
        if broken:
            log.warning("a worker process died; unfinished tasks are done again")


_worker: tuple[Callable[..., Any], tuple[Any, ...]] | None = None


def _start_worker(work: Callable[..., Any], shared: tuple[Any, ...]) -> None:
    global _worker
    prepare_worker()
    compute_with_one_thread()
    _worker = work, shared


def _work(*arguments: Any) -> Any:
    assert _worker is not None
    work, shared = _worker
    return work(*shared, *arguments)
