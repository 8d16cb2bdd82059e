"""Translational pseudo-symmetry: a large Patterson peak far from the origin.

The usual rule (Zwart, Grosse-Kunstleve & Adams, CCP4 Newsletter 43, 2005): the Patterson map of
the data from 10 to 5 A, peaks more than 15 A from the origin, in per cent of the origin peak;
above 20 % two molecules are likely to be related by that vector.
"""

from __future__ import annotations

from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.fourier.grid_shapes import Shape, grid_shape
from crysformer.crystal.fourier.series import real_fourier_series
from crysformer.crystal.operators import STEPS, operators
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.symmetry import p1_mapping
from crysformer.wording import counted

D_MAX, D_MIN = 10.0, 5.0
MIN_DISTANCE = 15.0
_MIN_REFLECTIONS = 100
_SAMPLE_RATE = 4.0


@dataclass(frozen=True)
class PattersonPeak:
    """The largest peak of the low-resolution Patterson map far from the origin.

    Attributes
    ----------
    height
        As a fraction of the origin peak.
    error
        Standard deviation of that fraction at a general point if intensities were unrelated.
    vector
        Fractional coordinates, each in [-0.5, 0.5).
    distance
        From the nearest lattice point, A.
    """

    height: float
    error: float
    vector: tuple[float, float, float]
    distance: float


def patterson_peak(data: CrystalData) -> PattersonPeak | str:
    """Find the largest Patterson peak farther than 15 A from every lattice point.

    Returns
    -------
    The peak, or the reason why the test does not apply (a sentence without a full stop).
    """
    shape = grid_shape(data.cell, D_MIN, _SAMPLE_RATE)
    far = _far_from_lattice(data, shape)
    if not far.any():
        return f"the cell is too small: no vector is longer than {MIN_DISTANCE:g} A"
    d = data.d
    use = data.measured & (d <= D_MAX) & (d >= D_MIN)
    n = int(use.sum())
    if n < _MIN_REFLECTIONS:
        few = counted(n, "reflection", "reflections")
        return f"too few for a Patterson map: {few} from {D_MAX:g} to {D_MIN:g} A"
    mapping = p1_mapping(data.hkl[use], data.space_group)
    intensity = data.f[use] ** 2
    terms = intensity[mapping.parent].astype(np.complex128)
    patterson = real_fourier_series(mapping.hkl.astype(np.int64), terms, shape)
    fraction = patterson / patterson[0, 0, 0]
    peak = np.unravel_index(int(np.where(far, fraction, -np.inf).argmax()), shape)
    orbit = np.bincount(mapping.parent) * intensity
    vector = (np.array(peak) / shape + 0.5) % 1 - 0.5
    u, v, w = vector.tolist()
    return PattersonPeak(
        height=float(fraction[peak]),
        error=float(np.sqrt(np.sum(orbit**2) / 2) / orbit.sum()),
        vector=(u, v, w),
        distance=_distance(data, vector),
    )


def _lattice_points(group: gemmi.SpaceGroup) -> NDArray[np.float64]:
    """Fractional coordinates of the lattice points of one cell, centring included, (m, 3)."""
    return operators(group).centring / STEPS


def _far_from_lattice(data: CrystalData, shape: Shape) -> NDArray[np.bool_]:
    """Flags of grid points farther than 15 A from every lattice point, (nu, nv, nw)."""
    near = gemmi.FloatGrid(*shape)
    near.set_unit_cell(data.cell)
    for point in _lattice_points(data.space_group):
        position = data.cell.orthogonalize(gemmi.Fractional(*point))
        near.set_points_around(position, MIN_DISTANCE, 1.0)
    return np.asarray(near.array) == 0


def _distance(data: CrystalData, vector: NDArray[np.float64]) -> float:
    """Distance of a vector's end from the nearest lattice point, A."""
    offsets = np.indices((5, 5, 5)).reshape(3, -1).T - 2
    ends = vector - (_lattice_points(data.space_group)[:, None] + offsets).reshape(-1, 3)
    return float(np.linalg.norm(ends @ data.orth.T, axis=1).min())
