"""Unit cell: its matrices, and its consistency with the space group."""

from __future__ import annotations

from typing import Final

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.operators import operators
from crysformer.errors import InputError

#: Relative error of a length, or cosine of an angle, by which a cell may miss its crystal system.
_TOLERANCE: Final = 0.01


def orth_matrix(cell: gemmi.UnitCell) -> NDArray[np.float64]:
    """Orthogonalisation matrix, shape (3, 3), A: Cartesian = orth @ fractional (PDB convention)."""
    return np.array(cell.orth.mat.tolist())


def frac_matrix(cell: gemmi.UnitCell) -> NDArray[np.float64]:
    """Fractionalisation matrix, shape (3, 3), A^-1: fractional = frac @ Cartesian.

    Its rows are the reciprocal axes, so that h @ frac is the scattering vector of a Miller index
    row h.
    """
    return np.array(cell.frac.mat.tolist())


def resolve_symmetry(
    source: str,
    cell: gemmi.UnitCell | None,
    space_group: gemmi.SpaceGroup | str | None,
) -> tuple[gemmi.UnitCell, gemmi.SpaceGroup]:
    """Check that cell and space group are known, sensible, and agree.

    Parameters
    ----------
    source
        The file, for messages.
    cell
        Unit cell, or None where neither the file nor the user gives one.
    space_group
        Space group or its symbol, likewise. A bare R symbol is taken in the setting (hexagonal or
        rhombohedral) of the cell.

    Raises
    ------
    InputError
        If one of them is missing, impossible or unknown, or if they contradict each other.
    """
    missing = []
    if cell is None or not cell.is_crystal():
        missing.append(("unit cell", "`cell` A,B,C,ALPHA,BETA,GAMMA"))
    if space_group is None:
        missing.append(("space group", "`space_group` SYMBOL"))
    if cell is None or space_group is None or missing:
        what = " and no ".join(name for name, _ in missing)
        options = " ".join(option for _, option in missing)
        raise InputError(f"{source}: the file gives no {what}; supply {options}")

    constants = " ".join(f"{x:g}" for x in cell.parameters)
    if not (np.isfinite(cell.volume) and cell.volume > 0 and min(cell.parameters) > 0):
        raise InputError(f"{source}: cell {constants} is impossible; give the right `cell`")
    if isinstance(space_group, str):
        symbol = space_group
        space_group = gemmi.find_spacegroup_by_name(symbol.strip(), cell.alpha, cell.gamma)
        if space_group is None:
            raise InputError(
                f"{source}: unknown space group {symbol!r}; expected a symbol such as P1, "
                "'P 21 21 21' or C2"
            )
    if not is_consistent(cell, space_group):
        raise InputError(
            f"{source}: cell {constants} contradicts space group {space_group.xhm()} "
            f"({space_group.crystal_system_str()}); give the right `cell` or `space_group`"
        )
    return cell, space_group


def is_consistent(cell: gemmi.UnitCell, space_group: gemmi.SpaceGroup) -> bool:
    """Test that every rotation of the space group maps the cell onto itself, nearly.

    The tolerance is relative: that of `gemmi.UnitCell.is_compatible_with_spacegroup` is an
    absolute change of the metric in A^2, which no single value makes right for short and long
    axes.
    """
    orth = orth_matrix(cell)
    metric = orth.T @ orth
    lengths = np.sqrt(np.diag(metric))
    for rotation in operators(space_group).rotations:
        image = rotation.T @ metric @ rotation
        # A metric element changes by twice the relative change of a length.
        if np.abs((image - metric) / np.outer(lengths, lengths)).max() > 2 * _TOLERANCE:
            return False
    return True
