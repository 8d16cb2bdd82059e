"""Words of messages that depend on a number."""

from __future__ import annotations


def counted(n: int, singular: str, plural: str = "") -> str:
    """A number with its noun, as ``1 crystal`` and ``2 crystals``.

    Parameters
    ----------
    n
        The number.
    singular
        The noun, with what follows it, for 1.
    plural
        The same for other numbers; by default the singular with an s.
    """
    return f"{n} {singular if n == 1 else plural or singular + 's'}"
