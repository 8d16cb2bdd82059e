"""Twin laws, or missed symmetry: operators of the lattice that the space group does not contain.

Intensities that such an operator relates are unrelated in an ordinary crystal. They agree if the
true symmetry is higher, and nearly so in a twin: with domains of a and 1 - a their correlation is
2 a (1 - a) / (a^2 + (1 - a)^2).
"""

from __future__ import annotations

from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.operators import integer_rotation
from crysformer.crystal.quality.twinning import MateLookup, distinct_pairs
from crysformer.crystal.reflections import CrystalData

#: Degrees by which the lattice may miss the operator.
OBLIQUITY = 3.0
_MIN_PAIRS = 20


@dataclass(frozen=True)
class TwinLaw:
    """An operator in reciprocal space, such as ``k,h,-l``, and its effect on the intensities.

    Attributes
    ----------
    operator
        As text.
    pairs
        How many independent pairs it relates.
    correlation
        Of their normalised intensities.
    """

    operator: str
    pairs: int
    correlation: float


def twin_laws(
    data: CrystalData, e_squared: NDArray[np.float64], use: NDArray[np.bool_]
) -> tuple[TwinLaw, ...]:
    """Every law of at least 20 pairs, the highest correlation first.

    Parameters
    ----------
    data
        The crystal.
    e_squared
        Normalised intensities, shape (n,), of reflections that are used.
    use
        Which to use, shape (n,).
    """
    rows = np.flatnonzero(use & np.isfinite(e_squared))
    lookup = MateLookup(data, rows)
    laws = []
    for op in gemmi.find_twin_laws(data.cell, data.space_group, OBLIQUITY, False):
        mates = lookup.rows(data.hkl[rows] @ integer_rotation(op))
        found = mates >= 0
        first, second = distinct_pairs(data, rows[found], mates[found])
        one, other = e_squared[first], e_squared[second]
        if len(first) < _MIN_PAIRS or np.ptp(one) + np.ptp(other) == 0:
            continue
        # a pair has no first member, so both orders count
        both, mirrored = np.concatenate([one, other]), np.concatenate([other, one])
        correlation = float(np.corrcoef(both, mirrored)[0, 1])
        laws.append(TwinLaw(gemmi.Op(op.triplet()).as_hkl().triplet(), len(first), correlation))
    return tuple(sorted(laws, key=lambda law: -law.correlation))
