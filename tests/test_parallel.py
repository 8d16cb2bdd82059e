"""Tasks give the same results everywhere, also if a worker is killed."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from crysformer.errors import CrysformerError, InputError, UsageError
from crysformer.parallel import Workers, run_tasks

needs_dask = pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="dask.distributed is not installed"
)
ELSEWHERE = [Workers(2), pytest.param(Workers(2, "local"), marks=needs_dask)]
EVERYWHERE = [Workers(1), *ELSEWHERE]


def tenfold(offset: int, number: int) -> int:
    return offset + 10 * number


def once_killed(folder: Path, number: int) -> int:
    """Die in the middle of task 3, the first time; leave a note of each task that was finished."""
    killed = folder / "killed"
    if number == 3 and not killed.exists():
        killed.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return tenfold(1, number)


def deadly(number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def failing(number: int) -> int:
    if number == 2:
        raise InputError("two is not accepted")
    return number


def threads() -> int:
    import torch

    return torch.get_num_threads()


@pytest.mark.parametrize("workers", EVERYWHERE)
def test_every_task_gives_its_result_once(workers: Workers) -> None:
    found = list(run_tasks(tenfold, ((n,) for n in range(9)), workers, shared=(1,)))
    assert sorted(found) == [(n, 1 + 10 * n) for n in range(9)]


@pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")
@pytest.mark.parametrize("workers", ELSEWHERE)
def test_killed_worker_loses_nothing(workers: Workers, tmp_path: Path) -> None:
    found = list(run_tasks(once_killed, ((n,) for n in range(9)), workers, (tmp_path,)))
    assert (tmp_path / "killed").exists()
    assert sorted(found) == [(n, 1 + 10 * n) for n in range(9)]


@pytest.mark.skipif(os.name != "posix", reason="sends POSIX signals")
@pytest.mark.parametrize("workers", ELSEWHERE)
def test_task_that_kills_every_worker_is_given_up(workers: Workers) -> None:
    with pytest.raises(CrysformerError, match="died 3 times with the same task"):
        list(run_tasks(deadly, [(0,)], workers))


@pytest.mark.parametrize("workers", EVERYWHERE)
def test_errors_arrive_and_end_the_rest(workers: Workers) -> None:
    with pytest.raises(InputError, match="two is not accepted"):
        list(run_tasks(failing, ((n,) for n in range(4)), workers))


@pytest.mark.slow
@pytest.mark.parametrize("workers", ELSEWHERE)
def test_workers_compute_with_one_thread(workers: Workers) -> None:
    assert list(run_tasks(threads, [()], workers)) == [(0, 1)]


def test_tasks_are_taken_as_they_can_be_done() -> None:
    taken = []

    def tasks() -> Iterator[tuple[int]]:
        for n in range(100):
            taken.append(n)
            yield (n,)

    results = run_tasks(tenfold, tasks(), Workers(2), shared=(1,))
    next(results)
    assert len(taken) <= 5
    results.close()  # type: ignore[attr-defined]


def test_nothing_begins_after_the_end() -> None:
    begun: list[int] = []

    def tasks() -> Iterator[tuple[int]]:
        for n in range(10):
            begun.append(n)
            yield (n,)

    found = list(run_tasks(tenfold, tasks(), Workers(), (1,), may_begin=lambda: len(begun) < 3))
    assert len(found) == 3


def test_no_jobs() -> None:
    with pytest.raises(UsageError, match="`jobs` is 0"):
        Workers(0)


def test_absent_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(UsageError, match=r"crysformer\[cluster\]"):
        list(run_tasks(tenfold, [(1,)], Workers(1, "tcp://localhost:8786"), (1,)))


@needs_dask
@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "nonsense"])
def test_no_scheduler_there(address: str) -> None:
    begun = time.monotonic()
    with pytest.raises(CrysformerError, match="no dask scheduler answers"):
        list(run_tasks(tenfold, [(1,)], Workers(1, address), (1,)))
    assert time.monotonic() - begun < 20


@needs_dask
def test_scheduler_of_another_process(tmp_path: Path) -> None:
    """As on a cluster: scheduler and workers are there already, one worker is killed."""
    code = """
        import sys
        from distributed import LocalCluster
        if __name__ == "__main__":
            with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
                print(cluster.scheduler_address, flush=True)
                sys.stdin.read()
    """
    script = tmp_path / "cluster.py"
    script.write_text(textwrap.dedent(code))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    cluster = subprocess.Popen(
        [sys.executable, str(script)], env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert cluster.stdout is not None
        workers = Workers(scheduler=cluster.stdout.readline().strip())
        found = list(run_tasks(once_killed, ((n,) for n in range(9)), workers, (tmp_path,)))
    finally:
        cluster.communicate("")
    assert sorted(found) == [(n, 1 + 10 * n) for n in range(9)]
