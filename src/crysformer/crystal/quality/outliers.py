"""Reflections far too strong for their place: outliers of Wilson's distribution.

A spot of ice or salt, a neighbour's tail, or a slip of a digit gives one reflection an intensity
that no crystal of random atoms has. The probability of an E as large, exp(-E^2) acentric and
erfc(E / sqrt 2) centric (Wilson, Acta Cryst. 2, 318, 1949), exposes it (Read, Acta Cryst. D55,
1759, 1999). Regular structures have strong reflections in earnest, strands at 4.8 A for one, and so
do crystals of a few heavy atoms: a flag is a suspicion, and no measurement is discarded for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfc

from crysformer.crystal.quality.anisotropy import fit_anisotropy
from crysformer.crystal.quality.translational_ncs import PattersonPeak, patterson_peak
from crysformer.crystal.reflections import CrystalData

#: Probability of an E as large below which a reflection is suspected (Read, 1999).
PROBABILITY: Final = 1e-6
#: Probability below which it is more than a suspicion: acentric E above 5.3, centric above 7.1.
_WILD: Final = 1e-12
#: A pseudo-translation counts from this height of its Patterson peak, and this many errors.
_TNCS_HEIGHT: Final = 0.2
_TNCS_ERRORS: Final = 5.0
#: Outliers raise the expected intensities around them and hide others: so many rounds at most.
_ROUNDS: Final = 20
#: More than this fraction are no outliers, but a distribution that is not Wilson's.
_MOST: Final = 0.02
_FEW: Final = 30
_NAMED: Final = 5


@dataclass(frozen=True, eq=False)
class Outliers:
    """Suspected reflections, the least probable first.

    Attributes
    ----------
    rows
        Rows of the data, shape (k,).
    hkl, d
        Their Miller indices, shape (k, 3), and resolution, A, shape (k,).
    e
        Normalised amplitudes, from the expected intensities without them, shape (k,).
    probability
        Of an E as large, shape (k,).
    """

    rows: NDArray[np.int64]
    hkl: NDArray[np.int32]
    d: NDArray[np.float64]
    e: NDArray[np.float64]
    probability: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.rows)

    def flags(self, n: int) -> NDArray[np.bool_]:
        """Flags of the rows, shape (n,)."""
        flags = np.zeros(n, dtype=bool)
        flags[self.rows] = True
        return flags

    def names(self, which: NDArray[np.bool_] | None = None) -> str:
        """Indices, E and resolution of them all, or of those `which` marks, in words."""
        chosen = range(len(self)) if which is None else np.flatnonzero(which)
        words = [
            f"({' '.join(map(str, self.hkl[i]))}) E {self.e[i]:.1f} at {self.d[i]:.2f} A"
            for i in chosen[:_NAMED]
        ]
        if len(chosen) > _NAMED:
            words.append(f"{len(chosen) - _NAMED} more")
        return ", ".join(words)

    def lines(self) -> list[str]:
        """What is suspected, in a line for a report; none where nothing is."""
        if not len(self):
            return []
        return [
            f"less probable than {PROBABILITY:g}: {self.names()}; left out at the start of a "
            "search, restored where its solution explains them"
        ]

    def warning(self) -> str | None:
        """One sentence on reflections that no structure is likely to have; None without."""
        wild = self.probability < _WILD
        if not wild.any():
            return None
        return (
            f"far too strong for Wilson's distribution: {self.names(wild)}; "
            "wrong measurements, unless the structure is very regular or has heavy atoms"
        )


def wilson_outliers(data: CrystalData) -> Outliers:
    """Find reflections with an E less probable than 1e-6.

    Expected intensities depend on resolution, direction and a pseudo-translation where there is
    one; the outliers do not take part in their estimate. None are named where the distribution as
    a whole is not Wilson's: with too few reflections, or too many outliers.
    """
    none = np.zeros(len(data), dtype=bool)
    measured = data.measured
    n = int(measured.sum())
    if int((data.f[measured] > 0).sum()) < _FEW:
        return _outliers(data, none, np.full(len(data), np.nan), np.ones(len(data)))
    centric = np.asarray(data.space_group.operations().centric_flag_array(data.hkl), dtype=bool)
    flagged = none
    for _ in range(_ROUNDS):
        kept = data.select(~flagged)
        e_squared = fit_anisotropy(data, flagged, _translation(kept)).e_squared
        probability = np.ones(len(data))
        with np.errstate(under="ignore"):
            e2 = np.nan_to_num(e_squared)
            probability = np.where(centric, erfc(np.sqrt(e2 / 2)), np.exp(-e2))
        found = measured & (probability < PROBABILITY)
        # the strongest first: what it alone made to look improbable is looked at again
        found &= flagged | (e2 > np.max(e2, where=~flagged, initial=0.0) / 4)
        if found.sum() > max(_MOST * n, 1):
            return _outliers(data, none, e_squared, probability)
        if (found == flagged).all():
            break
        flagged = found
    return _outliers(data, flagged, e_squared, probability)


def without_outliers(data: CrystalData, outliers: Outliers) -> CrystalData:
    """The same crystal, in which the suspected reflections count as not measured."""
    if not len(outliers):
        return data
    return replace(data, f=np.where(outliers.flags(len(data)), np.nan, data.f))


def _translation(data: CrystalData) -> NDArray[np.float64] | None:
    peak = patterson_peak(data)
    if not isinstance(peak, PattersonPeak):
        return None
    if peak.height < max(_TNCS_HEIGHT, _TNCS_ERRORS * peak.error):
        return None
    return np.array(peak.vector)


def _outliers(
    data: CrystalData,
    flags: NDArray[np.bool_],
    e_squared: NDArray[np.float64],
    probability: NDArray[np.float64],
) -> Outliers:
    rows = np.flatnonzero(flags)
    rows = rows[np.argsort(probability[rows], kind="stable")]
    return Outliers(
        rows=rows,
        hkl=data.hkl[rows],
        d=data.d[rows],
        e=np.sqrt(e_squared[rows]),
        probability=probability[rows],
    )
