"""Whole files read once: through pipes and standard input, compressed, under any name."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import lzma
import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from crysformer.errors import InputError

#: Path that stands for standard input.
STDIN = "-"
_DECOMPRESS = {
    b"\x1f\x8b": ("gzip", gzip.decompress),
    b"BZh": ("bzip2", bz2.decompress),
    b"\xfd7zXZ": ("xz", lzma.decompress),
}


def read_content(path: str | os.PathLike[str], expected: str) -> bytes:
    """Read a whole file once, and decompress it.

    Named and unnamed pipes, and ``-`` for standard input, are read like files.

    Parameters
    ----------
    path
        The file; its name may be any bytes that the file system allows.
    expected
        What it should hold, for messages: "a reflection file".

    Raises
    ------
    InputError
        If it is missing, a folder, empty, or a broken compressed file.
    """
    source = os.fspath(path)
    if source != STDIN and Path(source).is_dir():
        raise InputError(f"{source}: is a folder, expected {expected}")
    try:
        content = sys.stdin.buffer.read() if source == STDIN else Path(source).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{source}: no such file; check the path") from None
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{source}: cannot be read ({reason})") from error
    for magic, (name, decompress) in _DECOMPRESS.items():
        if content.startswith(magic):
            try:
                content = decompress(content)
            except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError) as error:
                raise InputError(
                    f"{source}: a truncated or broken {name} file ({error}); get it again"
                ) from error
            break
    if not content.strip():
        raise InputError(f"{source}: is empty, expected {expected}")
    return content


def is_unicode(path: str | os.PathLike[str]) -> bool:
    """Test that a file name is UTF-8, which libraries in C++ expect."""
    try:
        os.fspath(path).encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


@contextlib.contextmanager
def file_with(path: Path, content: bytes) -> Iterator[Path]:
    """Give a path, with a UTF-8 name, of a seekable file that holds the `content` of `path`."""
    readable = is_unicode(path) and path.is_file()
    if readable and path.stat().st_size == len(content):  # not compressed
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "data"
        plain.write_bytes(content)
        yield plain


@contextlib.contextmanager
def unicode_path(path: Path) -> Iterator[Path]:
    """Give a path for a library that writes only to UTF-8 names; the file is then put at `path`."""
    if is_unicode(path):
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / f"file{path.suffix}"
        yield plain
        shutil.copyfile(plain, path)
