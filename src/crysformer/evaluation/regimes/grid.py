"""The conditions of the benchmark grid: kinds of crystal and quality of their data."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from crysformer.errors import UsageError
from crysformer.evaluation.data_quality import DataQuality
from crysformer.wording import counted

CellType = Literal["tight", "rich"]
Control = Literal["", "shuffled", "wilson", "wrong-sequence"]

B_RANGES: dict[str, tuple[float, float]] = {
    "8": (8.0, 8.0),
    "20": (20.0, 20.0),
    "40": (40.0, 40.0),
    "mixed": (8.0, 32.0),
}
"""Range of the uniformly drawn displacement parameters of the atoms, A^2."""


@dataclass(frozen=True)
class Condition:
    """Kind of crystal and quality of its data.

    Attributes
    ----------
    n_residues
        Residues of the molecule.
    cell_type
        ``"tight"``: the dipeptide recipe's fitted cell. ``"rich"`` in solvent (left empty): the
        15-residue recipe's fixed cell for 15 residues, else the fitted edges times `RICH_FACTOR`.
    quality
        Resolution, errors and missing reflections.
    b
        A key of `B_RANGES`.
    copies
        Molecules in the cell.
    control
        Way in which the crystal is made unsolvable, or empty (see `regimes.controls`).
    """

    n_residues: int
    cell_type: CellType
    quality: DataQuality = field(default_factory=DataQuality)
    b: str = "20"
    copies: int = 1
    control: Control = ""

    @property
    def contents(self) -> str:
        """Name of the molecule and its unit cell, such as ``2-tight``."""
        return f"{self.n_residues}-{self.cell_type}"

    @property
    def changes(self) -> tuple[str, ...]:
        """Short names of the differences from one copy at B 20 with exact, complete 1.5 A data."""
        quality, parts = self.quality, []
        if quality.d_min != 1.5:
            parts.append(f"{quality.d_min:.1f}A")
        if quality.amplitude_error:
            parts.append(f"err{quality.amplitude_error:.0%}".removesuffix("%"))
        if quality.completeness < 1:
            kind = "wedge" if quality.missing == "wedge" else "comp"
            parts.append(f"{kind}{quality.completeness:.0%}".removesuffix("%"))
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
        """Description in words."""
        quality = self.quality
        completeness = f"{quality.completeness:.0%} complete"
        if quality.completeness < 1:
            completeness += f" ({quality.missing})"
        parts = [
            counted(self.n_residues, "residue"),
            self.cell_type,
            f"{quality.d_min:.1f} A",
            f"{quality.amplitude_error:.0%} error",
            completeness,
            f"B {self.b}",
            counted(self.copies, "copy", "copies"),
        ]
        return ", ".join([*parts, self.control] if self.control else parts)


RICH_FACTOR = 1.4
"""Ratio of the edges of a solvent-rich unit cell to the fitted ones (2.7 times the volume)."""


def _one_at_a_time(base: Condition) -> list[Condition]:
    """The base, and every value of every factor by itself."""
    qualities = (
        *(DataQuality(d_min=d) for d in (1.0, 2.0, 2.5, 3.0)),
        *(DataQuality(amplitude_error=x) for x in (0.05, 0.10, 0.20)),
        *(DataQuality(completeness=c) for c in (0.8, 0.6)),
        *(DataQuality(completeness=c, missing="wedge") for c in (0.8, 0.6)),
    )
    return [
        base,
        *(replace(base, quality=quality) for quality in qualities),
        *(replace(base, b=b) for b in ("8", "40", "mixed")),
        *(replace(base, copies=m) for m in (2, 3, 4)),
    ]


def _few(base: Condition) -> list[Condition]:
    """The base, and the factors that matter most."""
    qualities = (
        DataQuality(d_min=2.0),
        DataQuality(d_min=2.5),
        DataQuality(amplitude_error=0.10),
        DataQuality(completeness=0.8),
    )
    return [
        base,
        *(replace(base, quality=quality) for quality in qualities),
        replace(base, copies=2),
    ]


def _corners(base: Condition) -> list[Condition]:
    """Low resolution together with noisy and incomplete data."""
    conditions = []
    for d_min in (2.0, 2.5):
        conditions += [
            replace(base, quality=DataQuality(d_min, 0.10, 0.8)),
            replace(base, quality=DataQuality(d_min, 0.20, 0.6)),
            replace(base, quality=DataQuality(d_min, 0.10, 0.8, "wedge"), b="40"),
        ]
    return conditions


def _grid() -> tuple[Condition, ...]:
    small, large = Condition(2, "tight"), Condition(15, "rich")
    five, eight = Condition(5, "tight"), Condition(8, "tight")
    return (
        *_one_at_a_time(small),
        *_few(five),
        *_few(eight),
        *_one_at_a_time(large),
        Condition(15, "tight"),
        *(Condition(n, "rich") for n in (2, 5, 8)),
        *_corners(small),
        *_corners(eight)[:2],
        *_corners(large)[:4],
    )


GRID: tuple[Condition, ...] = _grid()
"""All conditions, in the order of tables and figures."""


def select(conditions: Iterable[Condition], patterns: str | None) -> tuple[Condition, ...]:
    """Choose conditions whose name matches one of the comma-separated shell patterns.

    Parameters
    ----------
    conditions
        Conditions to choose from.
    patterns
        Such as ``2-tight*,15-rich``; None takes all.

    Raises
    ------
    UsageError
        If a pattern matches nothing.
    """
    conditions = tuple(conditions)
    if patterns is None:
        return conditions
    wanted: set[str] = set()
    for pattern in (text.strip() for text in patterns.split(",")):
        found = {c.name for c in conditions if fnmatch.fnmatchcase(c.name, pattern)}
        if not found:
            raise UsageError(
                f"`conditions` {pattern}: matches no condition; expected patterns of names such "
                f"as {conditions[0].name}"
            )
        wanted |= found
    return tuple(condition for condition in conditions if condition.name in wanted)
