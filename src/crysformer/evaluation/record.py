"""Record of a run that can be stopped and resumed: one complete line of JSON for each result."""

from __future__ import annotations

import errno
import json
import os
import re
import traceback
from collections.abc import Hashable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from crysformer.errors import CrysformerError, InputError, UsageError
from crysformer.files import prepare_output_dir, write_json
from crysformer.schema import parse_json, read_json_object, record
from crysformer.signals import uninterrupted

RESULTS = "results.jsonl"
OPTIONS = "options.json"
_CHECKSUM = re.compile("[0-9a-f]{64}")


class Recorded(Protocol):
    """A dataclass of plain values that a record can hold."""

    @property
    def key(self) -> Hashable:
        """Identity of the result: of two with the same key the later one counts."""

    @property
    def status(self) -> str:
        """State of the result; one that is ``"crashed"`` is tried again."""


R = TypeVar("R", bound=Recorded)


class Record(Generic[R]):
    """Append-only file of results in an output folder, with the options they were made with.

    Parameters
    ----------
    folder
        Made if missing.
    options
        Options that change a result. A run is resumed only with the same ones.
    resume
        Resume the run that `folder` holds; otherwise it must be empty.
    kind
        Class of the results.

    Raises
    ------
    UsageError
        If the folder is not empty and `resume` is false, or the options have changed.
    InputError
        If a line of the record cannot be read.
    """

    def __init__(
        self, folder: str | Path, options: dict[str, Any], resume: bool, kind: type[R]
    ) -> None:
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
        self.results: dict[Any, R] = {}
        self._size = 0
        if self.path.exists():
            self.results = read_record(self.path, kind)
            self._size = sum(len(line) + 1 for line in _whole_lines(self.path))

    def missing(self, keys: Iterable[Any]) -> list[Any]:
        """Keys without a result; crashes are tried again."""
        done = {key for key, result in self.results.items() if result.status != "crashed"}
        return [key for key in keys if key not in done]

    def append(self, result: R) -> None:
        """Add a result, whose line reaches the disk completely or not at all.

        Raises
        ------
        CrysformerError
            If it cannot be written.
        """
        line = (json.dumps(asdict(result), allow_nan=False) + "\n").encode()  # type: ignore[call-overload]
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


def read_record(path: Path, kind: type[R]) -> dict[Any, R]:
    """Read the results of a record by key, the latest of each.

    Raises
    ------
    InputError
        If the file or a line of it cannot be read.
    """
    results: dict[Any, R] = {}
    for number, line in enumerate(_whole_lines(path), start=1):
        try:
            result: R = record(kind, parse_json(line))  # type: ignore[type-var]
        except ValueError as error:
            raise InputError(f"{path}: line {number} is no result ({error})") from error
        results[result.key] = result
    return results


def crash_text(error: BaseException) -> str:
    """Describe an unexpected exception in one line: its type, its place in the code, its text."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(where.filename).name}:{where.lineno}"
    return f"{type(error).__name__} at {place}: {' '.join(str(error).split())}"


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
        earlier, now = before.get(name), options.get(name)
        if earlier != now:
            begun = f"{name} {earlier}, not {now}"
            if _CHECKSUM.fullmatch(str(now)):
                begun = f"{name} of other content than those given now"
            raise UsageError(
                f"{path.parent}: was begun with {begun}; results are not comparable, choose "
                "another folder"
            )
