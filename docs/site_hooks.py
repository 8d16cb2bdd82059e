"""Hooks of mkdocs: pages of the repository outside docs/ are part of the site.

Links are written as they work in the repository. In the site the pages of docs/ stand at the top,
and what they link to elsewhere in the repository stands below ``repository/``.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files, InclusionLevel

ROOT = Path(__file__).resolve().parents[1]
ELSEWHERE = "repository"
_LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#|/)([^)#\s]+)")
_FOLDERS = ("benchmarks", "leaderboard")
_SUFFIXES = (".md", ".json", ".tsv", ".png", ".svg")
_AT_TOP = ("README.md", "CONTRIBUTING.md", "CITATION.cff", "SECURITY.md", "LICENSE", "results.json")


def site_path(path: str) -> str:
    """Path in the site of a file of the repository."""
    inside = posixpath.relpath(path, "docs")
    return inside if not inside.startswith("..") else posixpath.join(ELSEWHERE, path)


def repository_path(path: str) -> str:
    """Path in the repository of a page of the site."""
    if path.startswith(ELSEWHERE + "/"):
        return path.removeprefix(ELSEWHERE + "/")
    return posixpath.join("docs", path)


def with_site_links(markdown: str, page: str) -> str:
    """Markdown of the page at the site path `page`, with links as they work in the site."""
    here = posixpath.dirname(repository_path(page))

    def link(match: re.Match[str]) -> str:
        target = site_path(posixpath.normpath(posixpath.join(here, match[1])))
        return posixpath.relpath(target, posixpath.dirname(page) or ".")

    return _LINK.sub(link, markdown)


def on_files(files: Files, config: Any) -> Files:
    """Add the pages and tables of the repository outside docs/."""
    paths = [ROOT / name for name in _AT_TOP]
    for folder in _FOLDERS:
        paths += [path for path in (ROOT / folder).rglob("*") if path.suffix in _SUFFIXES]
    for path in paths:
        name = site_path(path.relative_to(ROOT).as_posix())
        files.append(_outside_navigation(config, name, path))
    return files


def _outside_navigation(config: Any, name: str, path: Path) -> File:
    inclusion = InclusionLevel.NOT_IN_NAV
    return File.generated(config, name, abs_src_path=str(path), inclusion=inclusion)


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Rewrite the links of a page."""
    return with_site_links(markdown, page.file.src_uri)
