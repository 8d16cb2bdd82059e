"""Programs run in processes of their own, with the time and memory they took."""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

#: One thread for every library that the programs may use.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Run:
    """Output of a process, its wall and CPU time in seconds, and its memory in GB."""

    code: int
    out: str
    err: str
    seconds: float
    cpu_seconds: float
    peak_gb: float


def run_command(
    command: Sequence[str],
    limit: float,
    environment: Mapping[str, str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    *,
    descendants: bool = False,
) -> Run:
    """Run a process to its end, or kill it after `limit` seconds.

    Parameters
    ----------
    command
        Program and arguments.
    limit
        Seconds after which the process is killed.
    environment
        Environment of the process; that of this one by default.
    folder
        Working directory of the process; that of this one by default.
    descendants
        Run it in a process group of its own, of which nothing is left at its end: for programs that
        start others. Their time and memory count as far as the process has waited for them.
    """
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        begun = time.monotonic()
        process = subprocess.Popen(
            command, stdout=out, stderr=err, env=environment, cwd=folder,
            start_new_session=descendants,
        )  # fmt: skip

        def kill() -> None:
            if descendants:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()

        timer = threading.Timer(limit, kill)
        timer.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:  # Ctrl-C: no program is left behind
            kill()
            process.wait()
            raise
        finally:
            timer.cancel()
        if descendants:
            kill()  # what it left running
        seconds = time.monotonic() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        # Linux counts ru_maxrss in KiB, macOS in bytes
        unit = 1 if platform.system() == "Darwin" else 1024
        return Run(
            process.returncode,
            out.read(),
            err.read(),
            round(seconds, 1),
            round(usage.ru_utime + usage.ru_stime, 2),
            round(usage.ru_maxrss * unit / 1e9, 2),
        )
