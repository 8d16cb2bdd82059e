"""What the values of a column say about its content, where its label and type may be wrong."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.io.reflection_table import Column

#: Above this fraction of negative values a column holds no amplitudes.
MAX_NEGATIVE: Final = 0.01
#: Fewer common reflections than this prove nothing.
_FEW: Final = 50
#: Least rank correlation of amplitudes with intensities of the same crystal. Other wavelengths and
#: derivatives have more than twice as much, differences next to nothing.
_LEAST_CORRELATION: Final = 0.3
#: Relative precision of a difference of two columns of the same file, and the fraction of its rows.
_PRECISION: Final = 2e-5
_ALMOST_ALL: Final = 0.95


def is_signed(column: Column) -> bool:
    """Test for more negative values than a column of amplitudes can have."""
    values = column.values[np.isfinite(column.values)]
    return len(values) > 0 and bool((values < 0).sum() > MAX_NEGATIVE * len(values))


def difference_of(column: Column, columns: Sequence[Column]) -> tuple[Column, Column] | None:
    """Find two columns of amplitudes whose difference, with or without sign, a column is."""
    size = np.abs(column.values)
    amplitudes = [c for c in columns if c.type in "FG" and c is not column]
    for one, other in itertools.combinations(amplitudes, 2):
        total = np.abs(one.values) + np.abs(other.values)
        there = np.isfinite(size) & np.isfinite(total) & (total > 0)
        if there.sum() < _FEW or not (size[there] > _PRECISION * total[there]).any():
            continue
        miss = np.abs(size - np.abs(one.values - other.values))[there]
        # a difference of zero is no evidence
        if (miss <= _PRECISION * total[there]).mean() >= _ALMOST_ALL:
            return one, other
    return None


def disagrees_with(column: Column, columns: Sequence[Column]) -> Column | None:
    """Find measured intensities, or Friedel mates, with which a column of amplitudes does not go.

    Returns
    -------
    The first one of the same data set if none has a rank correlation of 0.3, else None.
    """
    measured = [
        c for c in columns if c.type in "JGK" and c is not column and c.datasets == column.datasets
    ]
    found = [(c, _correlation(column.values, c.values)) for c in measured]
    known = [(c, r) for c, r in found if r is not None]
    if not known or max(r for _, r in known) >= _LEAST_CORRELATION:
        return None
    return known[0][0]


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    there = np.isfinite(one) & np.isfinite(other)
    if there.sum() < _FEW or np.ptp(one[there]) == 0 or np.ptp(other[there]) == 0:
        return None
    from scipy.stats import spearmanr  # takes a quarter of a second to load, seldom needed

    return float(spearmanr(one[there], other[there]).statistic)
