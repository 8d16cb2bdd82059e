"""Result of one program on one crystal with one seed."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Literal

Status = Literal["done", "not applicable", "crashed"]


@dataclass(frozen=True)
class PeerResult:
    """Result of one run.

    Attributes
    ----------
    crystal, program, seed
        What was run.
    status
        ``"not applicable"`` if the program has nothing to do with the crystal, ``"crashed"`` if it
        ended without a result.
    message
        Reason, if not done.
    version
        Version of the program.
    cpu_seconds, seconds
        From the start of the process to its end.
    claimed, confidence
        The program's own verdict.
    stopped
        Reason why it ended.
    solved
        True if the phases are right; None if the truth is not known.
    weighted_phase_error
        Aligned and F-weighted, degrees, over the measured reflections; None without a truth.
    pc
        Correlation of the map with the true map, aligned; None without a truth.
    figures
        The program's own figures of merit.
    """

    crystal: str
    program: str
    seed: int
    status: Status
    message: str = ""
    version: str = ""
    cpu_seconds: float = 0.0
    seconds: float = 0.0
    claimed: bool | None = None
    confidence: float | None = None
    stopped: str = ""
    solved: bool | None = None
    weighted_phase_error: float | None = None
    pc: float | None = None
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, str, int]:
        """Crystal, program and seed."""
        return self.crystal, self.program, self.seed

    @property
    def succeeded(self) -> bool:
        """True if the phases are right or, where that is not known, claimed to be."""
        return bool(self.claimed if self.solved is None else self.solved)

    @property
    def false_claim(self) -> bool:
        """True if the program claimed wrong phases."""
        return bool(self.claimed) and self.solved is False


COLUMNS = tuple(field.name for field in fields(PeerResult))
