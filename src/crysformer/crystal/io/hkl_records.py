"""Lines of a SHELX reflection list: indices, value, uncertainty, and what may follow."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crysformer.errors import InputError

#: Text after a list may hold this fraction of lines that read as reflections, by chance.
_CHANCE: Final = 0.1
_NUMBER: Final = re.compile(r"\s*[+-]?[\d.]+([eEdD][+-]?\d+)?\s*")
#: A number beyond this is damage: it does not fit 32 bits.
_LARGEST: Final = 2**31 - 1
_INTEGER: Final = re.compile(r"[+-]?\d+")
#: A line that begins like this is text, not a damaged reflection.
_TEXT: Final = re.compile(r"\s*[A-Za-z_#!;'\"\x1a]")


@dataclass(frozen=True)
class _Record:
    """One line; NaN where a number is absent."""

    hkl: tuple[int, int, int]
    value: float
    sigma: float
    batch: int | None = None
    mate: tuple[float, float] | None = None
    rest: bool = False


@dataclass(frozen=True, eq=False)
class HklList:
    """A reflection list.

    Attributes
    ----------
    hkl
        Miller indices, shape (n, 3), int32.
    values, sigmas
        Shape (n,); `sigmas` all NaN where the list has none.
    batches
        Batch numbers, shape (n,), int32, 1 where a line has none; None if no line has one.
    mates
        Value and uncertainty of the other Friedel mate, shape (n, 2), or None; NaN where absent.
    notes
        What was not read, one sentence each.
    """

    hkl: NDArray[np.int32]
    values: NDArray[np.float64]
    sigmas: NDArray[np.float64]
    batches: NDArray[np.int32] | None
    mates: NDArray[np.float64] | None
    notes: tuple[str, ...]


def looks_like_hkl(text: str) -> bool:
    """Test that the first line that is not blank reads as h k l, value, uncertainty."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    return any(_parsed(parse, first) is not None for parse in (_fixed, _spaced))


def read_hkl_list(text: str, source: str) -> HklList:
    """Read all reflections up to 0 0 0, the end, or text of another kind.

    Parameters
    ----------
    text
        In SHELX's fixed columns (3I4, 2F8, I4), or separated by spaces. Four numbers after the
        indices are two Friedel mates with their uncertainties.
    source
        What to call the file in messages.

    Raises
    ------
    InputError
        If a line among the reflections cannot be read, or there are none.
    """
    lines = text.splitlines()
    attempts = [_read_lines(parse, lines) for parse in (_fixed, _spaced)]
    read = max(attempts, key=lambda attempt: (not attempt.problem, attempt.stop))
    records, stop = read.records, read.stop
    if read.problem:
        raise InputError(
            f"{source}: line {stop + 1} ({lines[stop].strip()[:40]!r}) is not h k l, value, "
            "uncertainty; is the file whole?"
        )
    if not records:
        raise InputError(f"{source}: no reflections before the closing 0 0 0 line")
    sigmas = np.array([r.sigma for r in records])
    if 0 < np.isnan(sigmas).sum() < len(sigmas):
        line = read.lines[int(np.isnan(sigmas).argmax())]
        raise InputError(
            f"{source}: line {line + 1} ({lines[line].strip()[:40]!r}) has no uncertainty, but "
            "others have; is the file whole?"
        )
    notes = []
    if stop < len(lines) and any(lines[i].strip("\x1a\0 ") for i in range(stop, len(lines))):
        notes.append(f"text after the list, from line {stop + 1}, is not read")
    if any(r.rest for r in records):
        notes.append("numbers behind h k l, value, uncertainty and batch are not read")
    mates = [r.mate for r in records]
    return HklList(
        hkl=np.array([r.hkl for r in records], dtype=np.int32),
        values=np.array([r.value for r in records]),
        sigmas=sigmas,
        batches=(
            np.array([1 if r.batch is None else r.batch for r in records], dtype=np.int32)
            if any(r.batch is not None for r in records)
            else None
        ),
        mates=(
            np.array([(math.nan, math.nan) if m is None else m for m in mates])
            if any(m is not None for m in mates)
            else None
        ),
        notes=tuple(notes),
    )


_Parse = Callable[[str], _Record]


@dataclass(frozen=True)
class _Attempt:
    """Reflections in one format with their lines, the line after, and whether it is damaged."""

    records: list[_Record]
    lines: list[int]
    stop: int
    problem: bool


def _read_lines(parse: _Parse, lines: list[str]) -> _Attempt:
    records: list[_Record] = []
    places: list[int] = []
    for i, line in enumerate(lines):
        if not line.strip("\x1a\0 \t"):
            continue
        record = _parsed(parse, line)
        if record is None and records and _is_end(line):  # the end, in another format
            return _Attempt(records, places, _after(lines, i), False)
        if record is None:
            tail = bool(records) and _is_tail(parse, lines[i:], len(records))
            return _Attempt(records, places, i, not tail)
        if record.hkl == (0, 0, 0):
            # SHELX ends here; files of other programs go on with text of many kinds
            return _Attempt(records, places, _after(lines, i), False)
        records.append(record)
        places.append(i)
    return _Attempt(records, places, len(lines), False)


def _is_end(line: str) -> bool:
    """Test for the 0 0 0 that closes the list, in any columns."""
    words = line.split()
    return words[:3] == ["0", "0", "0"] and set("".join(words)) <= {"0", "."}


def _after(lines: list[str], last: int) -> int:
    return next((i for i in range(last + 1, len(lines)) if lines[i].strip()), len(lines))


def _is_tail(parse: _Parse, lines: list[str], n_records: int) -> bool:
    """Test for text after the list, with hardly a line that could be a reflection."""
    if not _TEXT.match(lines[0]):
        return False
    return sum(_parsed(parse, line) is not None for line in lines) <= _CHANCE * n_records


def _parsed(parse: _Parse, line: str) -> _Record | None:
    try:
        record = parse(line)
    except ValueError:
        return None
    numbers = (*record.hkl, record.batch or 0)
    return record if max(map(abs, numbers)) <= _LARGEST else None


def _fixed(line: str) -> _Record:
    """A line in fixed columns: 3I4, 2F8, then I4 (batch) or 2F8 (the Friedel mate)."""
    hkl = int(line[0:4]), int(line[4:8]), int(line[8:12])
    if hkl == (0, 0, 0):
        return _Record(hkl, 0.0, 0.0)
    value, sigma = _number(line[12:20]), _optional(line[20:28])
    batch, rest = line[28:32].strip(), line[28:].split()
    mate = line[28:36], line[36:44]
    if all("." in field and _NUMBER.fullmatch(field) for field in mate):
        return _Record(hkl, value, sigma, mate=(_number(mate[0]), _number(mate[1])),
                       rest=bool(line[44:].strip()))  # fmt: skip
    if _INTEGER.fullmatch(batch):
        return _Record(hkl, value, sigma, int(batch), rest=len(rest) > 1)
    return _Record(hkl, value, sigma, rest=bool(rest))


def _spaced(line: str) -> _Record:
    """A line of numbers separated by spaces."""
    h, k, l, *words = line.split()  # noqa: E741
    hkl = int(h), int(k), int(l)
    if hkl == (0, 0, 0):
        return _Record(hkl, 0.0, 0.0)
    if not words:
        raise ValueError("value is missing")
    value, sigma = _number(words[0]), _number(words[1]) if len(words) > 1 else math.nan
    rest = words[2:]
    if not rest:
        return _Record(hkl, value, sigma)
    if _INTEGER.fullmatch(rest[0]):
        return _Record(hkl, value, sigma, int(rest[0]), rest=len(rest) > 1)
    if len(rest) > 1:
        return _Record(hkl, value, sigma, mate=(_number(rest[0]), _number(rest[1])),
                       rest=len(rest) > 2)  # fmt: skip
    return _Record(hkl, value, sigma, rest=True)


def _optional(field: str) -> float:
    return _number(field) if field.strip() else math.nan


def _number(field: str) -> float:
    """A number, never one that only Python writes (nan, inf, 1_000)."""
    if not _NUMBER.fullmatch(field):
        raise ValueError(f"{field!r} is not a number")
    return float(field.replace("d", "e").replace("D", "e"))
