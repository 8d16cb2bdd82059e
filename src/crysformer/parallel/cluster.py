"""Tasks on the workers of a dask.distributed scheduler (the optional extra ``cluster``)."""

from __future__ import annotations

import contextlib
import importlib
import logging
import socket
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

from crysformer.errors import CrysformerError, UsageError
from crysformer.parallel.task_queue import Task, TaskQueue, raise_deaths
from crysformer.parallel.threads import compute_with_one_thread
from crysformer.parallel.workers import LOCAL, Workers

log = logging.getLogger(__name__)

Result = TypeVar("Result")

_CONNECT_SECONDS: Final = 10


def run_on_cluster(
    work: Callable[..., Result],
    queue: TaskQueue,
    workers: Workers,
    shared: tuple[Any, ...],
    ahead: int,
) -> Iterator[tuple[int, Result]]:
    """Run tasks as `run_tasks` does, on the workers of a dask.distributed scheduler."""
    distributed = _distributed()
    with _client(distributed, workers) as client, warnings.catch_warnings():
        # whole structure files travel with a task
        warnings.filterwarnings("ignore", message="Sending large graph")
        # Made by a task, and not scattered, since dask can do a task again: what was scattered is
        # lost with the workers that hold it.
        held = client.submit(_same, shared, pure=False)
        finished = distributed.as_completed(loop=client.loop)
        running: dict[Any, Task] = {}
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
    compute_with_one_thread()
    return work(*shared, *arguments)


def _threads(client: Any) -> int:
    """Tasks that the workers can do at once; 1 while there are none yet."""
    return max(1, sum(client.nthreads().values()))


def _outcome(distributed: Any, workers: Workers, future: Any) -> Any:
    try:
        return future.result()
    except distributed.KilledWorker:
        raise_deaths()
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
                    dashboard_address=":0",  # the usual port may be in use
                    silence_logs=logging.CRITICAL,
                )
            )
        else:
            _require_listener(distributed, address)
        client = stack.enter_context(
            distributed.Client(address, timeout=_CONNECT_SECONDS, set_as_default=False)
        )
        if not client.nthreads():
            log.warning("%s: no worker has joined yet; waiting for one", workers.scheduler)
        yield client


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
