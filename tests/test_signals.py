"""Signals become exceptions, and wait for the end of steps that must not be cut."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from typing import Any

import pytest

from crysformer.signals import (
    Terminated,
    WorkerTerminated,
    exit_status,
    prepare_worker,
    sigterm_as_exception,
    uninterrupted,
    workers_end_with_block,
)


@pytest.mark.parametrize(
    ("number", "kind", "status"),
    [(signal.SIGINT, KeyboardInterrupt, 130), (signal.SIGTERM, Terminated, 143)],
)
def test_a_step_is_finished_first(
    number: signal.Signals, kind: type[KeyboardInterrupt], status: int
) -> None:
    done = []

    @uninterrupted()
    def step() -> None:
        with uninterrupted():
            signal.raise_signal(number)
            done.append(1)
        done.append(2)

    with sigterm_as_exception():
        handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
        with pytest.raises(KeyboardInterrupt) as caught:
            step()
        assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert done == [1, 2]
    assert type(caught.value) is kind
    assert exit_status(caught.value) == status


def test_a_second_signal_does_not_wait() -> None:
    done = []

    @uninterrupted()
    def step() -> None:
        for i in range(1, 3):
            signal.raise_signal(signal.SIGINT)
            done.append(i)

    with pytest.raises(KeyboardInterrupt):
        step()
    assert done == [1]


def test_an_ignored_signal_stays_ignored_and_threads_are_left_alone() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)
    found: list[str] = []

    def elsewhere() -> None:
        with uninterrupted(), sigterm_as_exception():
            found.append("done")

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == ["done"]


def _sleep() -> None:
    prepare_worker(grace=0.5)
    time.sleep(60)


def _parent(pipe: object) -> None:
    child = multiprocessing.get_context("spawn").Process(target=_sleep)
    child.start()
    pipe.send(child.pid)  # type: ignore[attr-defined]
    time.sleep(60)


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_workers_end_with_their_parent() -> None:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    parent = context.Process(target=_parent, args=(theirs,))
    parent.start()
    pid = ours.recv()
    time.sleep(0.3)
    parent.kill()
    parent.join()
    until = time.monotonic() + 20
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < until:
        time.sleep(0.1)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_an_interrupted_block_ends_its_workers() -> None:
    process = multiprocessing.get_context("spawn").Process(target=_sleep)

    @workers_end_with_block()
    def block() -> None:
        process.start()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        block()
    assert not process.is_alive()


def _wait_unprotected(ready: Any) -> None:
    """Work of a process that nothing guards against SIGTERM."""
    prepare_worker()
    ready.set()
    time.sleep(60)


def test_a_worker_ends_without_a_traceback_wherever_it_is(
    capfd: pytest.CaptureFixture[str],
) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=_wait_unprotected, args=(ready,), daemon=True)
    process.start()
    assert ready.wait(60)
    process.terminate()
    process.join(20)
    assert process.exitcode == 143
    assert capfd.readouterr().err == ""
    with pytest.raises(Terminated):
        raise WorkerTerminated
