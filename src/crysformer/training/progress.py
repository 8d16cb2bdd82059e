"""Progress of a run on stderr."""

from __future__ import annotations

import logging
import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as RichProgress

from crysformer.progress import HEARTBEAT, duration

log = logging.getLogger("crysformer")


class Progress:
    """Progress bar with examples/s, time left and latest loss; log lines without a terminal.

    Parameters
    ----------
    examples
        Length of the run, examples.
    max_time
        Time limit, s, if any.
    quiet
        No bar.
    epoch
        Length of an epoch, examples.
    """

    def __init__(self, examples: int, max_time: float | None, quiet: bool, epoch: int = 1) -> None:
        self._examples, self._epoch = examples, epoch
        self._max_time = max_time
        self._shown = not quiet and sys.stderr.isatty()
        self._bar = RichProgress(
            TextColumn("training"),
            BarColumn(),
            TextColumn("{task.fields[status]}"),
            console=Console(stderr=True),
            disable=not self._shown,
        )
        self._task = self._bar.add_task("training", total=1.0, status="")
        self._begin: tuple[int, float] | None = None
        self._logged = 0.0

    def __enter__(self) -> Progress:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def update(self, examples: int, seconds: float, loss: float) -> None:
        """Update the bar."""
        if self._begin is None:
            self._begin, self._logged = (examples, seconds), seconds
        elapsed = seconds - self._begin[1]
        speed = (examples - self._begin[0]) / elapsed if elapsed > 0 else 0.0
        left = (self._examples - examples) / speed if speed else 0.0
        fraction = examples / self._examples
        if self._max_time is not None:
            left = min(left, self._max_time - seconds) if speed else self._max_time - seconds
            fraction = max(fraction, seconds / self._max_time)
        status = (
            f"{examples} examples, epoch {examples / self._epoch:.2f}, {speed:.1f}/s, "
            f"{duration(left)} left, loss {loss:.4f}"
        )
        self._bar.update(self._task, completed=min(1.0, fraction), status=status)
        if not self._shown and seconds - self._logged >= HEARTBEAT:
            self._logged = seconds
            log.info("training: %s", status)

    def message(self, text: str) -> None:
        """Log a line, above the bar."""
        log.info("%s", text)

    def warning(self, text: str) -> None:
        """Log a line about a fault, also if the run is quiet."""
        log.warning("%s", text)
