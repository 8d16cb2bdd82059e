"""The cells of the regime grid: what kind of crystal, measured how."""

from __future__ import annotations

import fnmatch
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from crysformer.data.synthetic.measurement_model import Missing
from crysformer.errors import UsageError

Packing = Literal["tight", "rich"]
Control = Literal["", "shuffled", "wilson", "wrong-sequence"]

B_RANGES: dict[str, tuple[float, float]] = {
    "8": (8.0, 8.0),
    "20": (20.0, 20.0),
    "40": (40.0, 40.0),
    "mixed": (8.0, 32.0),
}
"""Displacement parameters, A^2: drawn evenly for each atom, so that "mixed" has a mean of 20."""


@dataclass(frozen=True)
class GridCell:
    """One kind of crystal.

    Attributes
    ----------
    n_residues
        Of the molecule.
    packing
        ``"tight"``: the dipeptide recipe's fitted cell. ``"rich"`` in solvent (left empty): the
        15-residue recipe's fixed cell for 15 residues, else the fitted edges times `RICH_FACTOR`.
    d_min
        Resolution, A.
    amplitude_error
        x for amplitudes F (1 + x N(0, 1)).
    completeness, missing
        Share of the reflections that are measured, and which are not.
    b
        A key of `B_RANGES`.
    copies
        Molecules in the cell.
    control
        What makes the crystal unsolvable on purpose, or empty (see `regimes.controls`).
    """

    n_residues: int
    packing: Packing
    d_min: float = 1.5
    amplitude_error: float = 0.0
    completeness: float = 1.0
    missing: Missing = "random"
    b: str = "20"
    copies: int = 1
    control: Control = ""

    @property
    def contents(self) -> str:
        """Name of the molecule and its packing, such as ``2-tight``."""
        return f"{self.n_residues}-{self.packing}"

    @property
    def changes(self) -> tuple[str, ...]:
        """What differs from one exact, complete copy at 1.5 A and B 20, a short name each."""
        parts = []
        if self.d_min != 1.5:
            parts.append(f"{self.d_min:.1f}A")
        if self.amplitude_error:
            parts.append(f"err{self.amplitude_error:.0%}".removesuffix("%"))
        if self.completeness < 1:
            kind = "wedge" if self.missing == "wedge" else "comp"
            parts.append(f"{kind}{self.completeness:.0%}".removesuffix("%"))
        if self.b != "20":
            parts.append(f"B{self.b}")
        if self.copies > 1:
            parts.append(f"x{self.copies}")
        if self.control:
            parts.append(self.control)
        return tuple(parts)

    @property
    def name(self) -> str:
        """Unique name, such as ``2-tight-2.0A-err10``."""
        return "-".join((self.contents, *self.changes))

    @property
    def description(self) -> str:
        """What it is, in words."""
        completeness = f"{self.completeness:.0%} complete"
        if self.completeness < 1:
            completeness += f" ({'wedge' if self.missing == 'wedge' else 'random'})"
        parts = [
            f"{self.n_residues} residues",
            self.packing,
            f"{self.d_min:.1f} A",
            f"{self.amplitude_error:.0%} error",
            completeness,
            f"B {self.b}",
            "1 copy" if self.copies == 1 else f"{self.copies} copies",
        ]
        return ", ".join([*parts, self.control] if self.control else parts)


RICH_FACTOR = 1.4
"""Edges of a solvent-rich cell over those of the fitted one; its volume is 2.7 times as large."""


def _one_at_a_time(base: GridCell) -> list[GridCell]:
    """The base, and every value of every factor on its own."""
    wedges = [replace(base, completeness=c, missing="wedge") for c in (0.8, 0.6)]
    return [
        base,
        *(replace(base, d_min=d) for d in (1.0, 2.0, 2.5, 3.0)),
        *(replace(base, amplitude_error=x) for x in (0.05, 0.10, 0.20)),
        *(replace(base, completeness=c) for c in (0.8, 0.6)),
        *wedges,
        *(replace(base, b=b) for b in ("8", "40", "mixed")),
        *(replace(base, copies=m) for m in (2, 3, 4)),
    ]


def _few(base: GridCell) -> list[GridCell]:
    """The base, and the factors that matter most."""
    return [
        base,
        replace(base, d_min=2.0),
        replace(base, d_min=2.5),
        replace(base, amplitude_error=0.10),
        replace(base, completeness=0.8),
        replace(base, copies=2),
    ]


def _corners(base: GridCell) -> list[GridCell]:
    """Low resolution together with noisy and incomplete data."""
    dirty = (
        replace(base, amplitude_error=0.10, completeness=0.8),
        replace(base, amplitude_error=0.20, completeness=0.6),
        replace(base, amplitude_error=0.10, completeness=0.8, missing="wedge", b="40"),
    )
    return [replace(cell, d_min=d) for d, cell in itertools.product((2.0, 2.5), dirty)]


def _grid() -> tuple[GridCell, ...]:
    small, large = GridCell(2, "tight"), GridCell(15, "rich")
    five, eight = GridCell(5, "tight"), GridCell(8, "tight")
    return (
        *_one_at_a_time(small),
        *_few(five),
        *_few(eight),
        *_one_at_a_time(large),
        GridCell(15, "tight"),
        *(GridCell(n, "rich") for n in (2, 5, 8)),
        *_corners(small),
        *_corners(eight)[:2],
        *_corners(large)[:4],
    )


GRID: tuple[GridCell, ...] = _grid()
"""All cells, in the order of tables and figures."""


def select(cells: Iterable[GridCell], patterns: str | None) -> tuple[GridCell, ...]:
    """Cells whose name matches one of the comma-separated shell patterns; None takes all.

    Raises
    ------
    UsageError
        If a pattern matches nothing.
    """
    cells = tuple(cells)
    if patterns is None:
        return cells
    wanted: set[str] = set()
    for pattern in patterns.split(","):
        found = {cell.name for cell in cells if fnmatch.fnmatchcase(cell.name, pattern.strip())}
        if not found:
            raise UsageError(f"--cells {pattern.strip()}: matches no cell; --list prints them")
        wanted |= found
    return tuple(cell for cell in cells if cell.name in wanted)
