"""Writing atoms as a SHELX .res file, the usual start of a refinement with SHELXL or Olex2."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.version import __version__

_LATTICES = {"P": 1, "I": 2, "R": 3, "F": 4, "A": 5, "B": 6, "C": 7}
_WAVELENGTH = 0.71073  # A, Mo K-alpha: that of the experiment is not among the amplitudes
_WIDTH = 76  # characters of a line
_FIXED = 10.0  # added to a value that is not to be refined
_U_PER_B = 1 / (8 * math.pi**2)


def shelx_res(
    cell: gemmi.UnitCell,
    space_group: gemmi.SpaceGroup,
    elements: Sequence[str],
    frac: NDArray[np.float64],
    b_iso: NDArray[np.float64],
    occupancy: NDArray[np.float64],
    site_order: NDArray[np.int64],
    *,
    title: str,
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
        B, A^2, and occupancy, shape (n,). Occupancies are written as fixed (10 is added); one above
        1, which the free refinement of weak atoms may give, as 1.
    site_order
        Operators that leave each atom unchanged, shape (n,). SHELXL counts an atom once for each
        operator, so that its occupancy is divided by it: 10.5 on a mirror plane.
    title
        For TITL.
    """
    ops = list(space_group.operations())
    kinds = sorted(set(elements), key=lambda name: (name != "C", name))
    in_cell = [
        sum(len(ops) / order for x, order in zip(elements, site_order, strict=True) if x == name)
        for name in kinds
    ]
    constants = " ".join(f"{x:.4f}" for x in cell.parameters)
    lines = [
        f"TITL {title}"[:_WIDTH],
        f"REM atoms of crysformer {__version__}, without hydrogens; U is isotropic",
        "REM set the wavelength in CELL and the uncertainties in ZERR",
        f"CELL {_WAVELENGTH} {constants}",
        f"ZERR {len(ops)} 0 0 0 0 0 0",
        *lattice_and_symmetry(space_group),
        "SFAC " + " ".join(kinds),
        "UNIT " + " ".join(f"{n:.0f}" for n in in_cell),
        "L.S. 10",
        "BOND",
        "FMAP 2",
        "PLAN 20",
        "FVAR 1.0",
    ]
    numbers: Counter[str] = Counter()
    part = np.minimum(occupancy, 1.0) / site_order
    for name, x, b, occ in zip(elements, frac, b_iso, part, strict=True):
        numbers[name] += 1
        lines.append(
            f"{name}{numbers[name]:<{5 - len(name)}d} {kinds.index(name) + 1:2d} "
            + " ".join(f"{value:10.6f}" for value in x)
            + f" {_FIXED + occ:10.5f} {b * _U_PER_B:9.5f}"
        )
    return "\n".join([*lines, "HKLF 4", "END", ""])


def lattice_and_symmetry(space_group: gemmi.SpaceGroup) -> list[str]:
    """LATT and SYMM, without the identity, centring and an inversion at the origin."""
    group = space_group.operations()
    lattice = _LATTICES.get(space_group.centring_type(), 0)
    # centring that LATT cannot express is written as operators
    ops = [op.wrap() for op in (group.sym_ops if lattice else group)]
    inversion = gemmi.Op("-x,-y,-z")
    centric = inversion in ops
    kept: list[gemmi.Op] = []
    for op in ops:
        if not (centric and (inversion * op).wrap() in kept):
            kept.append(op)
    lines = [f"LATT {max(lattice, 1) if centric else -max(lattice, 1)}"]
    return lines + [f"SYMM {op.triplet().upper()}" for op in kept if op != gemmi.Op("x,y,z")]
