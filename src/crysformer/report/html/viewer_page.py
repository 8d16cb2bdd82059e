"""The viewer of the report on a page of its own, from results in memory, for notebooks."""

from __future__ import annotations

from html import escape

from crysformer.report.html.page import scripts, view_section
from crysformer.report.html.result_folder import ResultFolder
from crysformer.report.html.tables import resource


class InlineView:
    """Density and model in 3D, in the cell of a notebook.

    Parameters
    ----------
    page
        A page that loads nothing else.
    height
        Height of its frame, pixels.
    """

    def __init__(self, page: str, height: int = 640) -> None:
        self.page, self.height = page, height

    def __repr__(self) -> str:
        return f"<InlineView: {len(self.page) / 1e6:.1f} MB, shown by notebooks>"

    def _repr_html_(self) -> str:
        return (
            f'<iframe srcdoc="{escape(self.page)}" title="Density and model" '
            'sandbox="allow-scripts allow-downloads" '
            f'style="width:100%;height:{self.height}px;border:1px solid #ccc"></iframe>'
        )


def viewer_page(results: ResultFolder) -> str:
    """Make a page of the viewer alone.

    Parameters
    ----------
    results
        As read from a folder, or made in memory.

    Returns
    -------
    str
        A page that loads nothing else.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>density: crysformer</title><style>{resource('page.css')}</style></head><body>"
        f'<main><section id="view">{view_section(results)}</section></main>{scripts(results)}'
        "</body></html>\n"
    )
