"""Record of a run that can be stopped and resumed: one complete line of JSON for each result."""

from __future__ import annotations

import json
import os
from collections.abc import Hashable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from crysformer.errors import InputError, UsageError
from crysformer.files import prepare_output_dir, write_json

RESULTS = "results.jsonl"
OPTIONS = "options.json"


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
        if known.exists():
            _refuse_changes(known, options)
        else:
            write_json(known, options)
        self.path = self.folder / RESULTS
        self.results = read_record(self.path, kind)

    def missing(self, keys: Iterable[Any]) -> list[Any]:
        """Keys without a result; crashes are tried again."""
        done = {key for key, result in self.results.items() if result.status != "crashed"}
        return [key for key in keys if key not in done]

    def append(self, result: R) -> None:
        """Add a result, whose line reaches the disk completely or not at all."""
        line = json.dumps(asdict(result), allow_nan=False) + "\n"  # type: ignore[call-overload]
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(handle, line.encode())
            os.fsync(handle)
        finally:
            os.close(handle)
        self.results[result.key] = result


def read_record(path: Path, kind: type[R]) -> dict[Any, R]:
    """Read the results of a record by key, the latest of each; none if there is no file.

    Raises
    ------
    InputError
        If a line cannot be read.
    """
    results: dict[Any, R] = {}
    if not path.exists():
        return results
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):  # the machine stopped while writing: that crystal is run again
        os.truncate(path, whole)
    for number, line in enumerate(content[:whole].decode("utf-8").splitlines(), start=1):
        try:
            result = kind(**json.loads(line))
        except (ValueError, TypeError) as error:
            raise InputError(f"{path}: line {number} is no result ({error})") from error
        results[result.key] = result
    return results


def _refuse_changes(path: Path, options: dict[str, Any]) -> None:
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not readable JSON ({error})") from error
    for name in sorted({*before, *options}):
        if before.get(name) != options.get(name):
            raise UsageError(
                f"{path.parent}: was begun with {name} {before.get(name)}, not "
                f"{options.get(name)}; results are not comparable, choose another folder"
            )
