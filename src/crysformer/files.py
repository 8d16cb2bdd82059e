"""Reading of whole files, atomic writing of result files, and preparation of output folders."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import json
import lzma
import os
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crysformer.errors import CrysformerError, InputError, UsageError

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


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`, renamed to it only if the block succeeds.

    Missing parent folders are made. On any exception, also Ctrl-C, the temporary file is removed
    and the earlier content of `path` is untouched. The suffixes are kept (writers that look at
    the file's ending, such as gemmi's ``.gz``, behave as for `path`).

    Raises
    ------
    CrysformerError
        If the folder cannot be made or the file cannot be written (permissions, disk full).
    """
    target = Path(path)
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=".", suffix=".partial" + "".join(target.suffixes), dir=target.parent
        )
        os.close(handle)
        temporary = Path(name)
        temporary.chmod(0o666 & ~_umask())
        yield temporary
        temporary.replace(target)
    except OSError as error:
        raise CrysformerError(f"{target}: cannot be written ({error.strerror or error})") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Write `content` as indented JSON, atomically; NaN and infinity are rejected."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def prepare_output_dir(
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    resume: bool = False,
    accept: str = "overwrite",
) -> Path:
    """Make an output folder, rejecting one that is not empty.

    Parameters
    ----------
    path
        The folder; missing parents are made.
    overwrite
        Accept a folder that is not empty: files of the same name are replaced, others stay.
    resume
        Accept a folder that is not empty, to continue from what it holds.
    accept
        Name of the caller's parameter that accepts a folder which is not empty, for the message.

    Raises
    ------
    UsageError
        If `path` is a file, or a folder that is not empty and neither is accepted.
    """
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: is a file, expected a folder; choose another output path")
    if folder.is_dir() and any(folder.iterdir()) and not (overwrite or resume):
        raise UsageError(
            f"{folder}: output folder is not empty; choose another, or pass `{accept}`"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CrysformerError(f"{folder}: cannot be made ({error.strerror or error})") from error
    return folder


@contextlib.contextmanager
def output_folder(path: str | Path, overwrite: bool) -> Iterator[Path]:
    """Give a folder to write into, whose files move to `path` only if the block succeeds.

    On any failure, also Ctrl-C and a full disk, `path` is left as it was: folders that were
    made for it are removed again. A folder that cannot be used is rejected before the block runs.
    """
    target = Path(path)
    made = [folder for folder in (target, *target.parents) if not folder.exists()]
    prepare_output_dir(target, overwrite=overwrite)
    staging = Path(tempfile.mkdtemp(prefix=".partial-", dir=target))
    try:
        yield staging
        for item in sorted(staging.iterdir()):
            item.replace(target / item.name)
    except BaseException:
        shutil.rmtree(staging)
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise
    staging.rmdir()
