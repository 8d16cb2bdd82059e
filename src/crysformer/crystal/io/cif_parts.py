"""Blocks, crystals and wavelengths of a reflection CIF: what each holds, and which one is read."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.errors import InputError

#: The one that is read by default may hold this fraction of the largest one without a warning.
_MUCH_SMALLER: Final = 0.5
_VALUES: Final = ("F_meas", "intensity_meas", "F_squared_meas", "pdbx_F_", "pdbx_I_")
#: More of them are counted instead of named.
_NAMED: Final = 6


@dataclass(frozen=True, eq=False)
class Part:
    """The reflections of one block, crystal and wavelength.

    Attributes
    ----------
    block
        The block.
    crystal, wavelength
        Ids in the file, empty where it has none.
    rows
        Flags of the rows of the block, shape (n,).
    measured
        Number of reflections with a value.
    what
        What is measured.
    several
        Whether the block has other crystals or wavelengths.
    """

    block: gemmi.ReflnBlock
    crystal: str
    wavelength: str
    rows: NDArray[np.bool_]
    measured: int
    what: str
    several: bool

    @property
    def name(self) -> str:
        """What `block` has to be to choose it."""
        ids = f"/{self.crystal or '1'}/{self.wavelength or '1'}" if self.several else ""
        return f"{self.block.block.name}{ids}"

    @property
    def names(self) -> tuple[str, ...]:
        """All that `block` may be to choose it, if nothing else is called so."""
        name = self.block.block.name
        crystal = self.crystal or "1"
        return name, f"{name}/{crystal}", f"{name}/{crystal}/{self.wavelength or '1'}"


def parts_of(block: gemmi.ReflnBlock, items: Sequence[str]) -> list[Part]:
    """Parts of a block that hold measurements, in file order.

    Parameters
    ----------
    block
        A block of merged reflections.
    items
        Items of the _refln category that count as measurements or their uncertainties.
    """
    present = block.column_labels()
    values = [tag for tag in items if tag in present and _is_value(tag)]
    arrays = [np.isfinite(np.array(block.make_float_array(tag), dtype=float)) for tag in values]
    if not arrays:
        return []
    n = len(arrays[0])
    crystals, wavelengths = _ids(block, "crystal_id", n), _ids(block, "wavelength_id", n)
    kinds = list(dict.fromkeys(zip(crystals, wavelengths, strict=True)))
    parts = []
    for crystal, wavelength in kinds:
        rows = (crystals == crystal) & (wavelengths == wavelength)
        counts = {tag: int((rows & a).sum()) for tag, a in zip(values, arrays, strict=True)}
        if any(counts.values()):
            mean = [tag for tag in counts if counts[tag] and not tag.startswith("pdbx_")]
            what = "amplitudes" if any(t.startswith("F_meas") for t in mean) else "intensities"
            if not mean:
                what = "Friedel mates"
            measured = max(counts[tag] for tag in mean or counts)
            parts.append(
                Part(block, crystal, wavelength, rows, measured, what, several=len(kinds) > 1)
            )
    return parts


def _is_value(tag: str) -> bool:
    return tag.startswith(_VALUES) and "sigma" not in tag and not tag.endswith("_su")


def refln_values(block: gemmi.ReflnBlock, tag: str) -> gemmi.cif.Column:
    """Texts of one item of the reflections, under its name in mmCIF or in core CIF."""
    column = block.block.find_values(f"_refln.{tag}")
    return column if len(column) > 0 else block.block.find_values(f"_refln_{tag}")


def _ids(block: gemmi.ReflnBlock, tag: str, n: int) -> NDArray[np.str_]:
    found = [gemmi.cif.as_string(x) for x in refln_values(block, tag)]
    return np.array(found if len(found) == n else [""] * n)


def choose_part(parts: Sequence[Part], wanted: str | None, source: str) -> Part:
    """Choose what to read: the first part, or the user's choice.

    Raises
    ------
    InputError
        If nothing is called `wanted`, or several parts are.
    """
    if wanted is None:
        return parts[0]
    found = [p for p in parts if wanted in p.names]
    if not found:
        raise InputError(
            f"{source}: no block {wanted} (`block`) with measured reflections; the file has "
            + _listed(parts)
        )
    of_one_block = len({id(p.block) for p in found}) == 1
    if len(found) > 1 and not of_one_block:
        raise InputError(
            f"{source}: {len(found)} blocks are named {wanted} (`block`); rename them in the file"
        )
    return found[0]


def other_parts(parts: Sequence[Part], used: Part) -> tuple[list[str], list[str]]:
    """Notes, or warnings if the one used is much smaller, on the parts that are not read."""
    others = [p for p in parts if p is not used]
    if not others:
        return [], []
    largest = max(others, key=lambda p: p.measured)
    text = (
        f"of {len(parts)} data sets, {used.name} ({used.measured} {used.what}) is used; others: "
        f"{_listed(others)}; to choose give `block` {largest.name}"
    )
    if used.measured < _MUCH_SMALLER * largest.measured:
        return [], [text]
    return [text], []


def _listed(parts: Sequence[Part]) -> str:
    words = [f"{p.name} ({p.measured} {p.what})" for p in itertools.islice(parts, _NAMED)]
    if len(parts) > _NAMED:
        words.append(f"and {len(parts) - _NAMED} more")
    return ", ".join(words)
