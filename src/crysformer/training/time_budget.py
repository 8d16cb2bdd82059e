"""Time limit of a run, from its start to the last file written."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator

#: Reserved time as a multiple of the time that the same work took before.
_SAFETY = 1.25
#: Further reserve, as a fraction of the limit and at most, s.
_MARGIN, _MAX_MARGIN = 0.01, 3.0
#: Largest fractions of the limit: validation of the finished weights, and everything reserved.
_FINAL, _RESERVED = 0.05, 0.5
#: Rate of writing that is assumed until it has been measured, bytes/s.
_WRITING = 1e8


class TimeBudget:
    """Clock of a run; it ends training early enough for the last validation and the last files.

    Parameters
    ----------
    limit
        Seconds from the start to the last file, over all resumed parts together; None: no limit.
    write_every
        Seconds between files.
    began
        Reading of the clock at the start; now if None.
    processor_time
        Count the seconds of all threads of this process, which depend little on what else the
        machine does.

    Attributes
    ----------
    clock
        Clock in seconds: `time.monotonic` or `time.process_time`.
    validation
        Seconds that a validation took.
    final_example
        Seconds for each example of the final validation.
    writing
        Seconds that weights and checkpoint took.
    waiting
        Seconds that a reading of the loss waited for the device.
    """

    def __init__(
        self,
        limit: float | None,
        write_every: float,
        began: float | None = None,
        processor_time: bool = False,
    ) -> None:
        self.limit = limit
        self.clock = time.process_time if processor_time else time.monotonic
        self._write_every = write_every
        self._zero = self.clock() if began is None else began
        self._written = time.monotonic()
        self.validation = self.final_example = self.writing = self.waiting = 0.0

    @property
    def seconds(self) -> float:
        """Seconds of the run so far."""
        return self.clock() - self._zero

    def resume(self, seconds: float) -> None:
        """Count the seconds of earlier parts of the run."""
        self._zero -= seconds

    @contextlib.contextmanager
    def measured(self, name: str) -> Iterator[None]:
        """Measure the seconds of a block for the attribute of this name."""
        begin = self.clock()
        yield
        setattr(self, name, self.clock() - begin)

    def expect_bytes(self, n: int) -> None:
        """Estimate the time of writing until it has been measured."""
        self.writing = n / _WRITING

    def training_ends(self, final_examples: int) -> float | None:
        """Seconds of the run at which training ends, None without a limit."""
        if self.limit is None:
            return None
        final = min(self.final_example * final_examples, _FINAL * self.limit)
        needed = self.validation + final + 2 * self.writing + self.waiting
        margin = min(_MARGIN * self.limit, _MAX_MARGIN)
        return self.limit - min(_SAFETY * needed + margin, _RESERVED * self.limit)

    def affordable_examples(self, wanted: int) -> int:
        """Examples of the final validation that the time left allows."""
        if self.limit is None or self.final_example == 0:
            return wanted
        left = self.limit - self.seconds - min(_MARGIN * self.limit, _MAX_MARGIN)
        n = (left - _SAFETY * self.writing) / (_SAFETY * self.final_example)
        return max(0, min(wanted, math.floor(n)))

    def too_short(self) -> str:
        """Reason why no step was trained, and what to do."""
        return (
            f"no step of training fitted into the time limit of {self.limit or 0.0:.0f} s, of "
            f"which {self.seconds:.0f} s went by before; no weights are written; allow more time"
        )

    def write_due(self) -> bool:
        """Check if it is time to write weights and checkpoint again."""
        return time.monotonic() - self._written >= self._write_every

    def wrote(self) -> None:
        """Begin the interval until the next `write_due`."""
        self._written = time.monotonic()
