"""Interruption by SIGINT and SIGTERM: as an exception, and never inside some steps."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import FrameType
from typing import NoReturn

#: Seconds in which a worker removes its unfinished files after SIGTERM.
GRACE = 2.0


class Terminated(KeyboardInterrupt):
    """SIGTERM, handled wherever Ctrl-C is handled."""


class WorkerTerminated(Terminated, SystemExit):
    """SIGTERM in a worker: wherever it comes, multiprocessing ends the process without a word."""

    def __init__(self) -> None:
        super().__init__()
        self.code = 128 + signal.SIGTERM


def exit_status(stop: KeyboardInterrupt) -> int:
    """Exit status of a command that was interrupted, as shells count: 128 and the signal."""
    return 128 + (signal.SIGTERM if isinstance(stop, Terminated) else signal.SIGINT)


@contextlib.contextmanager
def sigterm_as_exception() -> Iterator[None]:
    """Raise `Terminated` on SIGTERM within the block; without effect outside the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _terminate(*_: object) -> NoReturn:
    raise Terminated


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Put off SIGINT and SIGTERM to the end of the block; a second signal is not put off.

    Without effect outside the main thread, which no signal interrupts. A signal that is ignored
    stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handled = (signal.SIGINT, signal.SIGTERM)
    current = {number: signal.getsignal(number) for number in handled}
    # None: a handler that was not installed from Python, and could not be put back.
    before = {n: h for n, h in current.items() if h not in (None, signal.SIG_IGN)}
    received: list[int] = []

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def put_off(number: int, frame: FrameType | None) -> None:
        if received:
            restore()
            signal.raise_signal(number)
        received.append(number)

    try:
        for number in before:
            signal.signal(number, put_off)
        yield
    finally:
        restore()
    if received:
        signal.raise_signal(received[0])


def prepare_worker(grace: float = GRACE) -> None:
    """Make this worker process end with its parent, and leave Ctrl-C to the parent.

    SIGTERM raises `WorkerTerminated`, so that unfinished files are removed; `grace` seconds later
    the process ends whatever it does. A parent that is killed sends nothing: a thread waits for its
    end and sends the signal in its place.
    """

    def end_soon(*_: object) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        _Later(grace, 128 + signal.SIGTERM).start()
        raise WorkerTerminated

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, end_soon)
    threading.Thread(target=_end_with_parent, daemon=True).start()


class _Later(threading.Thread):
    """End of the process after some seconds, from a thread that does not delay an earlier end."""

    def __init__(self, seconds: float, status: int) -> None:
        super().__init__(daemon=True)
        self._seconds, self._status = seconds, status

    def run(self) -> None:
        time.sleep(self._seconds)
        os._exit(self._status)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)


@contextlib.contextmanager
def workers_end_with_block() -> Iterator[None]:
    """If the block fails or is interrupted, end the processes that were started within it."""
    before = set(multiprocessing.active_children())
    try:
        yield
    except BaseException:
        end_processes([p for p in multiprocessing.active_children() if p not in before])
        raise


def end_processes(processes: Sequence[BaseProcess], grace: float = GRACE) -> None:
    """Send SIGTERM to processes, and SIGKILL to those that live `grace` and a second later."""
    for process in processes:
        process.terminate()
    until = time.monotonic() + grace + 1.0
    for process in processes:
        process.join(max(0.0, until - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join()
