"""The origin of a crystal in P1, by convention: one molecule's centre at the cell centre."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.unit_cell import orth_matrix
from crysformer.phasing.origin.unwrapping import Links, unwrap
from crysformer.phasing.origin.watershed import find_basins

# The highest density that is counted, A^3 for each atom: more takes in the noise between atoms,
# less loses the weaker ones.
_VOLUME_PER_ATOM = 5.0
# Above this share of the density of a typical peak, where the number of atoms is not known.
_LEVEL_OF_PEAK = 0.25
_WHOLE = 0.9
# A contact with a lattice copy decides against a clear choice where its density reaches this
# share of that of the molecule's weakest link (true maps of touching dipeptides: at most 0.34, with
# F-weighted phase errors of 33 degrees 0.79), or its distance is at most this much longer, A.
_CONTACT_DENSITY = 0.85
_CONTACT_DISTANCE = 0.3
_LONGEST_LINK = 4.0  # A


@dataclass(frozen=True, eq=False)
class MoleculeOrigin:
    """Where one molecule lies in a P1 cell.

    Attributes
    ----------
    centre
        Its centre of mass, fractional, each component in [0, 1), shape (3,).
    ambiguous
        Whether another choice of molecule would have been as good.
    reason
        Why, one sentence; empty where not ambiguous.
    """

    centre: NDArray[np.float64]
    ambiguous: bool
    reason: str

    @property
    def shift(self) -> NDArray[np.float64]:
        """Add this to fractional coordinates, and 360 h.shift to phases in degrees, shape (3,)."""
        return 0.5 - self.centre


def origin_from_density(
    density: DensityMap, n_atoms: int | None = None, copies: int = 1
) -> MoleculeOrigin:
    """Find the centre of one connected molecule in a P1 density map.

    The map is divided into the basins of its maxima, and these are joined over the highest passes
    first, but never so that a piece meets its own lattice copy. The centre is that of the density
    above a level; density above the median of that is cut to it, since at limited resolution
    the height of a peak tells more of its neighbours and of the phase errors than of its mass.

    Parameters
    ----------
    density
        Map with a spacing of 0.65 A or less; its scale and mean do not matter.
    n_atoms
        Atoms of one molecule, hydrogen left out, where known.
    copies
        Equal molecules in the cell.
    """
    values = density.values.astype(np.float64)
    flat = values.ravel()
    level = _level(density, None if n_atoms is None else n_atoms * copies)
    weight = np.clip(flat - level, 0, None)
    if not weight.any():
        return MoleculeOrigin(np.full(3, 0.5), True, "the map is flat")
    weight = np.minimum(weight, np.median(weight[weight > 0]))
    basins = find_basins(values, floor=level)
    per_basin = np.bincount(basins.label, weight).astype(np.float64)
    limit = np.inf if copies == 1 else 1.25 * per_basin.sum() / copies
    molecule = unwrap(per_basin, basins.links, limit)
    points = np.stack(np.unravel_index(np.arange(len(flat)), values.shape), axis=1)
    position = points / np.array(values.shape) - basins.lattice + molecule.lattice[basins.label]
    inside = weight * molecule.sites[basins.label]
    mean = flat.mean()
    touches = molecule.closing - mean > _CONTACT_DENSITY * (molecule.weakest - mean)
    return _origin(position, inside, touches, float(weight.sum()), copies)


def origin_from_atoms(
    frac: NDArray[np.float64],
    cell: gemmi.UnitCell,
    mass: NDArray[np.float64] | None = None,
    copies: int = 1,
) -> MoleculeOrigin:
    """Find the centre of one connected molecule among the atoms of a P1 cell.

    Atoms are joined over the shortest distances first (none longer than 4 A), but never so that a
    piece meets its own lattice copy.

    Parameters
    ----------
    frac
        Fractional coordinates, any lattice copy of each atom, shape (n, 3).
    cell
        Unit cell.
    mass
        Mass (or occupancy) of each atom, shape (n,); equal if not given.
    copies
        Equal molecules in the cell.
    """
    mass = np.ones(len(frac)) if mass is None else mass
    frac = frac - np.floor(frac)
    orth = orth_matrix(cell)
    found = []
    for step in itertools.product((-1, 0, 1), repeat=3):
        distance = np.linalg.norm((frac[None] + step - frac[:, None]) @ orth.T, axis=-1)
        first, second = np.nonzero((distance < _LONGEST_LINK) & (distance > 0))
        lattice = np.broadcast_to(step, (len(first), 3))
        found.append((first, second, lattice, -distance[first, second]))
    links = Links(*(np.concatenate(column) for column in zip(*found, strict=True)))
    molecule = unwrap(mass, links, np.inf if copies == 1 else 1.25 * mass.sum() / copies)
    inside = mass * molecule.sites
    touches = molecule.closing > molecule.weakest - _CONTACT_DISTANCE
    return _origin(frac + molecule.lattice, inside, touches, float(mass.sum()), copies)


def _origin(
    position: NDArray[np.float64],
    weight: NDArray[np.float64],
    touches: bool,
    total: float,
    copies: int,
) -> MoleculeOrigin:
    """The centre of the weight of one piece, where the cell holds `total`."""
    reasons = []
    share = float(weight.sum()) * copies / total
    if copies > 1:
        reasons.append(f"the cell holds {copies} equal molecules, and one of them was centred")
    if share < _WHOLE:
        reasons.append(f"the largest connected piece is only {share:.0%} of what one molecule is")
    if touches:
        reasons.append("the molecule touches its lattice copies as closely as it holds together")
    centre = (weight @ position) / weight.sum()
    return MoleculeOrigin(np.mod(centre, 1.0), bool(reasons), "; ".join(reasons))


def _level(density: DensityMap, n_atoms: int | None) -> float:
    flat = density.values.astype(np.float64).ravel()
    if n_atoms is None:
        above = np.clip(flat - flat.mean(), 0, None)
        # Mean density of the electrons, so to speak: solvent and noise hardly count in it.
        typical = (above**3).sum() / max((above**2).sum(), 1e-300)
        return float(flat.mean() + _LEVEL_OF_PEAK * typical)
    share = n_atoms * _VOLUME_PER_ATOM / density.cell.volume
    return float(np.quantile(flat, max(1.0 - share, 0.5)))
