"""Progress on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import argparse
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TextIO

from crysformer.progress import HEARTBEAT, StageClock

if TYPE_CHECKING:
    from rich.table import Table

log = logging.getLogger("crysformer")

_BAR_WIDTH: Final = 24
_REFRESHES: Final = 4  # a second


class StderrHandler(logging.StreamHandler[TextIO]):
    """Log lines to whatever standard error is when they come.

    While a bar of rich is drawn, that is rich's console, which prints above the bar.
    """

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """Standard error."""
        return sys.stderr


@contextmanager
def progress_bar(args: argparse.Namespace, description: str) -> Iterator[StageClock | None]:
    """Give ``progress(fraction, text)`` that is shown on stderr; None with -q."""
    if args.quiet:
        yield None
        return
    clock = StageClock(description)
    with _drawn(clock) if sys.stderr.isatty() else heartbeat(clock):
        yield clock


@contextmanager
def _drawn(clock: StageClock) -> Iterator[None]:
    """A bar that moves with the time, removed at the end."""
    from rich.console import Console
    from rich.live import Live

    with Live(
        get_renderable=lambda: _row(clock),
        console=Console(stderr=True),
        transient=True,
        refresh_per_second=_REFRESHES,
    ):
        yield


def _row(clock: StageClock) -> Table:
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    row = Table.grid(padding=(0, 1))
    for _ in range(3):
        row.add_column(no_wrap=True)
    row.add_column(no_wrap=True, overflow="ellipsis")
    bar = ProgressBar(total=1.0, completed=clock.fraction, width=_BAR_WIDTH)
    row.add_row(Text(clock.stage), bar, Text(clock.times), Text(clock.text))
    return row


@contextmanager
def heartbeat(clock: StageClock, seconds: float = HEARTBEAT) -> Iterator[None]:
    """Log where a calculation stands, every `seconds`."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(seconds):
            log.info("%s", clock.line())

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
