"""The L-test for twinning (Padilla & Yeates, Acta Cryst. D59, 1124, 2003).

L = (I1 - I2) / (I1 + I2) of two reflections near each other in reciprocal space. For untwinned
acentric reflections |L| is uniform: <|L|> = 1/2, <L^2> = 1/3; for a perfect twin 3/8 and 1/5.
Both members of a pair differ by even indices only, so that a pseudo-translation by half a lattice
vector, which makes every other reflection weak, changes nothing; being neighbours, they share the
anisotropy. Differences with |dh| + |dk| + |dl| of 2 and 4 are used.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.merging import group_equivalents
from crysformer.crystal.miller import MillerLookup
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.symmetry import p1_mapping

#: One of each pair of opposite difference vectors.
DIFFERENCES = tuple(
    d
    for d in itertools.product((-4, -2, 0, 2, 4), repeat=3)
    if d > (0, 0, 0) and sum(map(abs, d)) <= 4
)
#: Of more reflections every second, third ... is compared with its neighbours.
_MOST_COMPARED = 200_000


@dataclass(frozen=True)
class LTest:
    """Result of the L-test.

    Attributes
    ----------
    pairs
        How many pairs of acentric reflections.
    mean_abs, error
        <|L|> and its standard uncertainty. Pairs that share a reflection are not independent,
        which is accounted for.
    mean_square
        <L^2>.
    twin_fraction
        Of the smaller domain, 0 to 0.5, that would give this <|L|> with exact data and a twin law
        that relates unrelated reflections.
    """

    pairs: int
    mean_abs: float
    error: float
    mean_square: float
    twin_fraction: float


def l_test(
    data: CrystalData, e_squared: NDArray[np.float64], use: NDArray[np.bool_]
) -> LTest | None:
    """Padilla & Yeates' test on acentric reflections.

    Parameters
    ----------
    data
        The crystal.
    e_squared
        Normalised intensities, shape (n,).
    use
        Which reflections to take, shape (n,); centric ones and those without E^2 never count.

    Returns
    -------
    LTest, or None if there are fewer than 10 pairs.
    """
    centric = np.asarray(data.space_group.operations().centric_flag_array(data.hkl), dtype=bool)
    use = use & ~centric & np.isfinite(e_squared)
    first, second = neighbours(data, use)
    total = e_squared[first] + e_squared[second]
    first, second, total = first[total > 0], second[total > 0], total[total > 0]
    n = len(first)
    if n < 10:
        return None
    size = np.abs(e_squared[first] - e_squared[second]) / total
    mean = float(size.mean())
    rest = (size - mean) / n
    of_one = np.bincount(first, rest, len(data)) + np.bincount(second, rest, len(data))
    # pairs with a common member: each member's sum squared counts every pair itself twice
    variance = max(float(of_one @ of_one - rest @ rest), float(rest @ rest))
    return LTest(
        pairs=n,
        mean_abs=mean,
        error=float(np.sqrt(variance)),
        mean_square=float(np.mean(size**2)),
        twin_fraction=twin_fraction(mean),
    )


def neighbours(
    data: CrystalData, use: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of rows (i, j) that are neighbours, each once; rows that symmetry relates never are.

    Of very many rows every second, third ... is compared with its neighbours: enough pairs for any
    statistics.
    """
    rows = np.flatnonzero(use)
    if len(rows) == 0:
        return rows, rows
    lookup = MateLookup(data, rows)
    # from the reflections as listed: their mates would only give the same pairs again
    some = rows[:: 1 + len(rows) // _MOST_COMPARED]
    one, other = [], []
    for difference in DIFFERENCES:
        for sign in (1, -1):
            found = lookup.rows(data.hkl[some] + sign * np.array(difference))
            one.append(some[found >= 0])
            other.append(found[found >= 0])
    return distinct_pairs(data, np.concatenate(one), np.concatenate(other))


class MateLookup:
    """Rows of the data by the Miller index of any symmetry or Friedel mate.

    Parameters
    ----------
    data
        The crystal.
    rows
        Rows that count, shape (k,).
    """

    def __init__(self, data: CrystalData, rows: NDArray[np.int64]) -> None:
        mapping = p1_mapping(data.hkl[rows], data.space_group)
        self._lookup = MillerLookup(np.concatenate([mapping.hkl, -mapping.hkl]))
        self._row = np.append(np.tile(rows[mapping.parent], 2), -1)  # the last one: not found

    def rows(self, hkl: NDArray[np.integer]) -> NDArray[np.int64]:
        """Row that each index, shape (n, 3), is a mate of, or -1 if it is none's: shape (n,)."""
        return np.asarray(self._row[self._lookup.rows(hkl)])


def distinct_pairs(
    data: CrystalData, one: NDArray[np.int64], other: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each unordered pair of rows once, without those of symmetry equivalents."""
    code = np.sort(np.minimum(one, other) * len(data) + np.maximum(one, other))
    code = code[np.append(True, np.diff(code) > 0)[: len(code)]]
    first, second = np.divmod(code, len(data))
    group = group_equivalents(data.hkl, data.space_group)[1]
    apart = group[first] != group[second]
    return first[apart], second[apart]


def expected_mean_abs(fraction: float) -> float:
    """<|L|> of an acentric twin whose smaller domain has this fraction, 0 to 0.5.

    Each intensity is a sum of two independent exponentials with weights 1 - a and a, whose
    distribution is a combination of two exponentials; P(L < l) follows term by term.
    """
    a = min(max(fraction, 1e-9), 0.5 - 1e-4)  # limits are smooth, the partial fractions are not
    means = np.array([1 - a, a])
    weights = np.array([1 - a, -a]) / (1 - 2 * a)
    l = np.linspace(0, 1, 401)[:, None, None]  # noqa: E741
    smaller, larger = means[:, None] * (1 - l), means[None, :] * (1 + l)
    below = np.einsum("i,j,lij->l", weights, weights, larger / (smaller + larger))
    return float(np.trapezoid(2 * (1 - below), l[:, 0, 0]))


def twin_fraction(mean_abs: float) -> float:
    """The inverse of `expected_mean_abs`, within 0 to 0.5."""
    fractions = np.linspace(0, 0.5, 51)
    expected = np.array([expected_mean_abs(x) for x in fractions])
    return float(np.interp(-mean_abs, -expected, fractions))
