"""Normalised amplitudes E, the Wilson plot, and sharpening."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.reflections import CrystalData, Radiation
from crysformer.crystal.resolution import resolution_shells
from crysformer.crystal.scattering_factors import form_factors, gaussian_coefficients
from crysformer.errors import InputError
from crysformer.wording import counted

# Mean composition of a residue of a protein, hydrogens left out.
PROTEIN_RESIDUE: Mapping[str, float] = {"C": 4.95, "N": 1.36, "O": 1.49, "S": 0.04}
_PER_SHELL = 50
_MAX_SHELLS = 30
_ROUNDS = 20
# The Wilson plot of proteins is straight only beyond this resolution (A).
_WILSON_D_MAX = 3.5
# Usual mean B (A^2): the least of crystals measured to _ATOMIC_D_MIN (A), of others, and the most.
_COLD_B, _LEAST_B, _MOST_B = 0.3, 3.0, 80.0
_ATOMIC_D_MIN = 1.25


def epsilon_factors(hkl: NDArray[np.int32], space_group: gemmi.SpaceGroup) -> NDArray[np.float64]:
    """Statistical weights epsilon of reflections, shape (n,), centring left out."""
    operations = space_group.operations()
    return np.asarray(operations.epsilon_factor_without_centering_array(hkl), dtype=np.float64)


def normalized_amplitudes(
    f: NDArray[np.float64],
    d: NDArray[np.float64],
    epsilon: NDArray[np.float64] | None = None,
    n_shells: int | None = None,
) -> NDArray[np.float64]:
    """Normalised amplitudes E = F / sqrt(epsilon <F^2 / epsilon>), with <E^2> = 1 in shells.

    The mean intensity is a curve through equally filled shells, log-linear in 1/d^2 between their
    centres and beyond the outer ones, so that E has no steps at shell limits. The curve's nodes
    are adjusted until the mean of E^2 in every shell is one.

    Parameters
    ----------
    f
        Amplitudes, shape (n,); NaN where not measured.
    d
        Resolution, A, shape (n,).
    epsilon
        Statistical weights, shape (n,), by default one (P1).
    n_shells
        By default one for every 50 reflections, at most 30.

    Returns
    -------
    numpy.ndarray
        E, shape (n,); NaN where `f` is.

    Raises
    ------
    InputError
        If there is no amplitude above zero.
    """
    s_sq = np.asarray(d, dtype=np.float64) ** -2
    intensity = np.square(f) / (1.0 if epsilon is None else epsilon)
    used = np.isfinite(intensity) & np.isfinite(s_sq)
    if not np.any(intensity[used] > 0):
        raise InputError("no amplitude above zero to normalise; check the columns that were read")
    shells = resolution_shells(
        s_sq,
        per_shell=_PER_SHELL,
        most=_MAX_SHELLS,
        used=used,
        n_shells=None if n_shells is None else min(n_shells, int(used.sum())),
    )
    centres = np.array([s_sq[shell].mean() for shell in shells])
    floor = 1e-12 * intensity[used].mean()
    nodes = np.log([max(intensity[shell].mean(), floor) for shell in shells])
    for _ in range(_ROUNDS):
        curve = np.exp(_interpolate(s_sq, centres, nodes))
        means = np.array([(intensity[shell] / curve[shell]).mean() for shell in shells])
        if np.allclose(means, 1.0, atol=1e-6):
            break
        nodes = nodes + np.log(np.maximum(means, 1e-3))
    return np.sqrt(intensity / np.exp(_interpolate(s_sq, centres, nodes)))


def _interpolate(
    x: NDArray[np.float64], centres: NDArray[np.float64], nodes: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Piecewise linear through (centres, nodes), the outer pieces continued."""
    distinct = np.concatenate([[True], np.diff(centres) > 0])
    centres, nodes = centres[distinct], nodes[distinct]
    if len(centres) == 1:
        return np.full_like(x, nodes[0])
    piece = np.clip(np.searchsorted(centres, x) - 1, 0, len(centres) - 2)
    fraction = (x - centres[piece]) / (centres[piece + 1] - centres[piece])
    return np.asarray(nodes[piece] + fraction * (nodes[piece + 1] - nodes[piece]))


def normalized_e(data: CrystalData, n_shells: int | None = None) -> NDArray[np.float64]:
    """E of every reflection of `data`, shape (n,), NaN where not measured and at F(000).

    See `normalized_amplitudes`; epsilon is taken from the space group. Normalise before expanding
    to P1.
    """
    f = np.where(data.measured, data.f, np.nan)
    return normalized_amplitudes(f, data.d, epsilon_factors(data.hkl, data.space_group), n_shells)


@dataclass(frozen=True)
class WilsonFit:
    """F_observed ~ scale * F_absolute, whose atoms have B = `b_iso` (A^2) on average.

    Attributes
    ----------
    scale, b_iso
        The straight line.
    b_error
        Standard uncertainty of `b_iso` from the scatter of the points around it, A^2.
    d_max, d_min
        Resolution of the reflections used, A.
    """

    scale: float
    b_iso: float
    b_error: float
    d_max: float
    d_min: float

    @property
    def usual_b(self) -> tuple[float, float]:
        """Range of the mean B of ordinary crystals at this resolution, A^2.

        Crystals at 100 K that diffract to 1.2 A or better have 0.6 to 2 A^2; at lower resolution
        so small a value is due to few reflections, or to scattering factors that do not apply.
        """
        return least_b(self.d_min), _MOST_B


def least_b(d_min: float) -> float:
    """Least usual B of crystals that diffract to `d_min` (A), A^2; see `WilsonFit.usual_b`."""
    return _COLD_B if d_min <= _ATOMIC_D_MIN else _LEAST_B


def wilson_b(
    data: CrystalData,
    composition: Mapping[str, float] = PROTEIN_RESIDUE,
    n_shells: int | None = None,
) -> WilsonFit:
    """Scale and mean B from the Wilson plot: <F^2 / epsilon> = scale^2 sum f^2 exp(-B / 2 d^2).

    Reflections beyond 3.5 A are used where there are at least 50, otherwise all. The scale is
    absolute only if `composition` is the content of the whole unit cell.

    Parameters
    ----------
    data
        The crystal.
    composition
        Atoms by element.
    n_shells
        Points of the plot; by default one for every 50 reflections, 3 to 30.

    Raises
    ------
    InputError
        If fewer than three reflections are measured.
    """
    used = data.measured & (data.f > 0)
    s_sq = data.d**-2.0
    if int((used & (data.d < _WILSON_D_MAX)).sum()) >= _PER_SHELL:
        used &= data.d < _WILSON_D_MAX
    count = int(used.sum())
    if count < 3:
        raise InputError(
            f"{data.source}: {counted(count, 'amplitude')} above zero, a Wilson plot needs 3"
        )
    epsilon = epsilon_factors(data.hkl, data.space_group)
    ratio = data.f**2 / epsilon / sum_of_squares(composition, s_sq, data.radiation)
    shells = resolution_shells(
        s_sq, per_shell=_PER_SHELL, most=_MAX_SHELLS, least=3, used=used, n_shells=n_shells
    )
    x = [s_sq[shell].mean() for shell in shells]
    y = [np.log(ratio[shell].mean()) for shell in shells]
    (slope, intercept), covariance = np.polyfit(x, y, 1, cov=True)
    return WilsonFit(
        scale=float(np.exp(intercept / 2)),
        b_iso=float(-2 * slope),
        b_error=float(2 * np.sqrt(covariance[0, 0])),
        d_max=float(data.d[used].max()),
        d_min=float(data.d[used].min()),
    )


def sum_of_squares(
    composition: Mapping[str, float], d_star_sq: NDArray[np.float64], radiation: Radiation = "xray"
) -> NDArray[np.float64]:
    """Sum of f^2 over atoms at rest: the expected intensity of randomly placed atoms, (n,)."""
    a, b = gaussian_coefficients(radiation)
    numbers = [gemmi.Element(name).atomic_number for name in composition]
    f = form_factors(a[numbers], b[numbers], np.atleast_1d(d_star_sq).astype(np.float64))
    return np.asarray(np.array(list(composition.values())) @ f**2)


def sharpen(f: NDArray[np.float64], d: NDArray[np.float64], b_iso: float) -> NDArray[np.float64]:
    """Amplitudes with `b_iso` (A^2) taken away from all atoms: F exp(+B / 4 d^2), shape (n,)."""
    return np.asarray(f * np.exp(0.25 * b_iso * np.asarray(d) ** -2.0))
