"""Atomic writing of result files, and preparation of output folders."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from crysformer.errors import CrysformerError, UsageError


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


def free_bytes(path: str | os.PathLike[str]) -> int:
    """Bytes free on the file system that holds `path` (or its nearest existing parent)."""
    folder = Path(path).absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


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
