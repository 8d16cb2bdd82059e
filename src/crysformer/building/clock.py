"""Time for building, and the report on it."""

from __future__ import annotations

import time
from collections.abc import Callable

Report = Callable[[float, str], None]


class Clock:
    """Time that is left, and the report on it.

    Parameters
    ----------
    limit
        Seconds from now.
    progress
        Called with the fraction of the time that is used, and what is done.
    """

    def __init__(self, limit: float, progress: Report | None) -> None:
        self.begun, self.limit, self.progress = time.monotonic(), limit, progress
        self.end = self.begun + limit

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.end - time.monotonic()

    def report(self, what: str) -> None:
        """Tell what is done next."""
        if self.progress is not None:
            self.progress(min(1.0, 1 - self.left / max(self.limit, 1e-9)), what)
