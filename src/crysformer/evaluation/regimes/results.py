"""Record of a run: one complete line for each condition, crystal and method."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from crysformer.errors import CrysformerError, InputError, UsageError
from crysformer.files import prepare_output_dir, write_json
from crysformer.schema import parse_json, read_json_object, record
from crysformer.signals import uninterrupted

Status = Literal["done", "not applicable", "crashed"]

RESULTS = "results.jsonl"
OPTIONS = "options.json"


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


class ResultLog:
    """Append-only file of results in an output folder, with the options they were made with.

    Parameters
    ----------
    folder
        Made if missing.
    options
        Options that change a result. A run is resumed only with the same ones.
    resume
        Resume the run that `folder` holds; otherwise it must be empty.

    Raises
    ------
    UsageError
        If the folder is not empty and `resume` is false, or the options have changed.
    InputError
        If a line of the record cannot be read.
    """

    def __init__(self, folder: str | Path, options: dict[str, Any], resume: bool) -> None:
        self.folder = prepare_output_dir(folder, resume=resume, accept="resume")
        self.options = options
        known = self.folder / OPTIONS
        self.path = self.folder / RESULTS
        if known.exists():
            _refuse_changes(known, options)
        elif self.path.exists():
            raise UsageError(
                f"{self.folder}: has {RESULTS} and no {OPTIONS}; not a run that can go on, choose "
                "another folder"
            )
        else:
            write_json(known, options)
        self.results, self._size = {}, 0
        if self.path.exists():
            self.results = _read(self.path)
            self._size = sum(len(line) + 1 for line in _whole_lines(self.path))

    def missing(self, keys: Iterable[tuple[str, int, str]]) -> list[tuple[str, int, str]]:
        """Keys without a result; crashes are tried again."""
        done = {key for key, result in self.results.items() if result.status != "crashed"}
        return [key for key in keys if key not in done]

    def append(self, result: Result) -> None:
        """Add a result, whose line reaches the disk completely or not at all.

        Raises
        ------
        CrysformerError
            If it cannot be written.
        """
        line = (json.dumps(asdict(result), allow_nan=False) + "\n").encode()
        try:
            with uninterrupted(), open(self.path, "ab", buffering=0) as file:
                file.truncate(self._size)  # a line that was cut off
                if file.write(line) != len(line):
                    file.truncate(self._size)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
                self._size += len(line)
        except OSError as error:
            raise CrysformerError(
                f"{self.path}: cannot be written ({error.strerror or error})"
            ) from error
        self.results[result.key] = result


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
    return list(_read(file).values())


def _read(path: Path) -> dict[tuple[str, int, str], Result]:
    results: dict[tuple[str, int, str], Result] = {}
    for number, line in enumerate(_whole_lines(path), start=1):
        try:
            values = parse_json(line)
            result = record(Result, values)
        except ValueError as error:
            raise InputError(f"{path}: line {number} is no result ({error})") from error
        results[result.key] = result
    return results


def _whole_lines(path: Path) -> list[bytes]:
    """Lines of a record without the last one, if the machine stopped while writing it."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error
    return lines[:-1]


def _refuse_changes(path: Path, options: dict[str, Any]) -> None:
    before = read_json_object(path)
    for name in sorted({*before, *options}):
        if before.get(name) != options.get(name):
            raise UsageError(
                f"{path.parent}: was begun with {name} {before.get(name)}, not "
                f"{options.get(name)}; results are not comparable, choose another folder"
            )
