"""Download of the coordinates of one entry, whole or not at all."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from crysformer.data.rcsb.http_client import Damaged, HttpClient, HttpSettings, NotThere, Unreadable
from crysformer.files import write_bytes

FILES_URL: Final = "https://files.rcsb.org/download"
#: Folder of the files.
STRUCTURES: Final = "structures"

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
