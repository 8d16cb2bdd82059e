"""Unit cell: its matrices, and its consistency with the space group."""

from __future__ import annotations

from typing import Final

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.operators import operators

#: Relative error of a length, or cosine of an angle, by which a cell may miss its crystal system.
_TOLERANCE: Final = 0.01
#: Relative difference of edges, and difference of angles in degrees, of two measurements.
_ALIKE_EDGES, _ALIKE_ANGLES = 0.01, 1.0


def unit_cell(*constants: float) -> gemmi.UnitCell:
    """Unit cell of six constants of a file (A, degrees), whatever they are.

    gemmi raises RuntimeError for some angles of 0; of these comes a cell without lattice, for
    which `gemmi.UnitCell.is_crystal` is false.
    """
    try:
        return gemmi.UnitCell(*constants)
    except RuntimeError:
        return gemmi.UnitCell()


def orth_matrix(cell: gemmi.UnitCell) -> NDArray[np.float64]:
    """Orthogonalisation matrix, shape (3, 3), A: Cartesian = orth @ fractional (PDB convention)."""
    return np.array(cell.orth.mat.tolist())


def frac_matrix(cell: gemmi.UnitCell) -> NDArray[np.float64]:
    """Fractionalisation matrix, shape (3, 3), A^-1: fractional = frac @ Cartesian.

    Its rows are the reciprocal axes, so that h @ frac is the scattering vector of a Miller index
    row h.
    """
    return np.array(cell.frac.mat.tolist())


def is_possible(cell: gemmi.UnitCell) -> bool:
    """Test that the constants are finite and positive and enclose a volume."""
    return bool(np.isfinite(cell.parameters).all() and min(cell.parameters) > 0 and cell.volume > 0)


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


def cell_text(cell: gemmi.UnitCell) -> str:
    """Constants of a cell in words: lengths, A, then angles, degrees."""
    a, b, c, *angles = cell.parameters
    return f"{a:.2f} x {b:.2f} x {c:.2f} Å, {' '.join(f'{angle:.5g}' for angle in angles)}°"


def is_alike(cell: gemmi.UnitCell, other: gemmi.UnitCell) -> bool:
    """Test that two cells may be of one crystal: edges within 1 %, angles within 1 degree."""
    a, b = np.array(cell.parameters), np.array(other.parameters)
    edges = np.abs(a[:3] / b[:3] - 1).max() <= _ALIKE_EDGES
    return bool(edges and np.abs(a[3:] - b[3:]).max() <= _ALIKE_ANGLES)


def constants_text(cell: gemmi.UnitCell) -> str:
    """Constants of a cell for a message, A and degrees."""
    return " ".join(f"{x:g}" for x in cell.parameters)
