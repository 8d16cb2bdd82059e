"""Independent tasks here, in processes of this machine, or on a dask cluster.

`run_tasks` is the one interface: results come as tasks end, the tasks of a worker that dies are
done again elsewhere, and each result comes once. In other processes than the calling one, each
task computes with one thread.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import multiprocessing
import os
import socket
import sys
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any, Final, NoReturn, TypeVar

from crysformer.errors import CrysformerError, UsageError
from crysformer.signals import prepare_worker, workers_end_with_block

log = logging.getLogger(__name__)

Result = TypeVar("Result")

#: A scheduler of this name is started on this machine for the one run.
LOCAL: Final = "local"
#: Deaths of workers that a task survives, as with dask's own default.
_DEATHS: Final = 3
_CONNECT_SECONDS: Final = 10


@dataclass(frozen=True)
class Workers:
    """Place where tasks run.

    Attributes
    ----------
    jobs
        Processes of this machine; 1 runs tasks in the calling process. Above 1 the calling script
        needs the usual ``if __name__ == "__main__":``.
    scheduler
        Address of a dask.distributed scheduler such as ``tcp://host:8786``, whose workers have this
        package and see the same folders, or ``"local"`` for one with `jobs` workers on this
        machine. None for plain processes.
    """

    jobs: int = 1
    scheduler: str | None = None

    def __post_init__(self) -> None:
        if self.jobs < 1:
            raise UsageError(f"`jobs` is {self.jobs}: expected a whole number from 1")

    @property
    def elsewhere(self) -> bool:
        """True if tasks run in other processes than this one."""
        return self.jobs > 1 or self.scheduler is not None


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
    queue = _Queue(tasks, may_begin)
    if workers.scheduler is not None:
        return _on_dask(work, queue, workers, shared, ahead)
    if workers.jobs > 1:
        return _in_processes(work, queue, workers.jobs, shared, ahead)
    return _here(work, queue, shared)


@dataclass(frozen=True)
class _Task:
    number: int
    arguments: tuple[Any, ...]


class _Queue:
    """Tasks in order, those that are to be done again first."""

    def __init__(self, tasks: Iterable[tuple[Any, ...]], may_begin: Callable[[], bool]) -> None:
        self._tasks = enumerate(tasks)
        self._again: deque[_Task] = deque()
        self._deaths: Counter[int] = Counter()
        self._may_begin = may_begin

    def next(self) -> _Task | None:
        """The task to begin now, if any."""
        if not self._may_begin():
            return None
        if self._again:
            return self._again.popleft()
        following = next(self._tasks, None)
        return None if following is None else _Task(*following)

    def put_back(self, task: _Task) -> None:
        """Take back a task that was not begun."""
        self._again.append(task)

    def died(self, task: _Task) -> None:
        """Take back a task whose worker died."""
        self._deaths[task.number] += 1
        if self._deaths[task.number] >= _DEATHS:
            _raise_deaths()
        self._again.append(task)


def _raise_deaths() -> NoReturn:
    raise CrysformerError(
        f"worker processes died {_DEATHS} times with the same task; perhaps out of memory: try "
        "fewer `jobs`"
    )


def _here(
    work: Callable[..., Result], queue: _Queue, shared: tuple[Any, ...]
) -> Iterator[tuple[int, Result]]:
    while (task := queue.next()) is not None:
        yield task.number, work(*shared, *task.arguments)


def _in_processes(
    work: Callable[..., Result], queue: _Queue, jobs: int, shared: tuple[Any, ...], ahead: int
) -> Iterator[tuple[int, Result]]:
    context = multiprocessing.get_context("spawn")
    broken = True
    while broken:  # a pool with a dead process is of no further use
        broken = False
        with (
            ProcessPoolExecutor(jobs, context, _start_worker, (work, shared)) as pool,
            workers_end_with_block(),
        ):
            running: dict[Future[Result], _Task] = {}
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
    _one_thread()
    _worker = work, shared


def _work(*arguments: Any) -> Any:
    assert _worker is not None
    work, shared = _worker
    return work(*shared, *arguments)


def _one_thread() -> None:
    """Let this process compute with one thread, without loading PyTorch for it."""
    torch = sys.modules.get("torch")
    if torch is None:
        os.environ["OMP_NUM_THREADS"] = "1"
    else:
        torch.set_num_threads(1)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch compute with one thread within the block, for the same numbers everywhere."""
    torch = importlib.import_module("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _on_dask(
    work: Callable[..., Result],
    queue: _Queue,
    workers: Workers,
    shared: tuple[Any, ...],
    ahead: int,
) -> Iterator[tuple[int, Result]]:
    distributed = _distributed()
    with _client(distributed, workers) as client, warnings.catch_warnings():
        # whole structure files travel with a task
        warnings.filterwarnings("ignore", message="Sending large graph")
        # Made by a task, and not scattered, since dask can do a task again: what was scattered is
        # lost with the workers that hold it.
        held = client.submit(_same, shared, pure=False)
        finished = distributed.as_completed(loop=client.loop)
        running: dict[Any, _Task] = {}
        try:
            while True:
                while len(running) < ahead * _threads(client):
                    if (task := queue.next()) is None:
                        break
                    future = client.submit(_remote, work, held, task.arguments, pure=False)
                    running[future] = task
                    finished.add(future)
                if not running:
                    return
                future = next(finished)
                yield running.pop(future).number, _outcome(distributed, workers, future)
        finally:
            with contextlib.suppress(Exception):  # the scheduler may be gone
                client.cancel(list(running))


def _same(shared: tuple[Any, ...]) -> tuple[Any, ...]:
    return shared


def _remote(work: Callable[..., Any], shared: tuple[Any, ...], arguments: Sequence[Any]) -> Any:
    _one_thread()
    return work(*shared, *arguments)


def _threads(client: Any) -> int:
    """Tasks that the workers can do at once; 1 while there are none yet."""
    return max(1, sum(client.nthreads().values()))


def _outcome(distributed: Any, workers: Workers, future: Any) -> Any:
    try:
        return future.result()
    except distributed.KilledWorker:
        _raise_deaths()
    except (distributed.client.FutureCancelledError, distributed.comm.CommClosedError) as error:
        raise CrysformerError(
            f"{workers.scheduler}: the connection to the scheduler was lost ({error})"
        ) from error


def _distributed() -> Any:
    try:
        return importlib.import_module("distributed")
    except ImportError as error:
        raise UsageError(
            "`scheduler` needs dask.distributed, which is not installed: pip install "
            "'crysformer[cluster]'"
        ) from error


@contextlib.contextmanager
def _client(distributed: Any, workers: Workers) -> Iterator[Any]:
    with contextlib.ExitStack() as stack:
        stack.enter_context(_silenced("distributed"))
        address: Any = workers.scheduler
        if address == LOCAL:
            address = stack.enter_context(
                distributed.LocalCluster(
                    n_workers=workers.jobs,
                    threads_per_worker=1,
                    processes=True,
                    dashboard_address=None,
                    silence_logs=logging.CRITICAL,
                )
            )
        else:
            _require_listener(distributed, address)
        yield stack.enter_context(
            distributed.Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
        )


def _require_listener(distributed: Any, address: str) -> None:
    """Check that something listens at an address: a client that finds nothing takes a minute."""
    try:
        with socket.create_connection(
            distributed.comm.get_address_host_port(address), _CONNECT_SECONDS
        ):
            pass
    except (OSError, ValueError, TypeError) as error:
        raise CrysformerError(
            f"{address}: no dask scheduler answers there ({error}); expected an address such as "
            "tcp://host:8786, or local"
        ) from error


@contextlib.contextmanager
def _silenced(name: str) -> Iterator[None]:
    """Hide the log of a library that tells at length of workers that it has replaced."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
