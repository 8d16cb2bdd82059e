"""A reflection file as read, whatever its format.

Every format is brought into a `ReflectionTable` whose columns carry MTZ types: F amplitude, J
intensity, Q their standard uncertainty; G and K amplitude and intensity of one Friedel mate, L and
M their uncertainties; D anomalous difference; I integer flags; R any real number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import gemmi
import numpy as np
from numpy.typing import NDArray

Probe = Literal["xray", "electron", "neutron"]


@dataclass(frozen=True, eq=False)
class Column:
    """One column of a reflection file.

    Attributes
    ----------
    label
        Name in the file.
    type
        MTZ column type, one letter.
    values
        Shape (n,), NaN where the file has no value.
    cell
        Unit cell of the data set the column belongs to, where the file says so.
    wavelength
        Of that data set, A, where the file says so.
    datasets
        Names of that data set, shortest first: its own, with the crystal's, its number.
    hierarchy
        Names of its project, crystal and data set, where the file has them.
    """

    label: str
    type: str
    values: NDArray[np.float64]
    cell: gemmi.UnitCell | None = None
    wavelength: float | None = None
    datasets: tuple[str, ...] = ()
    hierarchy: tuple[str, str, str] = ("", "", "")


@dataclass(frozen=True, eq=False)
class ReflectionTable:
    """A reflection file as read, before anything is chosen, merged or converted.

    Attributes
    ----------
    source
        The file, for messages.
    hkl
        Miller indices, shape (n, 3), int32.
    columns
        All columns but H, K and L, in file order; a value's uncertainty comes right after it
        where the format does not name its columns freely.
    cell, space_group
        As the file gives them, or None.
    notes
        What reading had to assume, one sentence each.
    wavelength
        As the file gives it for all columns, A, or None.
    probe
        Radiation that the file names ("xray", "electron", "neutron"), or None.
    is_cif
        Whether the file has blocks.
    block
        The block used, where the file has several.
    warnings
        What may be wrong with the file, one sentence each.
    symmetry_warnings
        The same of `space_group`: statements that are not understood or contradict each other.
    title, history
        Of the file, where it has them: one line, and lines on earlier processing.
    """

    source: str
    hkl: NDArray[np.int32]
    columns: tuple[Column, ...]
    cell: gemmi.UnitCell | None = None
    space_group: gemmi.SpaceGroup | None = None
    notes: tuple[str, ...] = ()
    wavelength: float | None = None
    probe: Probe | None = None
    is_cif: bool = False
    block: str = ""
    warnings: tuple[str, ...] = ()
    symmetry_warnings: tuple[str, ...] = ()
    title: str = ""
    history: tuple[str, ...] = ()
