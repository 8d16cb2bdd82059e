"""The page of many crystals: one table that sorts, a link to each report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from crysformer.report.html.page import REPORT, document
from crysformer.report.html.tables import Markup, resource, table

#: Columns of results.json in the table: key, heading.
_COLUMNS = (
    ("sequence", "sequence"), ("status", "status"), ("confidence", "confidence"),
    ("method", "method"), ("hand_probability", "hand"), ("seconds", "seconds"),
    ("warnings", "warnings"), ("message", "message"),
)  # fmt: skip


def batch_report(folder: Path, crystals: Sequence[Mapping[str, Any]]) -> str:
    """Make the page that compares the crystals of a list.

    Parameters
    ----------
    folder
        Output folder of the list.
    crystals
        "crystals" of its results.json.

    Returns
    -------
    str
        A page that loads nothing else; it links to the reports that exist.
    """
    states = [str(crystal.get("status")) for crystal in crystals]
    counts = ", ".join(
        f"{states.count(state)} {state}" for state in ("solved", "not solved", "failed")
    )
    rows = []
    for crystal in crystals:
        name = str(crystal.get("name"))
        text = escape(name)
        if (folder / name / REPORT).is_file():
            text = f'<a href="{escape(quote(name), quote=True)}/{REPORT}">{text}</a>'
        seconds = crystal.get("seconds")
        if isinstance(seconds, float):
            seconds = f"{seconds:.1f}"
        shown = {**crystal, "seconds": seconds}
        rows.append([Markup(text), *(shown.get(key) for key, _ in _COLUMNS)])
    content = f"<p>{len(crystals)} crystals: {counts}. Choose a heading to sort by it.</p>" + table(
        ["crystal", *(heading for _, heading in _COLUMNS)], rows, sortable=True
    )
    name = folder.resolve().name
    scripts = f"<script>{resource('sort.js')}</script>"
    return document(f"{name}: crysformer", name, [("crystals", "Crystals", content)], scripts)
