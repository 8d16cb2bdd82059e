"""Number of reflections that a crystal can have, before any list of them is made."""

from __future__ import annotations

import math
from typing import Final

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.unit_cell import frac_matrix
from crysformer.errors import InputError

#: Resolution (A) that no diffraction experiment on a molecular crystal has reached.
BEST_RESOLUTION: Final = 0.2
#: Most possible unique reflections. Methods for peptides and small proteins end far below; the
#: data report of 0.86 million took 0.95 GB.
MOST_POSSIBLE: Final = 4_000_000


def estimate_possible(cell: gemmi.UnitCell, space_group: gemmi.SpaceGroup, d_min: float) -> float:
    """Estimate the number of unique reflections to `d_min` (A), Friedel mates being one.

    The volume of the sphere of radius 1/d_min, over that of a point of the reciprocal lattice,
    over the number of operators: 2 pi V / (3 n d_min^3), with all centring vectors in n.
    """
    n_operators = len(space_group.operations())
    return 2 * math.pi / 3 * float(cell.volume) / (n_operators * d_min**3)


def check_possible(
    source: str,
    cell: gemmi.UnitCell,
    space_group: gemmi.SpaceGroup,
    hkl: NDArray[np.int32],
) -> None:
    """Refuse Miller indices that no crystal of this cell can have, or too many reflections.

    Parameters
    ----------
    source
        The file, for messages.
    cell, space_group
        Of the crystal.
    hkl
        Miller indices of the measured reflections, shape (n, 3), n at least 1.

    Raises
    ------
    InputError
        If the resolution is beyond `BEST_RESOLUTION`, or more than `MOST_POSSIBLE` unique
        reflections are possible to the resolution of the data.
    """
    d_star = np.linalg.norm(hkl.astype(np.float64) @ frac_matrix(cell), axis=1)
    farthest = int(d_star.argmax())
    d_min = 1 / float(d_star[farthest])
    index = " ".join(map(str, hkl[farthest].tolist()))
    if d_min < BEST_RESOLUTION:
        raise InputError(
            f"{source}: reflection {index} has d = {d_min:.3g} A, expected at least "
            f"{BEST_RESOLUTION:g} A; check the indices and the `cell`"
        )
    possible = estimate_possible(cell, space_group, d_min)
    if possible > MOST_POSSIBLE:
        raise InputError(
            f"{source}: about {possible:.3g} unique reflections are possible to {d_min:.3g} A "
            f"(reflection {index}), expected at most {MOST_POSSIBLE:.3g}; check the indices and "
            "the `cell`, or cut the resolution"
        )
