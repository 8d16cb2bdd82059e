"""Progress of a calculation where it was started: in the notebook, or on standard error."""

from __future__ import annotations

import importlib
import sys
import threading
import time
import weakref
from html import escape
from typing import Any, Final

from crysformer.progress import HEARTBEAT, StageClock

_INTERVAL: Final = 0.2  # seconds between changes of the bar
_TICK: Final = 1.0  # seconds after which it moves without a report


class ProgressDisplay:
    """Progress that shows itself: ``crysformer.solve(data, progress=ProgressDisplay())``.

    In a notebook a bar with the stage, the time used, the limit, the time left and the last step,
    which moves with the time; elsewhere a line on standard error every 30 s.

    Parameters
    ----------
    stage
        Name of the first stage, for functions that do not announce one.
    """

    def __init__(self, stage: str = "running") -> None:
        self._clock, self._lock = StageClock(stage), threading.RLock()
        self._shown = time.monotonic()
        self._handle = _notebook_display(self._bar())
        self._stopped: threading.Event | None = None  # of the thread that moves the bar

    def begin(self, stage: str, seconds: float | None = None) -> None:
        """Show the next stage.

        Parameters
        ----------
        stage
            Its name.
        seconds
            Its time limit.
        """
        with self._lock:
            self._clock.begin(stage, seconds)
            self._start()
            self._show(_INTERVAL)

    def end(self) -> None:
        """Show that the stage has ended."""
        with self._lock:
            self._stop()
            self._clock.end()
            if self._handle is not None:
                self._show(0.0)

    def __call__(self, fraction: float, text: str) -> None:
        """Show what is done.

        Parameters
        ----------
        fraction
            Fraction of the stage, 0 to 1.
        text
            A few words.
        """
        with self._lock:
            self._clock(fraction, text)
            if fraction < 1:
                self._start()
            elif self._clock.limit is None:  # of a function that announces no stages
                self._stop()
                self._clock.end()
            self._show(0.0 if fraction >= 1 else _INTERVAL)

    def _start(self) -> None:
        """Move with the time, in a thread that ends with the stage or with this object."""
        if self._stopped is None:
            self._stopped = threading.Event()
            arguments = (weakref.ref(self), self._stopped)
            threading.Thread(target=_move, args=arguments, daemon=True).start()

    def _stop(self) -> None:
        if self._stopped is not None:
            self._stopped.set()
            self._stopped = None

    def _tick(self) -> None:
        """Show the time."""
        with self._lock:
            if not self._clock.has_ended:
                self._show(_INTERVAL)

    def _show(self, interval: float) -> None:
        if self._handle is None:
            interval = HEARTBEAT
        if time.monotonic() - self._shown < interval:
            return
        self._shown = time.monotonic()
        if self._handle is None:
            print(self._clock.line(), file=sys.stderr)
        else:
            self._handle.update(self._bar())

    def _bar(self) -> _Bar:
        clock = self._clock
        return _Bar(1.0 if clock.has_ended else clock.fraction, clock.line())


def _move(display: weakref.ref[ProgressDisplay], ended: threading.Event) -> None:
    """Show the time of a display until it has ended or is gone."""
    while not ended.wait(_TICK):
        shown = display()
        if shown is None:
            return
        shown._tick()
        del shown  # or it would live for as long as this thread


class _Bar:
    """A bar in a notebook; where only text is shown, its line."""

    def __init__(self, fraction: float, line: str) -> None:
        self._fraction, self._line = fraction, line

    def __repr__(self) -> str:
        return self._line

    def _repr_html_(self) -> str:
        return f'<progress value="{self._fraction:.3f}" max="1"></progress> {escape(self._line)}'


def _notebook_display(bar: _Bar) -> Any:
    """Handle of a new output of the notebook's cell; None where there is no notebook."""
    if "IPython" not in sys.modules:
        return None
    ipython = importlib.import_module("IPython")
    shell = ipython.get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return None
    display = importlib.import_module("IPython.display").display
    return display(bar, display_id=True)
