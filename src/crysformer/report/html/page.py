"""The page of a result folder: one file, offline."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from crysformer.crystal.quality.report import DataReport, data_report
from crysformer.crystal.reflections import CrystalData
from crysformer.report.html.data_charts import data_charts
from crysformer.report.html.model_sections import model_section
from crysformer.report.html.result_folder import ResultFolder, read_result_folder
from crysformer.report.html.sections import (
    candidates_section,
    data_section,
    facts_section,
    files_section,
    notes_section,
    search_section,
    space_groups_section,
    verdict_section,
)
from crysformer.report.html.tables import resource
from crysformer.report.html.viewer import best_view, maps_in_page, pdb_text

REPORT = "report.html"

_VIEWER = "uglymol-0.7.2.js"


def html_report(folder: str | Path, quality: tuple[CrystalData, DataReport] | None = None) -> str:
    """Make the report of a folder that `solve` or `build` wrote.

    Parameters
    ----------
    folder
        The folder.
    quality
        The measurements as they were given, and the report on them; by default those of
        ``solution.mtz``, which may be merged in another space group and have no intensities.

    Returns
    -------
    str
        A page that loads nothing else.

    Raises
    ------
    InputError
        If the folder does not hold a solution.
    """
    results = read_result_folder(folder)
    name = results.path.resolve().name
    data, report = quality or (results.data, data_report(results.data))
    sections: list[tuple[str, str, str]] = [
        ("verdict", "Verdict", verdict_section(results.summary) + facts_section(results)),
        ("view", "Density and model", view_section(results)),
        ("model", "Model", model_section(results)),
        ("search", "Search", search_section(results.summary) + candidates_section(results.summary)),
        ("groups", "Space groups", space_groups_section(results.summary)),
        ("data", "Data", data_section(results.summary, report, data_charts(data, report))),
        ("notes", "Notes", notes_section(results.summary)),
        ("files", "Files and references", files_section(results)),
    ]
    shown = [section for section in sections if section[2]]
    return document(f"{name}: crysformer", _heading(results), shown, scripts(results))


def _heading(results: ResultFolder) -> str:
    """Folder, data file and sequence."""
    asked = results.summary.get("input") or {}
    words = [Path(asked["data"]).name if asked.get("data") else "", *asked.get("sequence", ())]
    given = ", ".join(filter(None, words))
    return results.path.resolve().name + (f": {given}" if given else "")


def document(
    title: str, heading: str, sections: Sequence[tuple[str, str, str]], scripts: str
) -> str:
    """Make a page of sections, each a key for links, a heading and its HTML."""
    links = "".join(f'<a href="#{key}">{escape(text)}</a>' for key, text, _ in sections)
    body = "".join(
        f'<section id="{key}"><h2>{escape(text)}</h2>{content}</section>'
        for key, text, content in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{resource('page.css')}</style></head><body>"
        f'<a class="skip" href="#{sections[0][0]}">Skip to the content</a>'
        f'<header><h1>{escape(heading)}</h1><nav aria-label="Sections">{links}</nav></header>'
        f"<main>{body}</main>{scripts}</body></html>\n"
    )


def view_section(results: ResultFolder) -> str:
    """HTML of the viewer and its buttons, without the scripts."""
    wrong = (
        ""
        if results.summary["solved"]
        else '<p class="warning">Unsolved: this density is most probably wrong.</p>'
    )
    return wrong + resource("view.html")


def scripts(results: ResultFolder) -> str:
    """Elements with the viewer, its maps and its model."""
    structure = results.structure
    content: dict[str, Any] = {
        "maps": [vars(one) for one in maps_in_page(results)],
        "model": None if structure is None else pdb_text(structure),
        "view": None if structure is None else best_view(structure),
    }
    # "</" would end the script element within a string
    data = json.dumps(content).replace("</", "<\\/")
    viewer = (
        resources.files("crysformer.report").joinpath("vendor").joinpath(_VIEWER)
        .read_text(encoding="utf-8").replace("</script", "<\\/script")
    )  # fmt: skip
    return (
        f'<script type="application/json" id="content">{data}</script>'
        f"<script>{viewer}</script><script>{resource('page.js')}</script>"
    )
