"""Tables, and the files of this package."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources


def resource(name: str) -> str:
    """Read a file of this package."""
    return resources.files("crysformer.report.html").joinpath(name).read_text(encoding="utf-8")


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[object]],
    caption: str = "",
    sortable: bool = False,
) -> str:
    """Make an HTML table; cells are escaped unless they are `Markup`.

    The headings of a sortable table are buttons, for ``sort.js``.
    """
    headings = [
        f'<button type="button">{escape(x)}</button>' if sortable else escape(x) for x in head
    ]
    top = "".join(f'<th scope="col">{text}</th>' for text in headings)
    body = "".join(f"<tr>{''.join(f'<td>{_cell(x)}</td>' for x in row)}</tr>" for row in rows)
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    content = f"{title}<thead><tr>{top}</tr></thead><tbody>{body}</tbody>"
    kind = ' class="sortable"' if sortable else ""
    return f'<div class="scroll"><table{kind}>{content}</table></div>'


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, Markup):
        return value
    return escape(f"{value:.3f}" if isinstance(value, float) else str(value))
