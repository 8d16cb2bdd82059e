"""Pieces of HTML for notebooks: text is escaped, pictures are inline, nothing else is loaded."""

from __future__ import annotations

import base64
import re
import struct
import zlib
from collections.abc import Mapping
from html import escape
from typing import Final

import numpy as np
from numpy.typing import NDArray

_CELL: Final = 'style="text-align:left;padding:1px 12px 1px 0;vertical-align:top"'


def html_text(text: str) -> str:
    """Escaped text, with what stands in backticks as code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", escape(text))


def card(title: str, rows: Mapping[str, object], *pictures: str, warning: str = "") -> str:
    """Heading, table and pictures of one object.

    Parameters
    ----------
    title
        Plain text, as are the names and values of `rows` and the `warning`.
    rows
        Lines of the table; those whose value is None or empty are left out.
    pictures
        HTML.
    warning
        Shown in front of the pictures.

    Returns
    -------
    str
        A ``<div>``.
    """
    lines = "".join(
        f"<tr><th {_CELL}>{escape(name)}</th><td {_CELL}>{html_text(str(value))}</td></tr>"
        for name, value in rows.items()
        if value not in (None, "")
    )
    caution = f'<p style="color:#a33">{escape(warning)}</p>' if warning else ""
    return (
        f"<div><strong>{escape(title)}</strong><table>{lines}</table>"
        f"{caution}{''.join(pictures)}</div>"
    )


def png_uri(pixels: NDArray[np.uint8]) -> str:
    """A picture as the address of an ``<img>``.

    Parameters
    ----------
    pixels
        Red, green and blue, shape (height, width, 3), first row on top.
    """
    height, width, _ = pixels.shape
    rows = np.zeros((height, 1 + 3 * width), dtype=np.uint8)  # each begins with its filter, none
    rows[:, 1:] = pixels.reshape(height, -1)
    head = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    return "data:image/png;base64," + base64.b64encode(content).decode("ascii")
