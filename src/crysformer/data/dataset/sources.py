"""Structure files in folders and archives, found and read one by one."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import re
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, cast

from crysformer.errors import InputError
from crysformer.files import is_unfinished

STRUCTURE_SUFFIXES = (".pdb", ".ent", ".cif", ".mmcif")
ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2")

#: Largest structure file, bytes unpacked: the largest entry of the PDB has half of this.
MAX_STRUCTURE = 512 * 2**20
_COMPRESSED: dict[str, Callable[..., Any]] = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_EXPECTED = f"{', '.join(STRUCTURE_SUFFIXES + ARCHIVE_SUFFIXES)} (structures may be .gz, .bz2, .xz)"
#: Names that look like structures or archives of them, whatever follows: .pdb1, .cif.Z, .ent.zst.
_LIKE_STRUCTURES = re.compile(
    r"\.(pdb|ent|cif|mmcif|bcif|pdbx|mmtf|pdbqt)[0-9]*(\.[a-z0-9]+)?$|"
    r"\.(tar\.|t)(z|zst|lzma|lz4)$|\.(zip|7z|rar)$",
    re.IGNORECASE,
)

#: What reading a damaged compressed file can raise.
READ_ERRORS = (OSError, EOFError, tarfile.TarError, lzma.LZMAError, zlib.error)


@dataclass(frozen=True)
class StructureFile:
    """One structure file.

    Attributes
    ----------
    name
        Its path as given; for members of an archive, ``archive/member``.
    content
        Its bytes, unpacked; None if it cannot be read.
    error
        Reason why it cannot be read.
    path
        Absolute path of a file that is no member of an archive.
    """

    name: str
    content: bytes | None
    error: str = ""
    path: Path | None = None

    @property
    def stem(self) -> str:
        """File name without folders and structure suffixes."""
        stem = Path(self.name).name
        for suffix in (*_COMPRESSED, *STRUCTURE_SUFFIXES):
            stem = stem.removesuffix(suffix)
        return stem

    def reference(self) -> StructureFile:
        """The same file without its content, where it can be read again from its path."""
        return self if self.path is None else replace(self, content=None)

    def loaded(self) -> StructureFile:
        """The same file with its content, read again if need be."""
        if self.path is None or self.content is not None or self.error:
            return self
        return _read_file(self.path, self.name)

    @property
    def is_cif(self) -> bool:
        """True if the name ends as mmCIF files do."""
        return _uncompressed(self.name).endswith((".cif", ".mmcif"))


def find_sources(paths: Sequence[str | Path]) -> list[Path]:
    """List structure files and archives under `paths`, folders searched recursively, sorted.

    Raises
    ------
    InputError
        If a path does not exist, is neither a structure nor an archive by its ending, or a
        folder holds none.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            found_in = (p for p in path.rglob("*") if p.is_file() and not is_unfinished(p))
            inside = sorted(p for p in found_in if _is_source(p.name))
            if not inside:
                raise InputError(
                    f"{path}: no structure files or archives inside; expected {_EXPECTED}"
                )
            found += inside
        elif not path.exists():
            raise InputError(f"{path}: no such file or folder; give structure files or archives")
        elif not _is_source(path.name):
            raise InputError(
                f"{path}: not a structure file or archive by its ending; expected {_EXPECTED}"
            )
        else:
            found.append(path)
    return list(dict.fromkeys(found))


def passed_over(paths: Sequence[str | Path]) -> list[Path]:
    """List files in the folders among `paths` that look like structures but are not read."""
    found = [
        file
        for path in map(Path, paths)
        if path.is_dir()
        for file in sorted(path.rglob("*"))
        if file.is_file() and not _is_source(file.name) and _LIKE_STRUCTURES.search(file.name)
    ]
    return list(dict.fromkeys(found))


def read_sources(sources: Iterable[Path]) -> Iterator[StructureFile]:
    """Read every structure file in order; for unreadable ones `error` is set."""
    for source in sources:
        if source.name.lower().endswith(ARCHIVE_SUFFIXES):
            yield from _read_archive(source)
        else:
            yield _read_file(source.absolute(), str(source))


def _read_file(path: Path, name: str) -> StructureFile:
    try:
        with path.open("rb") as file:
            return replace(_unpacked(name, file), path=path)
    except OSError as error:
        return StructureFile(name, None, f"cannot be read ({error})")


def _read_archive(source: Path) -> Iterator[StructureFile]:
    try:
        with tarfile.open(source, "r|*") as archive:
            for member in archive:
                name = f"{source}/{member.name}"
                if not member.isfile() or not _is_structure(member.name):
                    continue
                handle = archive.extractfile(member)
                if handle is None:
                    continue
                yield _unpacked(name, io.BytesIO(handle.read(MAX_STRUCTURE + 1)))
    except READ_ERRORS as error:
        yield StructureFile(str(source), None, f"archive is damaged, read up to there ({error})")


def digest_sources(sources: Sequence[Path]) -> list[dict[str, str]]:
    """Name and SHA-256 of each source file, in order."""
    digests = []
    for source in sources:
        try:
            with source.open("rb") as handle:
                digest = hashlib.file_digest(handle, "sha256").hexdigest()
        except OSError as error:
            raise InputError(f"{source}: cannot be read ({error.strerror})") from error
        digests.append({"name": source.name, "sha256": digest})
    return digests


def _unpacked(name: str, handle: IO[bytes]) -> StructureFile:
    """Read and unpack one structure file, without believing how large it says it is."""
    unpack = _COMPRESSED.get(Path(name).suffix.lower())
    try:
        unpacked = handle if unpack is None else cast(IO[bytes], unpack(handle))
        content = unpacked.read(MAX_STRUCTURE + 1)
    except (*READ_ERRORS, ValueError) as error:  # bz2 has the latter for truncated files
        return StructureFile(name, None, f"cannot be read ({error})")
    if len(content) > MAX_STRUCTURE:
        return StructureFile(
            name, None, f"more than {MAX_STRUCTURE >> 20} MiB, too large for a structure file"
        )
    return StructureFile(name, content)


def _is_structure(name: str) -> bool:
    return _uncompressed(name).endswith(STRUCTURE_SUFFIXES)


def _uncompressed(name: str) -> str:
    """A name in lower case without the ending of its compression."""
    lower = name.lower()
    return lower.removesuffix(Path(lower).suffix) if Path(lower).suffix in _COMPRESSED else lower


def _is_source(name: str) -> bool:
    return _is_structure(name) or name.lower().endswith(ARCHIVE_SUFFIXES)
