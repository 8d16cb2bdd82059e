"""Elements of refined atoms from their scattering power, with the composition where it is known."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

USUAL: Mapping[str, float] = {
    "C": 0.70, "N": 0.11, "O": 0.16, "F": 0.005, "Na": 0.0003, "Si": 0.0005, "P": 0.002, "S": 0.01,
    "Cl": 0.008, "K": 0.0003, "Fe": 0.001, "Cu": 0.001, "Zn": 0.001, "Br": 0.003, "Pd": 0.001,
    "I": 0.001, "Pt": 0.001,
}  # fmt: skip
"""Elements that are expected without a composition, with rough frequencies in organic crystals."""
COMMON = ("C", "N", "O")
"""Elements that atoms beyond a composition are of."""
# Error of a scattering power in units of a nitrogen's 7: of every atom, and in proportion.
_ERROR, _RELATIVE_ERROR = 0.45, 0.02
# Cost of an atom beyond the composition, less than that of taking C for O.
_SURPLUS = 12.0
# Tried for all scattering powers together, relative to one that makes the median the commonest.
_SCALES = np.geomspace(0.6, 1.6, 99)
# Least and largest number of neighbours of elements that their scattering power hardly tells apart.
_NEIGHBOURS: Mapping[str, tuple[int, int]] = {
    "F": (0, 1), "Cl": (0, 1), "Br": (0, 1), "I": (0, 1), "P": (3, 6), "Si": (3, 6), "S": (1, 4),
    "C": (1, 4), "N": (1, 4), "O": (0, 2), "Na": (0, 8), "K": (0, 8),
}  # fmt: skip
_UNUSUAL_NEIGHBOURS = 3.0  # cost of a number of neighbours outside that range


@dataclass(frozen=True, eq=False)
class Assignment:
    """Elements of atoms.

    Attributes
    ----------
    number
        Atomic numbers, shape (n,).
    scale
        Factor by which the scattering powers have to be multiplied to be those of the elements.
    cost
        Negative log likelihood.
    """

    number: NDArray[np.int64]
    scale: float
    cost: float


def assign_elements(
    power: NDArray[np.float64],
    expected: Mapping[str, float],
    neighbours: NDArray[np.int64],
    composition: Mapping[str, int] | None = None,
) -> Assignment:
    """Choose the most likely elements of atoms.

    Scattering powers have normal errors and a common unknown factor, which is fitted. Numbers of
    neighbours weigh in where elements scatter alike. With a composition, each element is taken at
    most as often as it contains it: an assignment problem, solved by the Hungarian algorithm
    (`scipy.optimize.linear_sum_assignment`). Atoms that do not fit it at all, such as of solvent,
    are C, N or O beyond it.

    Parameters
    ----------
    power
        Scattering power of the atoms, shape (n,), on any scale near that of `expected`.
    expected
        Scattering power of each element, nitrogen's about 7: of those in `composition`, or else of
        those in `USUAL`; and of those in `COMMON`.
    neighbours
        Number of bonded neighbours of each atom, shape (n,).
    composition
        Atoms by element, hydrogen left out; None if unknown.
    """
    names = list(USUAL if composition is None else dict.fromkeys((*composition, *COMMON)))
    numbers = np.array([gemmi.Element(name).atomic_number for name in names], dtype=np.int64)
    of_element = np.array([expected[name] for name in names])
    weight = USUAL if composition is None else composition
    commonest = expected[max(weight, key=lambda name: weight[name])]
    geometry = _geometry(names, neighbours)
    isolated, oxygen = neighbours == 0, names.index("O")
    best: Assignment | None = None
    for scale in _SCALES * commonest / max(float(np.median(power)), 1e-6):
        cost = _misfit(power * scale, of_element) + geometry
        # an atom on its own is of water, which may be there in part only
        cost[isolated, oxygen] = _misfit(
            np.maximum(power[isolated] * scale, expected["O"]), of_element[oxygen : oxygen + 1]
        )[:, 0]
        if composition is None:
            found, total = _unconstrained(cost - np.log([USUAL[name] for name in names]))
        else:
            found, total = _constrained(cost, names, composition)
        # likelihood of the powers as they are given
        total -= len(power) * math.log(scale)
        if best is None or total < best.cost:
            best = Assignment(numbers[found], scale, total)
    assert best is not None
    return best


def _misfit(power: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    """Negative log likelihood of each power (n,) for each element (e,), shape (n, e)."""
    error = np.hypot(_ERROR, _RELATIVE_ERROR * expected)
    return np.asarray(0.5 * ((power[:, None] - expected) / error) ** 2 + np.log(error))


def _geometry(names: list[str], neighbours: NDArray[np.int64]) -> NDArray[np.float64]:
    """Cost of the number of neighbours for each element, shape (n, e)."""
    ranges = np.array([_NEIGHBOURS.get(name, (0, 99)) for name in names])
    outside = (neighbours[:, None] < ranges[:, 0]) | (neighbours[:, None] > ranges[:, 1])
    return np.where(outside, _UNUSUAL_NEIGHBOURS, 0.0)


def _unconstrained(cost: NDArray[np.float64]) -> tuple[NDArray[np.int64], float]:
    """Column of the likeliest element of each atom, and the cost of all."""
    return cost.argmin(axis=1), -float(np.logaddexp.reduce(-cost, axis=1).sum())


def _constrained(
    cost: NDArray[np.float64], names: list[str], composition: Mapping[str, int]
) -> tuple[NDArray[np.int64], float]:
    """Columns of elements that are at most as many as in the composition, and the cost of all."""
    counts = [composition.get(name, 0) for name in names]
    slots = np.repeat(np.arange(len(names)), counts)
    common = [names.index(name) for name in COMMON]
    surplus = cost[:, common].min(axis=1) + _SURPLUS
    full = np.concatenate((cost[:, slots], np.tile(surplus[:, None], len(cost))), axis=1)
    from scipy.optimize import linear_sum_assignment  # a fifth of a second to load

    row, column = linear_sum_assignment(full)
    found = np.array(common)[cost[:, common].argmin(axis=1)]
    within = column < len(slots)
    found[row[within]] = slots[column[within]]
    return found, float(full[row, column].sum())
