"""Site symmetry: atoms on special positions, which some operators leave where they are."""

from __future__ import annotations

from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.operators import operators
from crysformer.crystal.unit_cell import orth_matrix

_SAME = 0.1  # A, between a site and its image on a special position


@dataclass(frozen=True, eq=False)
class SiteSymmetry:
    """Special positions that sites lie on.

    Attributes
    ----------
    frac
        The sites, moved onto the special positions, fractional, shape (n, 3).
    order
        Operators that leave each unchanged, centring included, shape (n,); 1 at general positions.
        The multiplicity of the site is that of the general position divided by it.
    projection
        Matrices that take a fractional displacement to its part along the special position, shape
        (n, 3, 3).
    """

    frac: NDArray[np.float64]
    order: NDArray[np.int64]
    projection: NDArray[np.float64]


def site_symmetry(
    frac: NDArray[np.float64], cell: gemmi.UnitCell, group: gemmi.SpaceGroup, reach: float = _SAME
) -> SiteSymmetry:
    """Move sites that are close to their own mates onto the special position between them.

    Parameters
    ----------
    frac
        Fractional coordinates, shape (n, 3).
    cell, group
        Of the crystal.
    reach
        Distance from its own mate below which a site is moved, A.
    """
    ops = operators(group, centred=True)
    rotations = np.stack([rotation for rotation, _ in ops]).astype(np.float64)
    shifts = np.stack([shift for _, shift in ops])
    orth = orth_matrix(cell)
    # the mean of mates is on the special position if no other one is near; if one is, there is a
    # higher one, at which they meet
    for limit in (reach, 0.5 * reach, _SAME):
        step = np.einsum("oij,nj->noi", rotations, frac) + shifts - frac[:, None]
        step -= step.round()
        near = np.linalg.norm(step @ orth.T, axis=-1) < limit
        order = near.sum(axis=1)
        frac = frac + (step * near[..., None]).sum(axis=1) / order[:, None]
    projection = np.einsum("no,oij->nij", near.astype(np.float64), rotations)
    return SiteSymmetry(frac, order, projection / order[:, None, None])
