"""Atomic writing of result files, and preparation of output folders."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from crysformer.errors import CrysformerError, UsageError
from crysformer.signals import uninterrupted

try:
    import fcntl
except ImportError:  # Windows has no such locks
    fcntl = None  # type: ignore[assignment]

#: Names of the temporary files of `atomic_path` and folders of `staged_files`.
_UNFINISHED = re.compile(r"\.partial-[a-z0-9_]{8}|\.[a-z0-9_]{8}\.partial(\.[^/]*)?")

#: Contexts that every block of `locked_folder` in this process runs in, made with the folder.
companions: list[Callable[[Path], contextlib.AbstractContextManager[None]]] = []


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
        with uninterrupted():  # or the file has no one who removes it
            handle, name = tempfile.mkstemp(
                prefix=".", suffix=".partial" + "".join(target.suffixes), dir=target.parent
            )
            os.close(handle)
            temporary = Path(name)
        temporary.chmod(0o666 & ~_umask())
        yield temporary
        _synchronise(temporary)  # or a power failure may leave the name with empty content
        temporary.replace(target)
    except OSError as error:
        raise CrysformerError(f"{target}: cannot be written ({error.strerror or error})") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _synchronise(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    if path.is_dir() and fcntl is None:
        return  # Windows opens no folders
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # file systems without it
            raise
    finally:
        os.close(handle)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` atomically, and check that all of it is there.

    Libraries that write files themselves may overlook a full disk; this function does not.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
        if temporary.stat().st_size != len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Write `content` as indented JSON, atomically; NaN and infinity are rejected."""
    text = json.dumps(content, indent=2, allow_nan=False) + "\n"
    write_bytes(path, text.encode())


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
    if folder.is_dir() and _in_use(folder) and not (overwrite or resume):
        raise UsageError(
            f"{folder}: output folder is not empty; choose another, or pass `{accept}`"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CrysformerError(f"{folder}: cannot be made ({error.strerror or error})") from error
    return folder


def _in_use(folder: Path) -> bool:
    """Check for files other than those that a killed process left unfinished."""
    try:
        return any(not _UNFINISHED.fullmatch(item.name) for item in folder.iterdir())
    except OSError as error:
        raise CrysformerError(f"{folder}: cannot be read ({error.strerror or error})") from error


def _existing(folder: Path) -> Path:
    """The folder, or its nearest existing parent."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return folder


@contextlib.contextmanager
def locked_folder(
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
    resume: bool = False,
    accept: str = "overwrite",
) -> Iterator[Path]:
    """Give an output folder to this process alone, as prepared by `prepare_output_dir`.

    Whatever a killed process left unfinished in it is removed. If the block fails, folders that
    were made for it are removed again, unless something was written into them.

    Raises
    ------
    UsageError
        If another process writes into the folder, or `prepare_output_dir` refuses it.
    CrysformerError
        If it cannot be written into.
    """
    target = Path(path)
    made = [folder for folder in (target, *target.parents) if not folder.exists()]
    prepare_output_dir(target, overwrite=overwrite, resume=resume, accept=accept)
    try:
        with _lock(target), contextlib.ExitStack() as stack:
            remove_unfinished(target)
            require_writable(target)
            for companion in companions:
                stack.enter_context(companion(target))
            yield target
    except BaseException:
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


@contextlib.contextmanager
def _lock(folder: Path) -> Iterator[None]:
    """Hold a lock on the folder itself: it leaves no file, and ends with the process."""
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"{folder}: another process writes into this folder; wait for its end, or choose "
                "another output path"
            ) from None
        except OSError:  # a network file system without locks on folders
            pass
        yield
    finally:
        os.close(handle)


def is_unfinished(path: Path) -> bool:
    """True for what a killed process left of `atomic_path` and `staged_files`, by its name."""
    return _UNFINISHED.fullmatch(path.name) is not None


def remove_unfinished(folder: Path) -> None:
    """Remove what a killed process left of `atomic_path` and `staged_files`.

    The caller holds the lock of the folder, or of one that it belongs to.
    """
    for item in folder.iterdir():
        if _UNFINISHED.fullmatch(item.name):
            if item.is_dir() and not item.is_symlink():
                shutil.rmtree(item)
            else:
                item.unlink()


def require_writable(path: str | os.PathLike[str]) -> None:
    """Check, before the work, that files can be written into a folder that may not exist yet.

    Raises
    ------
    UsageError
        If a part of the path is a file.
    CrysformerError
        If they cannot.
    """
    folder = _existing(Path(path))
    if not folder.is_dir():
        raise UsageError(f"{folder}: is a file, expected a folder; choose another output path")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise CrysformerError(
            f"{folder}: cannot be written into ({error.strerror or error})"
        ) from error


@contextlib.contextmanager
def staged_files(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Give an empty folder, whose files move to `folder` only if the block succeeds.

    On any failure, also Ctrl-C and a full disk, `folder` is left as it was. Once all files are
    written, SIGINT and SIGTERM wait until they have been moved.
    """
    target = Path(folder)
    made = [parent for parent in (target, *target.parents) if not parent.exists()]
    staging: Path | None = None
    try:
        target.mkdir(parents=True, exist_ok=True)
        with uninterrupted():  # or the folder has no one who removes it
            staging = Path(tempfile.mkdtemp(prefix=".partial-", dir=target))
        yield staging
        with uninterrupted():
            for item in sorted(staging.iterdir()):
                item.replace(target / item.name)
            staging.rmdir()
            _synchronise(target)
    except BaseException as error:
        if staging is not None:
            with uninterrupted():
                shutil.rmtree(staging, ignore_errors=True)
        for parent in made:
            with contextlib.suppress(OSError):
                parent.rmdir()
        if isinstance(error, OSError):
            raise CrysformerError(
                f"{target}: cannot be written into ({error.strerror or error})"
            ) from error
        raise


def refuse_input(inputs: Iterable[str | os.PathLike[str]], outputs: Iterable[Path]) -> None:
    """Refuse to write to a file that is read.

    Raises
    ------
    UsageError
        If one of `outputs` is the same file as one of `inputs`.
    """
    read = [Path(path) for path in inputs if Path(path).is_file()]
    for output in outputs:
        for path in read:
            if output.exists() and output.samefile(path):
                raise UsageError(
                    f"{path}: is the input, and would be replaced by the output {output}; choose "
                    "another output path"
                )
