"""Functions compiled for the processor by numba, where it is installed."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib
import itertools
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import torch

log = logging.getLogger(__name__)

#: Freedoms of the compiler in floating-point arithmetic; infinities and NaN keep their meaning.
_FAST: Final = {"reassoc", "contract", "nsz", "arcp"}

_Function = TypeVar("_Function", bound=Callable[..., Any])


@functools.cache
def can_compile() -> bool:
    """True if functions can be compiled; numba is imported, a few tenths of a second.

    Numba refuses versions of NumPy and Python that are newer than itself.
    """
    try:
        importlib.import_module("numba")
    except (ImportError, OSError):
        return False
    return True


def compiled(function: _Function) -> _Function:
    """Compile a function of numbers and NumPy arrays on its first call.

    The machine code is kept for later processes in a folder beside the module or, if that cannot
    be written to, in the user's own; without either, every process compiles for itself. A change
    of any module ``compiled*.py``, in which all compiled functions lie, makes it invalid. The
    function releases the interpreter lock while it runs.
    """
    import numba

    _announce_compilation()
    njit: Any = numba.njit
    options: dict[str, Any] = {"nogil": True, "fastmath": _FAST, "error_model": "numpy"}
    try:
        made: Any = njit(function, cache=True, **options)
    except RuntimeError:  # neither folder can be written to
        return cast(_Function, njit(function, **options))
    # numba compares the file of the function alone, and not those of functions that it calls
    with contextlib.suppress(AttributeError):
        made._cache._cache_file._source_stamp = _stamp()
    return cast(_Function, made)


@functools.cache
def _announce_compilation() -> None:
    """Have a line in the log when something is compiled, which a time limit does not cut short."""
    event = importlib.import_module("numba.core.event")
    told = functools.cache(
        lambda: log.info("compiling functions for this processor, once if the code can be kept")
    )

    class Announcement(event.Listener):  # type: ignore[name-defined]
        def on_start(self, event: Any) -> None:
            told()

        def on_end(self, event: Any) -> None:
            pass

    event.register("numba:compile", Announcement())


@functools.cache
def _stamp() -> str:
    """Digest of all modules of compiled functions, which by convention are ``compiled*.py``."""
    files = sorted(Path(__file__).parent.rglob("compiled*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def over_ranges(work: Callable[[slice], None], n: int) -> None:
    """Do compiled work on rows 0 to `n`, in parts on as many threads as PyTorch uses."""
    threads = min(torch.get_num_threads(), n)
    if threads <= 1:
        work(slice(0, n))
        return
    limits = [n * i // threads for i in range(threads + 1)]
    parts = [slice(first, last) for first, last in itertools.pairwise(limits)]
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(work, parts):  # raises what a part raised
            pass
