"""The bar on a terminal, and lines of progress elsewhere."""

from __future__ import annotations

import argparse
import io
import logging
import re
import time
from contextlib import redirect_stderr

import pytest

from crysformer.cli._progress import StderrHandler, heartbeat, progress_bar
from crysformer.progress import StageClock

LOUD = argparse.Namespace(quiet=False)


class Terminal(io.StringIO):
    """Standard error that claims to be a terminal."""

    def isatty(self) -> bool:
        return True

    def screen(self) -> list[str]:
        """Lines that are left, after the control sequences that rich uses for its bars."""
        lines, row = [""], 0
        for part in re.split(r"(\x1b\[[0-9;?]*[A-Za-z]|\r|\n)", self.getvalue()):
            if part == "\n":
                row += 1
                lines += [""] * (row == len(lines))
            elif part.endswith("A") and part.startswith("\x1b"):
                row -= int(part[2:-1] or 1)
            elif part == "\x1b[2K":
                lines[row] = ""
            elif part and part != "\r" and not part.startswith("\x1b"):
                lines[row] += part
        return [line.rstrip() for line in lines if line.strip()]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    for name, value in (("TERM", "xterm"), ("COLUMNS", "100"), ("NO_COLOR", "1")):
        monkeypatch.setenv(name, value)
    return Terminal()


def test_log_lines_stand_above_the_bar_and_no_bar_stays(terminal: Terminal) -> None:
    logger = logging.Logger("test")
    logger.addHandler(StderrHandler())  # made before the bar, as by the program
    with redirect_stderr(terminal), progress_bar(LOUD, "solving") as progress:
        assert progress is not None
        progress.begin("solving", 120.0)
        progress(0.25, "raar: 24 starts, best confidence 0.10")
        logger.info("first")
        time.sleep(0.6)  # the bar is drawn again
        logger.warning("second")
    assert "solving" in terminal.getvalue()
    assert "of 2:00" in terminal.getvalue()
    assert "best confidence 0.10" in terminal.getvalue()
    assert terminal.screen() == ["first", "second"]


def test_the_bar_moves_without_reports(terminal: Terminal) -> None:
    with redirect_stderr(terminal), progress_bar(LOUD, "solving") as progress:
        assert progress is not None
        progress.begin("solving", 2.0)
        time.sleep(1.2)
    shown = re.findall(r"(0:0\d) of 0:02", terminal.getvalue())
    assert "0:00" in shown
    assert "0:01" in shown


def test_quiet_runs_show_nothing(terminal: Terminal) -> None:
    with (
        redirect_stderr(terminal),
        progress_bar(argparse.Namespace(quiet=True), "solving") as progress,
    ):
        assert progress is None
    assert terminal.getvalue() == ""


def test_without_a_terminal_a_line_comes_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    clock = StageClock("solving")
    clock.begin("solving", 100.0)
    with caplog.at_level(logging.INFO, "crysformer"), heartbeat(clock, 0.05):
        clock(0.5, "raar: 24 starts, best confidence 0.10")
        time.sleep(0.3)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) >= 2
    assert set(lines) <= {
        f"solving: 0:5{i} of 1:40, 0:{50 - i} left, raar: 24 starts, best confidence 0.10"
        for i in (0, 1)
    }
    time.sleep(0.15)
    assert len(caplog.records) == len(lines)
