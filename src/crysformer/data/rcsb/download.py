"""Download of the coordinates of one entry, and what is known of the files that are there."""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from crysformer.data.rcsb.http_client import Damaged, HttpClient, HttpSettings, NotThere, Unreadable
from crysformer.errors import InputError
from crysformer.files import atomic_path, write_bytes

FILES_URL: Final = "https://files.rcsb.org/download"
#: List of checksums, as the program sha256sum reads it.
CHECKSUMS: Final = "SHA256SUMS"
#: Folder of the files.
STRUCTURES: Final = "structures"
_LINE = re.compile(r"([0-9a-f]{64}) [ *](\S.*)")

State = Literal["kept", "downloaded", "changed", "missing", "failed"]
STATES: Final[tuple[State, ...]] = get_args(State)


@dataclass(frozen=True)
class Downloaded:
    """State of one file after `download`.

    Attributes
    ----------
    entry
        Code of the entry.
    state
        ``kept``: it was there, with the right checksum; ``downloaded``; ``changed``: the server has
        another content than the checksum was made of; ``missing``: the server has no such file;
        ``failed``: it could not be read.
    sha256
        Checksum of the file; empty if there is none.
    size
        Bytes.
    reason
        Reason of a failure.
    """

    entry: str
    state: State
    sha256: str = ""
    size: int = 0
    reason: str = ""


def file_of(entry: str) -> str:
    """Path of an entry's file within the folder: one folder for each two inner characters."""
    return f"{STRUCTURES}/{entry[-3:-1]}/{entry}.cif.gz"


def kept(folder: Path, entry: str, sha256: str | None) -> Downloaded | None:
    """State of a file that is there with the right checksum; None otherwise."""
    path = folder / file_of(entry)
    if sha256 is None or not path.is_file():
        return None
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    return Downloaded(entry, "kept", found, path.stat().st_size) if found == sha256 else None


def download(
    folder: str, url: str, settings: HttpSettings, entry: str, sha256: str | None
) -> Downloaded:
    """Download an entry.

    The file is written completely or not at all, and only after it was unpacked and found to be of
    this entry.

    Parameters
    ----------
    folder
        Folder of all files.
    url
        Folder of the server, which has ``1abc.cif.gz``.
    settings
        Patience of the requests.
    entry
        Code of the entry, lower case.
    sha256
        Checksum of an earlier download; None if there was none.

    Raises
    ------
    CrysformerError
        If the file cannot be written.
    """
    try:
        content = HttpClient(settings).get(
            f"{url.rstrip('/')}/{entry}.cif.gz", lambda body: check_coordinates(body, entry)
        )
    except NotThere:
        return Downloaded(entry, "missing")
    except Unreadable as error:
        return Downloaded(entry, "failed", reason=str(error))
    write_bytes(Path(folder) / file_of(entry), content)
    found = hashlib.sha256(content).hexdigest()
    state: State = "downloaded" if sha256 in (None, found) else "changed"
    return Downloaded(entry, state, found, len(content))


def check_coordinates(body: bytes, entry: str) -> None:
    """Raise `Damaged` unless this is a whole gzip file with coordinates of the entry."""
    try:
        text = gzip.decompress(body)
    except (OSError, EOFError, zlib.error) as error:
        raise Damaged(f"a damaged gzip file ({error})") from error
    name = text[: text.find(b"\n")].strip().lower()
    if name not in (f"data_{entry}".encode(), f"data_pdb_0000{entry}".encode()):
        raise Damaged(f"not the mmCIF file of {entry}, but one that begins {name[:40]!r}")
    if b"_atom_site.Cartn_x" not in text:
        raise Damaged("an mmCIF file without coordinates")


def read_checksums(path: Path) -> dict[str, str]:
    """Checksums by file name; a last line that was cut off is left out.

    Raises
    ------
    InputError
        If the file is no list of checksums.
    """
    if not path.is_file():
        return {}
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    found = {}
    for number, line in enumerate(lines[:-1], start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise InputError(f"{path}: line {number} is no SHA-256 checksum with a file name")
        found[match[2]] = match[1]
    return found


def checksum_line(sha256: str, name: str) -> str:
    """One line of the list."""
    return f"{sha256}  {name}\n"


def write_checksums(path: Path, checksums: Mapping[str, str]) -> None:
    """Write the whole list, sorted by name."""
    text = "".join(checksum_line(checksums[name], name) for name in sorted(checksums))
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
