"""Record of a run: one complete line for each condition, crystal and method."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from crysformer.errors import InputError
from crysformer.evaluation.record import RESULTS, Record, read_record

Status = Literal["done", "not applicable", "crashed"]


@dataclass(frozen=True)
class Result:
    """Result of one method on one crystal.

    Attributes
    ----------
    cell, number, method
        Name of the condition (stored files call it the cell of the grid), number of the crystal,
        and method.
    id, sequence
        Name of the molecule, and the sequence given to the method.
    status
        ``"not applicable"`` if the method declined, ``"crashed"`` if it raised an unexpected
        exception.
    message
        Reason, if not done.
    seconds
        Wall-clock time.
    solved
        True if the phases are right (``evaluation.scoring``); false where there are none.
    claimed, confidence
        The method's own verdict, None where it gives none.
    cosine
        Aligned F^2-weighted mean cosine of the phase error; None if not done.
    mean_phase_error, weighted_phase_error
        Aligned, degrees, the second F-weighted; None if not done.
    pc
        Pearson correlation of the map with the true one, aligned; None if not done.
    """

    cell: str
    number: int
    method: str
    id: str
    sequence: str
    status: Status
    message: str = ""
    seconds: float = 0.0
    solved: bool = False
    claimed: bool | None = None
    confidence: float | None = None
    cosine: float | None = None
    mean_phase_error: float | None = None
    weighted_phase_error: float | None = None
    pc: float | None = None

    @property
    def key(self) -> tuple[str, int, str]:
        """Condition, crystal and method of the result."""
        return self.cell, self.number, self.method

    @property
    def false_claim(self) -> bool:
        """True if the method claimed to have solved the crystal and did not."""
        return bool(self.claimed) and not self.solved


COLUMNS = tuple(field.name for field in fields(Result))


class ResultLog(Record[Result]):
    """Record of a benchmark; see `Record`."""

    def __init__(self, folder: str | Path, options: dict[str, Any], resume: bool) -> None:
        super().__init__(folder, options, resume, Result)


def read_results(path: str | Path) -> list[Result]:
    """Read all results of a record (its file or folder), the latest of each crystal and method.

    Raises
    ------
    InputError
        If there is none, or a line cannot be read.
    """
    path = Path(path)
    file = path / RESULTS if path.is_dir() else path
    if not file.is_file():
        raise InputError(f"{file}: no such file; expected the {RESULTS} of a benchmark")
    return list(read_record(file, Result).values())
