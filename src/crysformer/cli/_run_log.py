"""The log of a run beside its results: command line, versions, every line."""

from __future__ import annotations

import argparse
import datetime
import logging
import os
import platform
import shlex
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from crysformer.errors import CrysformerError
from crysformer.files import companions, is_unfinished, locked_folder, write_bytes
from crysformer.version import __version__, versions

log = logging.getLogger("crysformer")

NAME: Final = "crysformer.log"
#: Commands whose output folder gets a log; that of `predict` stands beside its files (`file_log`).
COMMANDS: Final = ("solve", "build", "train", "evaluate", "demo", "benchmark")
_INTERVAL: Final = 5.0  # seconds between writings; a run that fails sooner leaves no folder


class _Lines(logging.Handler):
    """Lines of a run: a header, the records of the log, and results.

    Parameters
    ----------
    header
        First lines.
    own_thread
        Take the records of this thread alone, where other threads have runs of their own.
    """

    def __init__(self, header: Sequence[str], own_thread: bool = False) -> None:
        super().__init__(logging.DEBUG)
        self._lines = list(header)
        self._thread = threading.get_ident() if own_thread else None

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record."""
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        self.add(level + record.getMessage())

    def add(self, text: str) -> None:
        """Take lines that are not among the records, such as the result."""
        if self._thread in (None, threading.get_ident()):
            now = datetime.datetime.now().strftime("%H:%M:%S")
            self._lines += [f"{now}  {line}" for line in text.splitlines()]

    @property
    def content(self) -> bytes:
        """Content of the file."""
        return ("\n".join(self._lines) + "\n").encode()


class RunLog(_Lines):
    """Lines of a run, written beside its results while it holds the lock of their folder.

    Parameters
    ----------
    folder
        The output folder. The log is written only if the run changes something else in it, so that
        a command that is refused leaves everything as it was.
    header
        First lines.
    resume
        Keep the log that is there, and add this run to it.
    own_thread
        Take the records of this thread alone.
    """

    def __init__(
        self,
        folder: str | Path,
        header: Sequence[str],
        *,
        resume: bool = False,
        own_thread: bool = False,
    ) -> None:
        super().__init__(header, own_thread)
        self.path = Path(folder) / NAME
        self._resume = resume
        self._earlier: bytes | None = None
        self._before: dict[str, int] = {}
        self._held = self._was_held = False
        self._written = time.monotonic()

    def add(self, text: str) -> None:
        """Take lines, and write from time to time."""
        super().add(text)
        if self._held and time.monotonic() - self._written > _INTERVAL:
            self.write()

    @contextmanager
    def companion(self, folder: Path) -> Iterator[None]:
        """While the lock of the folder is held, the log is written into it."""
        if folder.absolute() != self.path.parent.absolute():
            yield
            return
        if not self._was_held:
            self._before = self._others()
            self._earlier = self.path.read_bytes() if self.path.is_file() else None
        self._held = self._was_held = True
        try:
            yield
        finally:
            self._held = False
            self.write()

    def write(self) -> None:
        """Write everything so far; nothing while nothing else in the folder is changed.

        A log that cannot be written, on a full disk for one, is no failure of the run.
        """
        self.acquire()
        try:
            with suppress(CrysformerError, OSError):
                self._replace()
        finally:
            self.release()

    def _replace(self) -> None:
        self._written = time.monotonic()
        if self._others() != self._before:
            kept = self._earlier + b"\n" if self._earlier and self._resume else b""
            write_bytes(self.path, kept + self.content)
        elif self._earlier is None:
            self.path.unlink(missing_ok=True)
        else:
            write_bytes(self.path, self._earlier)

    def _others(self) -> dict[str, int]:
        """Names of the other files and when they were changed, ns."""
        return {
            item.name: item.stat().st_mtime_ns
            for item in self.path.parent.iterdir()
            if item != self.path and not is_unfinished(item)
        }

    def finish(self) -> None:
        """Write what came after the results, if the folder is free."""
        if self._was_held and self.path.is_file():
            with locked_folder(self.path.parent, overwrite=True):
                pass  # written by `companion`


def add_to_log(text: str) -> None:
    """Add text that does not go through logging to the log of the run, if there is one."""
    for handler in log.handlers:
        if isinstance(handler, _Lines):
            handler.add(text)


def header(command_line: str) -> list[str]:
    """Command line, folder, versions and time of a run."""
    installed = ", ".join(f"{name} {version}" for name, version in versions().items())
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    return [
        f"crysformer {__version__}, {now}",
        f"command: {command_line}",
        f"in: {os.getcwd()}",
        f"on: {platform.platform()}, {installed}",
    ]


@contextmanager
def run_log(
    folder: str | Path | None,
    command_line: str,
    describe: Callable[[BaseException], str],
    *,
    resume: bool = False,
    own_thread: bool = False,
) -> Iterator[None]:
    """Keep the log of everything in the block beside the results.

    Parameters
    ----------
    folder
        The output folder; without one there is no log.
    command_line
        As it would be typed.
    describe
        Words for an exception that ends the block.
    resume
        Add to the log that is there.
    own_thread
        Take the records of this thread alone.
    """
    if folder is None:
        yield
        return
    handler = RunLog(folder, header(command_line), resume=resume, own_thread=own_thread)
    companion = handler.companion
    companions.append(companion)
    log.addHandler(handler)
    try:
        yield
    except BaseException as error:
        handler.add(f"error: {describe(error)}")
        raise
    finally:
        log.removeHandler(handler)
        with suppress(CrysformerError, OSError):
            handler.finish()
        companions.remove(companion)


@contextmanager
def file_log(path: Path, command_line: str) -> Iterator[None]:
    """Keep the log of everything in the block in a file, unless the block fails.

    Parameters
    ----------
    path
        The file; one that is there is replaced.
    command_line
        As it would be typed.
    """
    handler = _Lines(header(command_line))
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
    with suppress(CrysformerError, OSError):
        write_bytes(path, handler.content)


def quoted(argv: Sequence[str]) -> str:
    """The command line, quoted for a shell."""
    return shlex.join(["crysformer", *argv])


def logged_folder(command: str, args: argparse.Namespace) -> str | None:
    """The folder that gets the log of a command; None if it has none."""
    return args.output if command in COMMANDS else None
