"""Completeness of the data, overall and in resolution shells."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.possible_reflections import check_possible
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.resolution import LIMIT_TOLERANCE, resolution_shells

_MAX_SHELLS = 10
_PER_SHELL = 20
_SAME_D = 1e-6  # relative


@dataclass(frozen=True)
class Shell:
    """One resolution shell, `d_max` >= d > `d_min` (A): measured out of possible reflections.

    `i_over_sigma` is the mean of I / sigma(I) = F / (2 sigma(F)) over the measured reflections,
    None where no uncertainty is known.
    """

    d_max: float
    d_min: float
    measured: int
    possible: int
    i_over_sigma: float | None = None

    @property
    def completeness(self) -> float:
        """Fraction measured, 0 to 1."""
        return self.measured / max(self.possible, 1)


@dataclass(frozen=True)
class Completeness:
    """Unique reflections of the space group to the data's d_min, absences and F(000) left out.

    Attributes
    ----------
    measured, possible
        Numbers of unique reflections.
    shells
        From low to high resolution, equally many possible reflections in each.
    """

    measured: int
    possible: int
    shells: tuple[Shell, ...]

    @property
    def overall(self) -> float:
        """Fraction measured, 0 to 1."""
        return self.measured / max(self.possible, 1)


def completeness(data: CrystalData, n_shells: int | None = None) -> Completeness:
    """Count unique reflections, overall and in shells; Friedel mates are one reflection.

    Parameters
    ----------
    data
        The crystal; without measured reflections the fractions are zero.
    n_shells
        By default 10, fewer where a shell would hold less than 20.

    Raises
    ------
    InputError
        If too many reflections are possible to be listed (`check_possible`).
    """
    if not data.measured.any():
        return Completeness(0, 0, ())
    check_possible(data.source, data.cell, data.space_group, data.hkl[data.measured])
    # the limit itself must be inside, whichever way its d was rounded
    limit = data.d_min / np.sqrt(1 + LIMIT_TOLERANCE)
    possible = gemmi.make_miller_array(data.cell, data.space_group, limit)
    d_possible = np.asarray(data.cell.calculate_d_array(possible), dtype=np.float64)
    d_measured = data.d[data.measured]
    ratios = _i_over_sigma(data)
    parts = resolution_shells(
        d_possible**-2.0, per_shell=_PER_SHELL, most=_MAX_SHELLS, n_shells=n_shells
    )
    # the same borders for both, so that reflections of equal d are never torn apart
    last = [d_possible[part[-1]] * (1 - _SAME_D) for part in parts]
    shells = []
    for high, low in itertools.pairwise([np.inf, *last]):
        part = d_possible[(d_possible <= high) & (d_possible > low)]
        if len(part):
            inside = (d_measured <= high) & (d_measured > low)
            shells.append(
                Shell(
                    float(part.max()),
                    float(part.min()),
                    int(inside.sum()),
                    len(part),
                    _mean_ratio(ratios[inside]),
                )
            )
    return Completeness(len(d_measured), len(d_possible), tuple(shells))


def _i_over_sigma(data: CrystalData) -> NDArray[np.float64]:
    """I / sigma(I) of the measured reflections, NaN where the uncertainty is unknown or zero."""
    f = data.f[data.measured]
    ratios = np.full(len(f), np.nan)
    if data.sigf is not None:
        sigf = data.sigf[data.measured]
        known = np.isfinite(sigf) & (sigf > 0)
        ratios[known] = f[known] / (2 * sigf[known])
    return ratios


def _mean_ratio(ratios: NDArray[np.float64]) -> float | None:
    known = ratios[np.isfinite(ratios)]
    return float(known.mean()) if len(known) else None
