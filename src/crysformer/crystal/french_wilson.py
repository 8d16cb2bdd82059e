"""Amplitudes from measured intensities by the method of French & Wilson (1978).

A measured intensity I with standard uncertainty sigma can be negative; the true J cannot. With
Wilson's distribution as the prior of J, the posterior is a normal density of mean
I - sigma^2/Sigma (acentric) or I - sigma^2/(2 Sigma) (centric), cut off below J = 0, in the
centric case divided by sqrt(J). Sigma is the mean intensity expected at that resolution. The
amplitude is the posterior mean of sqrt(J).

French, S. & Wilson, K. (1978). Acta Cryst. A34, 517-525.
"""

from __future__ import annotations

from typing import Final

import gemmi
import numpy as np
from numpy.typing import NDArray
from scipy.special import gamma, pbdv

from crysformer.crystal.resolution import resolution_shells

#: Measurements this many sigma below zero are errors, not weak reflections.
REJECT_BELOW: Final = -4.0

#: Reflections in a resolution shell, and the largest number of shells.
_PER_SHELL: Final = 50
_MAX_SHELLS: Final = 60
#: Multiple of the mean intensity that Wilson's distribution does not reach (p 1e-13 acentric).
_IMPOSSIBLE: Final = 30.0
#: Multiples of the expected intensity, acentric and centric, less probable than 1e-6, and
#: uncertainties by which a measurement must be above them to refute the prior.
_REFUTES: Final = (13.8, 23.9)
_REFUTES_SIGMAS: Final = 3.0
#: Rounds in which the weights of a shell's measurements follow its mean.
_ROUNDS: Final = 10
#: Beyond this |h| the integrals are taken from their asymptotic series (error < 1e-8).
_ASYMPTOTIC: Final = 25.0


def french_wilson(
    intensity: NDArray[np.float64],
    sigma: NDArray[np.float64],
    hkl: NDArray[np.int32],
    cell: gemmi.UnitCell,
    space_group: gemmi.SpaceGroup,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Best amplitudes and their uncertainties from merged intensities.

    Anisotropy of the diffraction is not modelled: Sigma depends on the resolution alone. Where a
    measurement refutes the prior, being too strong for Wilson's distribution beyond its
    uncertainty, the amplitude is the square root of what was measured.

    Parameters
    ----------
    intensity
        Measured I, shape (n,), any scale; NaN where not measured.
    sigma
        Standard uncertainties, shape (n,), positive wherever `intensity` is finite.
    hkl
        Miller indices, shape (n, 3), one row for each unique reflection, none of them
        systematically absent where measured.
    cell, space_group
        Of the crystal.

    Returns
    -------
    f, sigf
        Shape (n,), NaN where not measured or rejected (I < `REJECT_BELOW` sigma).
    """
    f = np.full(len(intensity), np.nan)
    sigf = np.full(len(intensity), np.nan)
    use = np.isfinite(intensity) & (intensity >= REJECT_BELOW * sigma)
    if not use.any():
        return f, sigf
    hkl = np.ascontiguousarray(hkl[use], dtype=np.int32)
    operations = space_group.operations()
    epsilon = np.asarray(operations.epsilon_factor_without_centering_array(hkl), dtype=np.float64)
    centric = np.asarray(operations.centric_flag_array(hkl), dtype=bool)
    inverse_d_sq = np.asarray(cell.calculate_1_d2_array(hkl), dtype=np.float64)

    value, error = intensity[use], sigma[use]
    expected = epsilon * mean_intensity(value / epsilon, inverse_d_sq, error / epsilon)
    h = value / error - error / (np.where(centric, 2.0, 1.0) * expected)
    amplitude, spread, _ = posterior(h, centric)
    limit = np.where(centric, _REFUTES[1], _REFUTES[0]) * expected
    refuted = value - _REFUTES_SIGMAS * error > limit
    root = np.sqrt(np.where(refuted, value, 1.0))
    f[use] = np.where(refuted, root, amplitude * np.sqrt(error))
    sigf[use] = np.where(refuted, error / (2 * root), spread * np.sqrt(error))
    return f, sigf


def mean_intensity(
    intensity: NDArray[np.float64],
    inverse_d_sq: NDArray[np.float64],
    sigma: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Expected intensity at each reflection's resolution, shape (n,).

    Means over shells of equally many reflections, joined by straight lines in ln(mean) against
    1/d^2. With uncertainties each measurement counts as much as it says about the mean: its
    variance is that of Wilson's distribution plus its own. The mean of a shell without signal is
    replaced by its own standard error, so that the prior stays proper.

    Parameters
    ----------
    intensity
        I / epsilon, shape (n,), finite.
    inverse_d_sq
        1/d^2 in A^-2, shape (n,).
    sigma
        Standard uncertainties of `intensity`, shape (n,), positive; without them all count alike.
    """
    shells = resolution_shells(inverse_d_sq, per_shell=_PER_SHELL, most=_MAX_SHELLS)
    centres = np.empty(len(shells))
    means = np.empty(len(shells))
    for i, shell in enumerate(shells):
        centres[i] = inverse_d_sq[shell].mean()
        if sigma is None:
            mean, floor = intensity[shell].mean(), intensity[shell].std() / np.sqrt(len(shell))
        else:
            mean, floor = _weighted_mean(intensity[shell], sigma[shell])
        means[i] = max(mean, floor, np.finfo(np.float64).tiny)
    return np.exp(np.interp(inverse_d_sq, centres, np.log(means)))


def _weighted_mean(
    intensity: NDArray[np.float64], sigma: NDArray[np.float64]
) -> tuple[float, float]:
    """Mean of a shell and its standard error, with weights 1 / (mean^2 + sigma^2).

    Without impossible intensities, of which one would be the mean of all others.
    """
    spread = float(np.median(sigma))
    usual = max(float(np.median(intensity)) / np.log(2), spread / np.sqrt(len(intensity)))
    possible = intensity < _IMPOSSIBLE * usual
    intensity, sigma = intensity[possible], sigma[possible]
    # from the ordinary uncertainty, the weights come to rest within a few rounds
    mean, error = 0.0, 0.0
    for _ in range(_ROUNDS):
        weight = 1.0 / (spread**2 + sigma**2)
        error = float(1.0 / np.sqrt(weight.sum()))
        mean = float((weight * intensity).sum() / weight.sum())
        spread = max(mean, error)
    return mean, error


def posterior(
    h: NDArray[np.float64], centric: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Posterior mean and standard deviation of F, and mean of J, for sigma = 1.

    The density of J > 0 is proportional to exp(-(J - h)^2 / 2), times J^(-1/2) if centric. Its
    moments are ratios of parabolic cylinder functions,
    int_0^inf x^a exp(-(x-h)^2/2) dx = Gamma(a+1) exp(-h^2/4) D_{-a-1}(-h).

    Parameters
    ----------
    h
        I/sigma - sigma/Sigma, or centric I/sigma - sigma/(2 Sigma), shape (n,).
    centric
        Shape (n,).

    Returns
    -------
    f, sigf, j
        Shape (n,); times sqrt(sigma), sqrt(sigma) and sigma on the scale of the data.
    """
    h = np.asarray(h, dtype=np.float64)
    lowest = np.where(centric, -0.5, 0.0)
    norm = _moment(lowest, h)
    f = _moment(lowest + 0.5, h) / norm
    j = _moment(lowest + 1.0, h) / norm
    variance = j - f * f
    # For strong reflections the difference cancels; its series is exact to h^-5.
    strong = h > _ASYMPTOTIC
    inverse = 1.0 / h[strong]
    second = np.where(centric[strong], 1.875, 0.875)
    variance[strong] = 0.25 * inverse * (1.0 + second * inverse**2)
    return f, np.sqrt(variance), j


def _moment(a: NDArray[np.float64], h: NDArray[np.float64]) -> NDArray[np.float64]:
    """int_0^inf x^a exp(-(x-h)^2/2) dx up to a factor that depends on h alone."""
    inner = np.clip(h, -_ASYMPTOTIC, _ASYMPTOTIC)
    result = gamma(a + 1.0) * pbdv(-a - 1.0, -inner)[0]
    strong, weak = h > _ASYMPTOTIC, h < -_ASYMPTOTIC
    # Moments of a normal density far from zero, in powers of h^-2.
    p, u = a[strong], h[strong] ** -2.0
    second = p * (p - 1) / 2
    fourth = second * (p - 2) * (p - 3) / 4
    sixth = fourth * (p - 4) * (p - 5) / 6
    result[strong] = h[strong] ** p * (1 + u * (second + u * (fourth + u * sixth)))
    # Far below zero only the exponential tail exp(h x) is left, corrected likewise.
    p, u = a[weak], h[weak] ** -2.0
    second = (p + 1) * (p + 2) / 2
    fourth = second * (p + 3) * (p + 4) / 4
    sixth = fourth * (p + 5) * (p + 6) / 6
    result[weak] = (
        gamma(p + 1) * (-h[weak]) ** (-p - 1) * (1 - u * (second - u * (fourth - u * sixth)))
    )
    return result
