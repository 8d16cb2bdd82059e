"""Memory that a calculation needs, compared with what there is before it is taken."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from crysformer.errors import InputError

#: Bytes that are taken without a look at what there is.
_ALWAYS: Final = 2**28
_GROUPS: Final = Path("/sys/fs/cgroup")


def available_memory() -> float | None:
    """Bytes that this process may still take; None where the system does not say.

    The least of what Linux calls available, the limit of the process's control group (containers)
    and its limit on addresses (``ulimit -v``); elsewhere the physical memory.
    """
    found = [*_linux_memory(), *_address_limit()]
    if not found:
        try:
            found = [float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))]
        except (AttributeError, ValueError, OSError):
            return None
    return min(found)


def check_memory(needed: float, what: str, remedy: str) -> None:
    """Refuse a calculation that does not fit into memory, before it begins.

    Parameters
    ----------
    needed
        Estimated bytes.
    what
        The file and the calculation, for the message.
    remedy
        What to do instead.

    Raises
    ------
    InputError
        With both numbers.
    """
    if needed < _ALWAYS:
        return
    available = available_memory()
    if available is not None and needed > available:
        raise InputError(
            f"{what} needs about {needed / 1e9:.3g} GB of memory, and {available / 1e9:.3g} GB are "
            f"available; {remedy}, or use a larger machine"
        )


def _linux_memory() -> list[float]:
    try:
        text = Path("/proc/meminfo").read_text()
        match = re.search(r"^MemAvailable:\s*(\d+) kB", text, re.MULTILINE)
        found = [1024.0 * int(match[1])] if match else []
        groups = Path("/proc/self/cgroup").read_text()
    except OSError:
        return []
    for controllers, path in re.findall(r"^\d+:([^:]*):/?(.*)$", groups, re.MULTILINE):
        if controllers == "":  # version 2
            found += _limits(_GROUPS / path / "memory.max")
        elif "memory" in controllers.split(","):
            found += _limits(_GROUPS / "memory" / path / "memory.limit_in_bytes")
    return found


def _limits(path: Path) -> list[float]:
    """The number in a file of the control groups; none for ``max`` or without the file."""
    try:
        text = path.read_text().strip()
    except OSError:
        return []
    return [float(text)] if text.isdecimal() else []


def _address_limit() -> list[float]:
    try:
        import resource
    except ImportError:  # not POSIX
        return []
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return [] if limit == resource.RLIM_INFINITY else [float(limit)]
