"""Versions: of this package, which `pyproject.toml` reads from here, and of others beside it."""

__version__ = "0.1.0"

#: Packages whose versions may matter for a result.
_PACKAGES = ("numpy", "scipy", "gemmi", "torch", "servalcat")


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that may matter for a result, as installed."""
    import importlib.metadata  # here, since `import crysformer` reads this module
    import platform

    found = {"Python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
