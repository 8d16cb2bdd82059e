"""SHA-256 checksums of files, and lists of them as the program sha256sum reads and writes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from crysformer.errors import CrysformerError, InputError
from crysformer.files import write_bytes

#: Name of the list in a folder.
CHECKSUMS: Final = "SHA256SUMS"
_LINE: Final = re.compile(r"([0-9a-f]{64}) [ *](\S.*)")


def file_hash(path: str | Path) -> str:
    """SHA-256 of a file's bytes."""
    with Path(path).open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def is_whole(folder: Path, name: str, checksums: Mapping[str, str]) -> bool:
    """True if a listed file is there with its checksum."""
    return (
        name in checksums
        and (folder / name).is_file()
        and (file_hash(folder / name) == checksums[name])
    )


def read_checksums(folder: Path) -> dict[str, str]:
    """Checksums by file name; of a name that is listed twice, the last one.

    A last line that a killed process cut off is left out, and a missing list is empty.

    Raises
    ------
    InputError
        If the file is no list of checksums.
    """
    path = folder / CHECKSUMS
    if not path.is_file():
        return {}
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    found = {}
    for number, line in enumerate(lines[:-1], start=1):
        match = _LINE.fullmatch(line)
        if match is None or ".." in Path(match[2]).parts or Path(match[2]).is_absolute():
            raise InputError(f"{path}: line {number} is no SHA-256 checksum of a file in here")
        found[match[2]] = match[1]
    return found


def write_checksums(folder: Path, checksums: Mapping[str, str]) -> None:
    """Write the whole list, sorted by name."""
    text = "".join(_line(checksums[name], name) for name in sorted(checksums))
    write_bytes(folder / CHECKSUMS, text.encode())


def append_checksum(folder: Path, name: str, sha256: str) -> None:
    """Add a file to the list; a killed process leaves the line whole or cut off at the end.

    Raises
    ------
    CrysformerError
        If the list cannot be written.
    """
    path = folder / CHECKSUMS
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(_line(sha256, name))
    except OSError as error:
        raise CrysformerError(f"{path}: cannot be written ({error.strerror or error})") from error


def _line(sha256: str, name: str) -> str:
    return f"{sha256}  {name}\n"
