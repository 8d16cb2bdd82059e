"""Resolution limits of the signal, over all directions and along the axes of anisotropy."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.operators import operators
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.resolution import resolution_shells

#: Mean I / sigma of a shell above which the distribution of intensities can be trusted ...
STRONG = 3.0
#: ... and above which it counts as signal along an axis.
SIGNAL = 2.0
_CONE = np.cos(np.deg2rad(30.0))
_MAX_SHELLS = 20
_PER_SHELL = 20


def signal_limit(
    data: CrystalData, use: NDArray[np.bool_], ratio: float, per_shell: int = 50
) -> float | None:
    """Resolution (A) of the last shell before mean I / sigma(I) falls below `ratio`.

    I / sigma(I) is F / (2 sigma(F)). Shells hold equally many of the measured reflections that
    `use`, shape (n,), picks; the first that is too weak ends the count.

    Returns
    -------
    The limit, infinite if already the first shell is too weak; None without uncertainties or
    without reflections.
    """
    if data.sigf is None:
        return None
    used = use & data.measured & np.isfinite(data.sigf)
    if not used.any():
        return None
    d = data.d
    limit = np.inf
    for shell in resolution_shells(d**-2.0, per_shell=per_shell, most=_MAX_SHELLS, used=used):
        if np.mean(data.f[shell] / (2 * data.sigf[shell])) < ratio:
            break
        limit = float(d[shell].min())
    return limit


@dataclass(frozen=True)
class AxisLimit:
    """Resolution within 30 degrees of an axis, A.

    Attributes
    ----------
    signal
        Limit at a mean I / sigma(I) of 2, as `signal_limit`.
    measured
        Limit of the measured reflections.
    """

    signal: float
    measured: float


def directional_limits(data: CrystalData, axes: NDArray[np.float64]) -> list[AxisLimit | None]:
    """Resolution limits around each axis.

    Parameters
    ----------
    data
        The crystal.
    axes
        Cartesian unit vectors, shape (m, 3).

    Returns
    -------
    One an axis; None where a cone holds no reflections, or without uncertainties.
    """
    inside = np.zeros((len(axes), len(data)), dtype=bool)
    for rotation in operators(data.space_group).rotations:
        s = data.hkl @ rotation @ data.to_frac
        inside |= np.abs(axes @ s.T) > _CONE * np.linalg.norm(s, axis=1)
    found = []
    for cone in inside:
        signal = signal_limit(data, cone, SIGNAL, _PER_SHELL)
        measured = data.d[cone & data.measured]
        found.append(None if signal is None else AxisLimit(signal, float(measured.min())))
    return found
