"""Progress of long calculations: stages, their time limits, and the words that show them."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Final, ParamSpec, Protocol, TypeVar, runtime_checkable

P = ParamSpec("P")
Result = TypeVar("Result")

Progress = Callable[[float, str], None]
"""Called with the fraction that is done (0 to 1) and a short text."""

HEARTBEAT: Final = 30.0
"""Seconds between lines of the log where no bar is drawn."""
#: Fraction from which the time left of a stage without limit can be estimated.
_ESTIMABLE: Final = 0.02


@runtime_checkable
class StagedProgress(Protocol):
    """A `Progress` that also wants to know the stages."""

    def __call__(self, fraction: float, text: str) -> None:
        """Take the fraction that is done and a short text."""

    def begin(self, stage: str, seconds: float | None = None) -> None:
        """Take the name of the stage that begins, and its time limit."""

    def end(self) -> None:
        """Take the end of the stage."""


def begin_stage(progress: Progress | None, stage: str, seconds: float | None = None) -> None:
    """Announce a stage to a progress that shows stages; others are not called.

    Parameters
    ----------
    progress
        What the user passed.
    stage
        A participle, such as ``"building"``.
    seconds
        Its time limit.
    """
    if isinstance(progress, StagedProgress):
        progress.begin(stage, seconds)


def ending_stage(function: Callable[P, Result]) -> Callable[P, Result]:
    """Make a function tell its argument `progress`, given by name, when it ends in any way."""

    @functools.wraps(function)
    def staged(*args: P.args, **kwargs: P.kwargs) -> Result:
        try:
            return function(*args, **kwargs)
        finally:
            progress = kwargs.get("progress")
            if isinstance(progress, StagedProgress):
                progress.end()

    return staged


class StageClock:
    """The running stage, which goes on between reports as the time does.

    Parameters
    ----------
    stage
        Its name, until `begin` is called.
    now
        The clock, s.

    Attributes
    ----------
    stage, limit, text
        Name and time limit (None without) of the running stage, and the last report.
    """

    def __init__(self, stage: str, now: Callable[[], float] = time.monotonic) -> None:
        self._watch = now
        self.begin(stage)

    def _now(self) -> float:
        return self._watch() if self._ended is None else self._ended

    def begin(self, stage: str, seconds: float | None = None) -> None:
        """Take the next stage and its time limit in seconds."""
        self.stage, self.limit, self.text = stage, seconds, ""
        self._ended: float | None = None
        self._begun = self._reported = self._now()
        self._fraction = 0.0

    def end(self) -> None:
        """Stop the clock."""
        self._ended = self._now()

    @property
    def has_ended(self) -> bool:
        """True between the end of a stage and the next one."""
        return self._ended is not None

    def __call__(self, fraction: float, text: str) -> None:
        """Take a report, after which the clock runs."""
        self._ended = None
        self._fraction, self._reported, self.text = fraction, self._now(), text

    @property
    def fraction(self) -> float:
        """Fraction of the stage that is done, 0 to 1."""
        if not self.limit:
            return min(max(self._fraction, 0.0), 1.0)
        return min(self._fraction + (self._now() - self._reported) / self.limit, 1.0)

    @property
    def times(self) -> str:
        """Time used, the limit, and the time left, as far as they are known."""
        if self.has_ended:
            return f"took {duration(self._now() - self._begun)}"
        if self.limit:
            used = self.fraction * self.limit
            return f"{duration(used)} of {duration(self.limit)}, {duration(self.limit - used)} left"
        used = self._now() - self._begun
        if not _ESTIMABLE < self._fraction < 1:
            return duration(used)
        left = (self._reported - self._begun) * (1 / self._fraction - 1)
        return f"{duration(used)}, about {duration(left - (self._now() - self._reported))} left"

    def line(self) -> str:
        """Everything in one line; the last report only while the stage runs."""
        text = "" if self.has_ended else self.text
        return f"{self.stage}: {self.times}" + (f", {text}" if text else "")


def duration(seconds: float) -> str:
    """Minutes and seconds as 2:05, or hours as 1:02:05; negative values count as zero."""
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
