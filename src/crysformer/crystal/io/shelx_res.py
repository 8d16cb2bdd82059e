"""Writing atoms as a SHELX .res file, the usual start of a refinement with SHELXL or Olex2."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import gemmi
import numpy as np
from numpy.typing import NDArray

_LATTICES = {"P": 1, "I": 2, "R": 3, "F": 4, "A": 5, "B": 6, "C": 7}
_FIXED = 10.0  # added to a value that is not to be refined
_U_PER_B = 1 / (8 * math.pi**2)


def shelx_res(
    cell: gemmi.UnitCell,
    space_group: gemmi.SpaceGroup,
    elements: Sequence[str],
    frac: NDArray[np.float64],
    b_iso: NDArray[np.float64],
    occupancy: NDArray[np.float64],
    *,
    title: str,
    wavelength: float | None = None,
    unit: dict[str, int] | None = None,
) -> str:
    """Text of a .res file.

    Parameters
    ----------
    cell, space_group
        Of the crystal; any setting.
    elements
        Symbols of the atoms of one asymmetric unit.
    frac
        Fractional coordinates, shape (n, 3).
    b_iso, occupancy
        B, A^2, and occupancy, shape (n,).
    title
        For TITL.
    wavelength
        A; 0.71073 (Mo K-alpha) if unknown.
    unit
        Atoms in the unit cell by element, for UNIT; by default those listed, times the operators.
    """
    ops = list(space_group.operations())
    kinds = sorted(set(elements), key=lambda name: (name != "C", name))
    if unit is None:
        counts = Counter(elements)
        unit = {name: counts[name] * len(ops) for name in kinds}
    kinds += [name for name in unit if name not in kinds]
    constants = " ".join(f"{x:.4f}" for x in cell.parameters)
    lines = [
        f"TITL {title}",
        f"CELL {wavelength or 0.71073:.5f} {constants}",
        f"ZERR {len(ops)} 0 0 0 0 0 0",
        *_symmetry(space_group),
        "SFAC " + " ".join(kinds),
        "UNIT " + " ".join(str(unit.get(name, 0)) for name in kinds),
        "L.S. 10",
        "BOND",
        "FMAP 2",
        "PLAN 20",
        "FVAR 1.0",
    ]
    numbers: Counter[str] = Counter()
    for name, x, b, occ in zip(elements, frac, b_iso, occupancy, strict=True):
        numbers[name] += 1
        lines.append(
            f"{name}{numbers[name]:<{5 - len(name)}d} {kinds.index(name) + 1:2d} "
            + " ".join(f"{value:10.6f}" for value in x)
            + f" {_FIXED + occ:10.5f} {b * _U_PER_B:9.5f}"
        )
    return "\n".join([*lines, "HKLF 4", "END", ""])


def _symmetry(space_group: gemmi.SpaceGroup) -> list[str]:
    """LATT and SYMM, without the identity, centring and an inversion at the origin."""
    group = space_group.operations()
    ops = [op.wrap() for op in group.sym_ops]
    inversion = gemmi.Op("-x,-y,-z")
    centric = any(op == inversion for op in ops)
    lattice = _LATTICES[space_group.centring_type()]
    kept: list[gemmi.Op] = []
    for op in ops:
        mirrored = (inversion * op).wrap()
        if not (centric and mirrored in kept):
            kept.append(op)
    lines = [f"LATT {lattice if centric else -lattice}"]
    return lines + [f"SYMM {op.triplet().upper()}" for op in kept if op != gemmi.Op("x,y,z")]
