"""Agreement of a model with its maps: correlation by residue, and peaks of the difference map."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import gemmi
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from crysformer.building.validation.conformers import Site, site_of
from crysformer.building.validation.settings import ValidationSettings
from crysformer.crystal.peak_picking import PeakPicker, symmetric_shape
from crysformer.crystal.reflections import CrystalData

_SAMPLE_RATE = 3.0
#: Points at which maps are compared: for each d_min, and at least one in this distance, A.
_POINTS, _COARSEST = 3.0, 0.6
#: Radius around atoms, A, for data to resolutions of up to these limits (as in phenix).
_RADII = ((1.0, 1.0), (2.0, 1.5), (4.0, 2.0), (np.inf, 2.5))
#: Peaks of the difference map closer to each other are one, A.
_PEAKS_APART = 1.0


@dataclass(frozen=True)
class ResidueFit:
    """Density of a residue.

    Attributes
    ----------
    site
        The residue, with all its conformers.
    correlation
        Of the 2mFo-DFc map and the density of the model around its atoms; NaN where either is
        constant.
    b_mean
        Mean B of its atoms other than hydrogen, A^2.
    """

    site: Site
    correlation: float
    b_mean: float

    def to_summary(self) -> dict[str, Any]:
        """Plain values for `summary.json`."""
        fit = {
            "correlation": None if np.isnan(self.correlation) else round(self.correlation, 3),
            "b_mean": round(self.b_mean, 1),
        }
        return self.site.to_summary() | fit


@dataclass(frozen=True)
class DifferencePeak:
    """Peak or hole of the mFo-DFc map.

    Attributes
    ----------
    height
        In units of the map's rms; negative for a hole.
    frac, xyz
        Fractional and Cartesian (A) position, near the nearest atom.
    site, atom
        Residue and name of the nearest atom of the model, or of its nearest symmetry mate.
    distance
        To it, A.
    """

    height: float
    frac: tuple[float, float, float]
    xyz: tuple[float, float, float]
    site: Site
    atom: str
    distance: float

    def to_summary(self) -> dict[str, Any]:
        """Plain values for `summary.json`."""
        return {
            "height": round(self.height, 1),
            "xyz": [round(x, 2) for x in self.xyz],
            "nearest": self.site.to_summary() | {"atom": self.atom},
            "distance": round(self.distance, 2),
        }


def map_of(data: CrystalData, coefficients: NDArray[np.complex128]) -> gemmi.FloatGrid:
    """Map of the cell from coefficients of the reflections, shape (n_data,), NaN left out."""
    used = np.isfinite(coefficients)
    values = coefficients[used].astype(np.complex64)
    asu = gemmi.ComplexAsuData(data.cell, data.space_group, data.hkl[used], values)
    asu.ensure_asu()
    shape = symmetric_shape(data, _SAMPLE_RATE)
    return asu.transform_f_phi_to_map(exact_size=list(shape))


def residue_fits(
    structure: gemmi.Structure,
    data: CrystalData,
    map_coefficients: NDArray[np.complex128],
    model_coefficients: NDArray[np.complex128],
) -> list[ResidueFit]:
    """Correlate the 2mFo-DFc map with the density of the model around each residue's atoms.

    Both maps have the same reflections, so series termination is the same.

    Parameters
    ----------
    structure
        The model.
    data
        The reflections.
    map_coefficients, model_coefficients
        2mFo-DFc, and structure factors of the atoms, shape (n_data,); where either is NaN,
        neither is used.
    """
    known = np.isfinite(map_coefficients) & np.isfinite(model_coefficients)
    observed = map_of(data, np.where(known, map_coefficients, np.nan))
    calculated = map_of(data, np.where(known, model_coefficients, np.nan))
    radius = next(radius for d_min, radius in _RADII if data.d_min <= d_min)
    spacing = min(_COARSEST, data.d_min / _POINTS)
    fits = []
    for chain in structure[0]:
        for residue in chain:
            atoms = [atom for atom in residue if not atom.is_hydrogen() and atom.occ > 0]
            if not atoms:
                continue
            points = _points_around(np.array([a.pos.tolist() for a in atoms]), radius, spacing)
            correlation = _correlation(
                *(grid.interpolate_position_array(points, 3) for grid in (observed, calculated))
            )
            b_mean = float(np.mean([atom.b_iso for atom in atoms]))
            fits.append(ResidueFit(site_of(chain.name, residue), correlation, b_mean))
    return fits


def _points_around(xyz: NDArray[np.float64], radius: float, spacing: float) -> NDArray[np.float64]:
    """Points of a Cartesian lattice that are near atoms, shape (m, 3), A."""
    low, high = xyz.min(axis=0) - radius, xyz.max(axis=0) + radius
    axes = [np.arange(a, b, spacing) for a, b in zip(low, high, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    distance, _ = cKDTree(xyz).query(points, distance_upper_bound=radius)
    return points[distance < radius]


def _correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Correlation coefficient; NaN if either is constant."""
    if len(first) < 2 or first.std() == 0 or second.std() == 0:
        return math.nan
    return float(np.corrcoef(first.astype(float), second.astype(float))[0, 1])


def difference_peaks(
    structure: gemmi.Structure,
    data: CrystalData,
    coefficients: NDArray[np.complex128],
    settings: ValidationSettings,
) -> list[DifferencePeak]:
    """Find peaks and holes of the mFo-DFc map, highest first, with their nearest atoms.

    Parameters
    ----------
    structure
        The model.
    data
        The reflections.
    coefficients
        mFo-DFc, shape (n_data,); NaN left out.
    settings
        Least height and largest number.
    """
    grid = map_of(data, coefficients)
    values = np.array(grid.array, dtype=np.float64)
    rms = float(values.std())
    if rms == 0:
        return []
    picker = PeakPicker(data, values.shape, _PEAKS_APART)
    structure = structure.clone()
    structure.setup_cell_images()
    neighbours = gemmi.NeighborSearch(structure[0], structure.cell, 5.0).populate()
    peaks = []
    for sign in (1.0, -1.0):
        frac, height = picker.pick(
            sign * values / rms, np.zeros((0, 3)), settings.most_peaks, settings.peak_sigma
        )
        for x, h in zip(frac, height, strict=True):
            peak = _described(x, sign * float(h), structure, neighbours)
            peaks += [peak] if peak is not None else []
    return sorted(peaks, key=lambda peak: -abs(peak.height))


def _described(
    frac: NDArray[np.float64],
    height: float,
    structure: gemmi.Structure,
    neighbours: gemmi.NeighborSearch,
) -> DifferencePeak | None:
    """A peak with its nearest atom, moved beside that atom; None for a model without atoms."""
    position = structure.cell.orthogonalize(gemmi.Fractional(*frac))
    mark = neighbours.find_nearest_atom(position)
    if mark is None:
        return None
    cra = mark.to_cra(structure[0])
    nearest = structure.cell.find_nearest_image(cra.atom.pos, position, gemmi.Asu.Any)
    # bring the peak to the atom instead of the atom to the peak
    moved = structure.cell.find_nearest_pbc_position(cra.atom.pos, position, nearest.sym_idx, True)
    at = structure.cell.fractionalize(moved)
    return DifferencePeak(
        height,
        (at.x, at.y, at.z),
        (moved.x, moved.y, moved.z),
        site_of(cra.chain.name, cra.residue, cra.atom.altloc),
        cra.atom.name,
        nearest.dist(),
    )
