"""Complete a source tree for publication: addresses of the repository that only it knows.

python .ci/absolute_links.py TREE ADDRESS

Links of README.md become absolute, since it is the long description of the package, and
pyproject.toml gets the addresses of source, documentation and issues.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?![a-z]+:|#)([^)\s]+)\)")


def with_absolute_links(markdown: str, address: str) -> str:
    """Markdown whose relative links lead to the repository; those of pictures, to the files."""

    def link(match: re.Match[str]) -> str:
        kind = "raw" if match[1] else "blob"
        return f"{match[1]}[{match[2]}]({address}/{kind}/main/{match[3]})"

    return _LINK.sub(link, markdown)


def with_addresses(pyproject: str, address: str) -> str:
    """pyproject.toml with the address of the repository among its URLs.

    Raises
    ------
    ValueError
        If it has no table of URLs.
    """
    table = "[project.urls]\n"
    if table not in pyproject:
        raise ValueError("pyproject.toml has no table [project.urls]")
    urls = {
        "Source": address,
        "Documentation": f"{address}/tree/main/docs",
        "Issues": f"{address}/issues",
        "Changelog": f"{address}/blob/main/CHANGELOG.md",
    }
    lines = "".join(f'{name} = "{url}"\n' for name, url in urls.items())
    return pyproject.replace(table, table + lines)


if __name__ == "__main__":
    tree, address = Path(sys.argv[1]), sys.argv[2].rstrip("/")
    for name, change in (("README.md", with_absolute_links), ("pyproject.toml", with_addresses)):
        path = tree / name
        path.write_text(change(path.read_text(encoding="utf-8"), address), encoding="utf-8")
