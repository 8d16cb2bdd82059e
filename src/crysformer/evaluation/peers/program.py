"""Interface of a program that is compared: one small class each, run in a process of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from crysformer.crystal.io.read_phases import PhasedReflections
from crysformer.evaluation.peers.crystals import PeerCrystal
from crysformer.processes import Run


@dataclass(frozen=True)
class Job:
    """One run: a crystal, a seed, the seconds, and a folder of its own."""

    crystal: PeerCrystal
    seed: int
    time_limit: float
    folder: Path


@dataclass(frozen=True, eq=False)
class Outcome:
    """Result of a run.

    Attributes
    ----------
    phases
        Phases with the measured amplitudes, in the space group that the program gives them.
    claimed
        The program's own verdict.
    confidence
        Its probability, where there is one.
    stopped
        Reason why it ended.
    figures
        Its own figures of merit.
    """

    phases: PhasedReflections
    claimed: bool
    confidence: float | None
    stopped: str
    figures: dict[str, Any] = field(default_factory=dict)


class Program(Protocol):
    """A program under comparison."""

    @property
    def name(self) -> str:
        """Name on the command line and in the tables."""

    @property
    def description(self) -> str:
        """What it is, and what stops it, for the head of the tables."""

    @property
    def version(self) -> str:
        """Version; runs with another one are not comparable."""

    def unavailable(self) -> str:
        """Reason why it cannot be run here, or empty."""

    def declines(self, crystal: PeerCrystal) -> str:
        """Reason why it has nothing to do with a crystal, or empty."""

    def command(self, job: Job) -> list[str]:
        """Prepare the folder of a job; the command that runs it."""

    def environment(self) -> dict[str, str]:
        """Environment of the process."""

    def outcome(self, job: Job, run: Run) -> Outcome:
        """Read what the process has written; a `CrysformerError` if it has not."""


def last_line(run: Run) -> str:
    """The last line that a process wrote to stderr, or its exit code."""
    lines = [line for line in run.err.splitlines() if line.strip()]
    return lines[-1] if lines else f"ended with exit code {run.code}"
