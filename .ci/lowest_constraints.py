"""Write constraints-lowest.txt: the lowest version of each dependency that pyproject.toml permits.

python .ci/lowest_constraints.py
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OUTPUT = ROOT / "constraints-lowest.txt"
#: Extras that the tests are run with.
EXTRAS = ("dev",)
_LOWEST = re.compile(r"([A-Za-z0-9._-]+)>=([0-9][0-9A-Za-z.]*)")
HEADER = """\
# The lowest versions that pyproject.toml permits; .ci/lowest runs the tests with them.
# Made by .ci/lowest_constraints.py; tests/test_continuous_integration.py compares.
"""


def lowest(requirements: list[str]) -> list[str]:
    """Pins of the lower bounds, in alphabetical order.

    Raises
    ------
    ValueError
        If a requirement is not of the form NAME>=VERSION.
    """
    pins = []
    for requirement in requirements:
        match = _LOWEST.fullmatch(requirement)
        if match is None:
            raise ValueError(f"{requirement!r}: expected NAME>=VERSION")
        pins.append(f"{match[1]}=={match[2]}")
    return sorted(pins, key=str.lower)


def content(pyproject: str) -> str:
    """Text of the constraints file for a pyproject.toml."""
    project = tomllib.loads(pyproject)["project"]
    extras = [x for name in EXTRAS for x in project["optional-dependencies"][name]]
    return HEADER + "\n".join(lowest(project["dependencies"] + extras)) + "\n"


if __name__ == "__main__":
    OUTPUT.write_text(content((ROOT / "pyproject.toml").read_text()))
