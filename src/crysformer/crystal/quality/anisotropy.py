"""Anisotropy of the intensities, and E^2 normalised by resolution and direction.

The expected intensity of a reflection is exp(curve(1/d^2) - s' B s / 2), with a piecewise linear
curve and a traceless tensor B with the symmetry of the crystal. Intensities of random atoms
follow a gamma distribution around it (Wilson, Acta Cryst. 2, 318, 1949): exponential, or with half
a degree of freedom if centric. Its maximum-likelihood fit is what Popov & Bourenkov (Acta Cryst.
D59, 1145, 2003) use; with a logarithmic link it is a generalised linear model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.french_wilson import mean_intensity
from crysformer.crystal.normalisation import epsilon_factors
from crysformer.crystal.operators import operators
from crysformer.crystal.reflections import CrystalData

_PER_NODE = 100
_MAX_NODES = 20
_ITERATIONS = 50
#: Of more reflections every second, third ... decides the fit, which has some 25 parameters.
_MOST_FITTED = 200_000
_MAX_CHANGE = 3.0  # of the logarithm of an expected intensity, in one iteration
_R2, _R6 = 1 / np.sqrt(2), 1 / np.sqrt(6)
#: An orthonormal basis of symmetric 3 x 3 matrices without trace.
_BASIS = np.array(
    [
        [[_R2, 0, 0], [0, -_R2, 0], [0, 0, 0]],
        [[_R6, 0, 0], [0, _R6, 0], [0, 0, -2 * _R6]],
        [[0, _R2, 0], [_R2, 0, 0], [0, 0, 0]],
        [[0, 0, _R2], [0, 0, 0], [_R2, 0, 0]],
        [[0, 0, 0], [0, 0, _R2], [0, _R2, 0]],
    ]
)


@dataclass(frozen=True, eq=False)
class Anisotropy:
    """Expected intensities and their dependence on direction.

    Attributes
    ----------
    e_squared
        |E|^2 = I / expected, shape (n,), NaN where not measured; its mean is one at any
        resolution.
    deviations
        Principal values of the tensor B less its mean, ascending, shape (3,), A^2. A direction
        with a large value falls off fast.
    axes
        Their directions, unit vectors in rows, Cartesian (PDB convention), shape (3, 3).
    spread
        Largest less smallest principal value, A^2.
    uncertainty
        Standard uncertainty of the spread, A^2. The spread of isotropic data is not zero, but of
        this size.
    """

    e_squared: NDArray[np.float64]
    deviations: NDArray[np.float64]
    axes: NDArray[np.float64]
    spread: float
    uncertainty: float


def fit_anisotropy(
    data: CrystalData,
    without: NDArray[np.bool_] | None = None,
    translation: NDArray[np.float64] | None = None,
) -> Anisotropy:
    """Fit the anisotropic decay of the measured intensities; at least one must be above zero.

    Parameters
    ----------
    data
        The crystal.
    without
        Reflections that do not decide the fit, shape (n,); they get an E^2 from it all the same.
    translation
        Fractional vector of a pseudo-translation, shape (3,), whose modulation of the expected
        intensities is fitted too.
    """
    used = data.measured
    hkl = data.hkl[used]
    operations = data.space_group.operations()
    intensity = data.f[used] ** 2 / epsilon_factors(hkl, data.space_group)
    weight = np.where(operations.centric_flag_array(hkl), 0.5, 1.0)
    s_sq = data.d[used] ** -2.0
    nodes = _nodes(s_sq)

    def design(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        columns = [_hats(s_sq[rows], nodes), _quadratic(data, hkl[rows])]
        if translation is not None:
            columns.insert(1, _modulation(data, hkl[rows], translation))
        return np.hstack(columns)

    fit = np.arange(len(hkl)) if without is None else np.flatnonzero(~without[used])
    fit = fit[:: 1 + len(fit) // _MOST_FITTED]
    beta, covariance = _gamma_regression(design(fit), intensity[fit], weight[fit], s_sq[fit])
    tensor = beta[-len(_BASIS) :]
    parts = np.array_split(np.arange(len(hkl)), 1 + len(hkl) // _MOST_FITTED)
    expected = np.concatenate([np.exp(design(rows) @ beta) for rows in parts])
    e_squared = np.full(len(data), np.nan)
    e_squared[used] = intensity / expected
    values, vectors = np.linalg.eigh(np.tensordot(tensor, _BASIS, axes=1))
    change = np.einsum("ia,kij,ja->ka", vectors, _BASIS, vectors)
    gradient = change[:, 2] - change[:, 0]
    return Anisotropy(
        e_squared=e_squared,
        deviations=values,
        axes=vectors.T,
        spread=float(values[2] - values[0]),
        uncertainty=float(np.sqrt(gradient @ covariance @ gradient)),
    )


def _nodes(s_sq: NDArray[np.float64]) -> NDArray[np.float64]:
    """Nodes in 1/d^2 with equally many reflections between them, ascending."""
    n_nodes = int(np.clip(len(s_sq) // _PER_NODE, 2, _MAX_NODES))
    return np.unique(np.quantile(s_sq, np.linspace(0, 1, n_nodes)))


def _hats(s_sq: NDArray[np.float64], nodes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns whose combinations are piecewise linear between nodes, (n, nodes)."""
    return np.stack([np.interp(s_sq, nodes, unit) for unit in np.eye(len(nodes))], axis=1)


def _quadratic(data: CrystalData, hkl: NDArray[np.int32]) -> NDArray[np.float64]:
    """-s' M s / 2 for every matrix M of the basis, averaged over the point group, (n, 5)."""
    rotations = operators(data.space_group).rotations
    total = np.zeros((len(hkl), len(_BASIS)))
    for rotation in rotations:
        s = hkl @ rotation @ data.to_frac
        total += np.einsum("ni,kij,nj->nk", s, _BASIS, s, optimize=True)
    return -0.5 * total / len(rotations)


def _modulation(
    data: CrystalData, hkl: NDArray[np.int32], translation: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Harmonics of the phase difference of two copies a translation apart, (n, 3)."""
    rotations = operators(data.space_group).rotations
    angles = 2 * np.pi * np.stack([hkl @ rotation @ translation for rotation in rotations])
    return np.stack([np.cos(k * angles).mean(axis=0) for k in (1, 2, 3)], axis=1)


def _gamma_regression(
    design: NDArray[np.float64],
    intensity: NDArray[np.float64],
    weight: NDArray[np.float64],
    s_sq: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coefficients of the logarithms of expected values, and the covariance of the tensor's.

    Fisher scoring, whose weights do not change with a logarithmic link; a step that makes the
    likelihood worse is halved. What symmetry makes undetermined comes out as zero.
    """
    root = np.sqrt(weight)[:, None]
    inverse = np.linalg.pinv(root * design, rcond=1e-8)
    start = np.maximum(mean_intensity(intensity, s_sq), 1e-12 * intensity.mean())
    beta = inverse @ (root[:, 0] * np.log(start))

    def cost(trial: NDArray[np.float64]) -> float:
        eta = design @ trial
        with np.errstate(over="ignore"):  # an infinite cost is rejected like any other
            return float(weight @ (eta + intensity * np.exp(-eta)))

    best = cost(beta)
    for _ in range(_ITERATIONS):
        eta = design @ beta
        step = inverse @ (root[:, 0] * (intensity / np.exp(eta) - 1))
        # one outlier must not make the fit diverge
        step = step * min(1.0, _MAX_CHANGE / max(float(np.abs(design @ step).max()), 1e-30))
        while cost(beta + step) > best and np.abs(step).max() > 1e-9:
            step = step / 2
        beta = beta + step
        best = cost(beta)
        if np.abs(design @ step).max() < 1e-6:
            break
    eta = design @ beta
    residual = intensity / np.exp(eta) - 1
    freedom = max(len(intensity) - design.shape[1], 1)
    dispersion = float(weight @ residual**2) / freedom
    covariance = dispersion * (inverse @ inverse.T)
    n = len(_BASIS)
    return beta, covariance[-n:, -n:]
