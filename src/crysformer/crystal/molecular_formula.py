"""Molecular formulae: text such as C45H60N4O4 to numbers of atoms by element."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

import gemmi

from crysformer.errors import UsageError

_TOKEN = re.compile(r"([A-Z][a-z]?)(\d*)")
_HYDROGEN = ("H", "D")


def parse_formula(text: str) -> dict[str, int]:
    """Read a molecular formula; elements in any order, each symbol with an optional count.

    Parameters
    ----------
    text
        Such as ``"C45H60N4O4"``; spaces are ignored, and D counts as H.

    Raises
    ------
    UsageError
        If the text is empty, contains anything else, an unknown element or a count of zero, or
        only hydrogen.
    """
    packed = "".join(text.split())
    if not packed:
        raise UsageError(
            "`composition` is empty: expected a molecular formula such as C45H60N4O4, or leave it "
            "out"
        )
    counts: Counter[str] = Counter()
    at = 0
    while at < len(packed):
        token = _TOKEN.match(packed, at)
        if token is None:
            raise UsageError(
                f"`composition` {text!r}: found {packed[at]!r} at position {at + 1}; expected "
                "element symbols with counts, such as C45H60N4O4 (upper and lower case as in the "
                "periodic table, no brackets or charges)"
            )
        symbol, count = token[1], int(token[2] or 1)
        element = gemmi.Element(symbol)
        if element.atomic_number == 0 or element.name.upper() != symbol.upper():
            raise UsageError(
                f"`composition` {text!r}: {symbol!r} is not an element; expected a molecular "
                "formula such as C45H60N4O4"
            )
        if count == 0:
            raise UsageError(f"`composition` {text!r}: 0 atoms of {symbol}; leave it out")
        counts["H" if symbol in _HYDROGEN else symbol] += count
        at = token.end()
    if not heavy_atoms(counts):
        raise UsageError(
            f"`composition` {text!r} has no atoms but hydrogen; expected a whole molecule"
        )
    return dict(counts)


def formula_of(composition: str | Mapping[str, int] | None) -> dict[str, int] | None:
    """Atoms by element of a formula as text or of counts; None if there is neither.

    Raises
    ------
    UsageError
        As `parse_formula`.
    """
    if composition is None:
        return None
    return parse_formula(composition if isinstance(composition, str) else formula_text(composition))


def heavy_atoms(formula: Mapping[str, int]) -> dict[str, int]:
    """The formula without hydrogen."""
    return {element: count for element, count in formula.items() if element != "H"}


def formula_text(formula: Mapping[str, int]) -> str:
    """Formula in Hill's order, C and H first, elements separated by spaces."""
    first = [element for element in ("C", "H") if element in formula and "C" in formula]
    rest = sorted(element for element in formula if element not in first)
    return " ".join(f"{element}{formula[element]}" for element in (*first, *rest))
