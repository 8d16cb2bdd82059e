"""Versions: of this package, which `pyproject.toml` reads from here, and of others beside it."""

import importlib.metadata
import platform
from contextlib import suppress

__version__ = "0.1.0"

#: Packages whose versions may matter for a result.
_PACKAGES = ("numpy", "scipy", "gemmi", "torch", "servalcat")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that may matter for a result, as installed."""
    found = {"Python": platform.python_version()}
    for name in _PACKAGES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
