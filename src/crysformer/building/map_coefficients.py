"""Map coefficients of a model: 2mFo-DFc and mFo-DFc (Read, Acta Cryst. A42, 140, 1986).

Given the model, F is distributed around D F_model with variance epsilon S, to which the
uncertainty of the measurement is added. D and S are found in shells of resolution by maximum
likelihood, from free reflections, because a model fits those better that it was refined against.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import i0e, i1e

from crysformer.crystal.free_set import FreeSet
from crysformer.crystal.normalisation import epsilon_factors
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.resolution import resolution_shells

_PER_SHELL, _MOST_SHELLS = 60, 20
_ENOUGH_FREE: Final = 200
"""Free reflections from which they alone determine D and S; with fewer, all do."""
_LEAST_VARIANCE = 1e-4  # S to the mean intensity of a shell
_D_RANGE = (0.0, 1.5)


@dataclass(frozen=True, eq=False)
class MapCoefficients:
    """Map coefficients and phase probabilities, each of shape (n,), as the rows of the data.

    Attributes
    ----------
    fwt, phwt
        2mFo-DFc (mFo if centric), amplitude on the scale of the data and phase in degrees; NaN
        where a reflection is not measured.
    delfwt, phdelwt
        mFo-DFc, likewise; NaN where not measured.
    fom
        Figure of merit m, 0 to 1; NaN where not measured.
    hla, hlb, hlc, hld
        Hendrickson-Lattman coefficients; C and D are zero for phases of one model.
    d, variance
        D and S (squared amplitude) of every reflection, between the shells interpolated.
    from_free
        True if free reflections alone determined D and S.
    """

    fwt: NDArray[np.float64]
    phwt: NDArray[np.float64]
    delfwt: NDArray[np.float64]
    phdelwt: NDArray[np.float64]
    fom: NDArray[np.float64]
    hla: NDArray[np.float64]
    hlb: NDArray[np.float64]
    hlc: NDArray[np.float64]
    hld: NDArray[np.float64]
    d: NDArray[np.float64]
    variance: NDArray[np.float64]
    from_free: bool


def map_coefficients(
    data: CrystalData,
    free: FreeSet | None,
    F_model: NDArray[np.complex128],
    *,
    omit_free: bool = False,
) -> MapCoefficients:
    """Map coefficients of a scaled model.

    Parameters
    ----------
    data
        The crystal.
    free
        Its free set, from which D and S are found; with fewer than 200 free reflections, or none,
        from all. They are then too favourable to a refined model.
    F_model
        Structure factors, shape (n,), on the scale of the data, as `ScaledModel.F_model`.
    omit_free
        Treat free reflections as not measured, for maps that models are rebuilt in.
    """
    measured = data.measured
    calculated, phase = np.abs(F_model), np.angle(F_model)
    observed = np.where(measured, data.f, 0.0)
    sigma = np.zeros(len(data)) if data.sigf is None else np.nan_to_num(data.sigf)
    epsilon = epsilon_factors(data.hkl, data.space_group)
    centric = np.asarray(data.space_group.operations().centric_flag_array(data.hkl), dtype=bool)
    from_free = free is not None and int((measured & free.free).sum()) >= _ENOUGH_FREE
    chosen = measured & free.free if free is not None and from_free else measured
    error = np.where(centric, 1.0, 2.0) * sigma**2
    d, variance = _by_resolution(
        data.d**-2.0, observed, calculated, epsilon, centric, error, chosen
    )
    total = epsilon * variance + error
    weighted = d * calculated
    x = np.where(centric, 1.0, 2.0) * observed * weighted / total
    fom = np.where(centric, np.tanh(x), i1e(x) / i0e(x))
    used = measured & ~free.free if free is not None and omit_free else measured
    best = fom * observed
    fwt = np.where(centric, best, 2 * best - weighted)
    fwt = np.where(used, fwt, np.nan)
    delfwt = np.where(used, best - weighted, np.nan)

    def polar(coefficient: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Positive amplitude, and phase in degrees, of a coefficient along the model's phase."""
        degrees = np.degrees(phase) + np.where(coefficient < 0, 180.0, 0.0)
        degrees = 180.0 - np.mod(180.0 - degrees, 360.0)
        return np.abs(coefficient), np.where(np.isnan(coefficient), np.nan, degrees)

    amplitude, phwt = polar(fwt)
    del_amplitude, phdelwt = polar(delfwt)
    hl = np.where(used, x, np.nan)
    zero = np.where(used, 0.0, np.nan)
    return MapCoefficients(
        fwt=amplitude,
        phwt=phwt,
        delfwt=del_amplitude,
        phdelwt=phdelwt,
        fom=np.where(used, fom, np.nan),
        hla=hl * np.cos(phase),
        hlb=hl * np.sin(phase),
        hlc=zero,
        hld=zero.copy(),
        d=d,
        variance=variance,
        from_free=from_free,
    )


def _by_resolution(
    d_star_sq: NDArray[np.float64],
    observed: NDArray[np.float64],
    calculated: NDArray[np.float64],
    epsilon: NDArray[np.float64],
    centric: NDArray[np.bool_],
    error: NDArray[np.float64],
    chosen: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """D and S of every reflection, from those that are chosen."""
    shells = resolution_shells(d_star_sq, per_shell=_PER_SHELL, most=_MOST_SHELLS, used=chosen)
    centre = np.array([d_star_sq[rows].mean() for rows in shells])
    found = [
        _most_likely(observed[rows], calculated[rows], epsilon[rows], centric[rows], error[rows])
        for rows in shells
    ]
    d = np.interp(d_star_sq, centre, [x[0] for x in found])
    variance = np.exp(np.interp(d_star_sq, centre, np.log([x[1] for x in found])))
    return d, variance


def _most_likely(
    observed: NDArray[np.float64],
    calculated: NDArray[np.float64],
    epsilon: NDArray[np.float64],
    centric: NDArray[np.bool_],
    error: NDArray[np.float64],
) -> tuple[float, float]:
    """D and S of one shell by maximum likelihood."""
    mean = max(float(np.mean(observed**2 / epsilon)), 1e-12)
    twice = np.where(centric, 1.0, 2.0)

    def minus_log_likelihood(parameters: NDArray[np.float64]) -> float:
        d, log_ratio = parameters
        total = epsilon * mean * np.exp(log_ratio) + error
        weighted = d * calculated
        x = twice * observed * weighted / total
        # log I0(x) and log cosh(x), x taken out of both against overflow
        log_mean = np.where(centric, np.log1p(np.exp(-2 * x)) - np.log(2), np.log(i0e(x)))
        exponent = 0.5 * twice * (observed - weighted) ** 2 / total
        return float((0.5 * twice * np.log(total) + exponent - log_mean).sum())

    square = max(float((calculated**2).sum()), 1e-12)
    start = min(max(float((observed * calculated).sum()) / square, _D_RANGE[0]), _D_RANGE[1])
    residual = float(np.mean((observed - start * calculated) ** 2 / epsilon)) / mean
    bounds = (_D_RANGE, (np.log(_LEAST_VARIANCE), np.log(2.0)))
    first = np.clip(np.log(max(residual, _LEAST_VARIANCE)), *bounds[1])
    from scipy.optimize import minimize  # a fifth of a second to load, seldom needed

    result = minimize(minus_log_likelihood, [0.98 * start, first], method="L-BFGS-B", bounds=bounds)
    return float(result.x[0]), mean * float(np.exp(result.x[1]))
