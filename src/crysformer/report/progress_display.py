"""Progress of a calculation where it was started: in the notebook, or on standard error."""

from __future__ import annotations

import importlib
import sys
import time
from html import escape
from typing import Any, Final

from crysformer.progress import HEARTBEAT, StageClock

_INTERVAL: Final = 0.2  # seconds between changes of the bar


class ProgressDisplay:
    """Progress that shows itself: ``crysformer.solve(data, progress=ProgressDisplay())``.

    In a notebook a bar with the stage, the time used, the limit, the time left and the last step;
    elsewhere a line on standard error every 30 s.

    Parameters
    ----------
    stage
        Name of the first stage, for functions that do not announce one.
    """

    def __init__(self, stage: str = "running") -> None:
        self._clock = StageClock(stage)
        self._shown = time.monotonic()
        self._handle = _notebook_display(self._html())

    def begin(self, stage: str, seconds: float | None = None) -> None:
        """Show the next stage.

        Parameters
        ----------
        stage
            Its name.
        seconds
            Its time limit.
        """
        self._clock.begin(stage, seconds)
        self._show(_INTERVAL)

    def __call__(self, fraction: float, text: str) -> None:
        """Show what is done.

        Parameters
        ----------
        fraction
            Fraction of the stage, 0 to 1.
        text
            A few words.
        """
        self._clock(fraction, text)
        self._show(0.0 if fraction >= 1 else _INTERVAL)

    def _show(self, interval: float) -> None:
        if self._handle is None:
            interval = HEARTBEAT
        if time.monotonic() - self._shown < interval:
            return
        self._shown = time.monotonic()
        if self._handle is None:
            print(self._clock.line(), file=sys.stderr)
        else:
            self._handle.update(_Html(self._html()))

    def _html(self) -> str:
        return (
            f'<progress value="{self._clock.fraction:.3f}" max="1"></progress> '
            f"{escape(self._clock.line())}"
        )


class _Html:
    def __init__(self, text: str) -> None:
        self._text = text

    def _repr_html_(self) -> str:
        return self._text


def _notebook_display(text: str) -> Any:
    """Handle of a new output of the notebook's cell; None where there is no notebook."""
    if "IPython" not in sys.modules:
        return None
    ipython = importlib.import_module("IPython")
    shell = ipython.get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return None
    display = importlib.import_module("IPython.display").display
    return display(_Html(text), display_id=True)
