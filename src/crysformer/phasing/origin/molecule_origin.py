"""Conventional origin of a crystal in P1: the centre of one molecule at the centre of the cell."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.unit_cell import orth_matrix
from crysformer.phasing.origin.unwrapping import Contacts, unwrap_molecule
from crysformer.phasing.origin.watershed import watershed

# Volume of the highest density that is counted, A^3 per atom: more includes the noise between
# atoms, less loses the weaker ones.
_VOLUME_PER_ATOM = 5.0
# Level as a fraction of the density of a typical peak, where the number of atoms is not known.
_LEVEL_OF_PEAK = 0.25
_WHOLE = 0.9  # fraction of the expected weight from which a fragment is a whole molecule
# The choice of the molecule is ambiguous where the density of a contact with a lattice copy reaches
# this fraction of that of the molecule's weakest contact (true maps of touching dipeptides: at most
# 0.34, with F-weighted phase errors of 33 degrees 0.79), or its distance is at most this much
# longer, A.
_CONTACT_DENSITY = 0.85
_CONTACT_DISTANCE = 0.3
_LONGEST_CONTACT = 4.0  # A


@dataclass(frozen=True, eq=False)
class MoleculeOrigin:
    """Position of one molecule in a P1 cell.

    Attributes
    ----------
    centre
        Centre of mass, fractional, each component in [0, 1), shape (3,).
    ambiguous
        Whether another choice of molecule would have been as good.
    reason
        Reason for the ambiguity, one sentence; empty where there is none.
    """

    centre: NDArray[np.float64]
    ambiguous: bool
    reason: str

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence that the choice is ambiguous, where it is."""
        return (f"the origin is ambiguous: {self.reason}",) if self.ambiguous else ()

    @property
    def shift(self) -> NDArray[np.float64]:
        """Add this to fractional coordinates, and 360 h.shift to phases in degrees, shape (3,)."""
        return 0.5 - self.centre


def origin_from_density(
    density: DensityMap, n_atoms: int | None = None, copies: int = 1
) -> MoleculeOrigin:
    """Find the centre of one connected molecule in a P1 density map.

    The map is divided into the watershed regions of its maxima, which are connected in the order of
    the density at their saddle points, but never so that a fragment meets its own lattice copy. The
    centre is that of the density above a level, truncated at its median: at limited resolution the
    height of a peak depends more on its neighbours and on phase errors than on its mass.

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
    regions = watershed(values, floor=level)
    per_region = np.bincount(regions.label, weight).astype(np.float64)
    limit = np.inf if copies == 1 else 1.25 * per_region.sum() / copies
    molecule = unwrap_molecule(per_region, regions.contacts, limit)
    points = np.stack(np.unravel_index(np.arange(len(flat)), values.shape), axis=1)
    position = points / np.array(values.shape) - regions.lattice + molecule.lattice[regions.label]
    inside = weight * molecule.sites[regions.label]
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

    Atoms are connected in the order of their distances (none longer than 4 A), but never so that a
    fragment meets its own lattice copy.

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
        first, second = np.nonzero((distance < _LONGEST_CONTACT) & (distance > 0))
        lattice = np.broadcast_to(step, (len(first), 3))
        found.append((first, second, lattice, -distance[first, second]))
    contacts = Contacts(*(np.concatenate(column) for column in zip(*found, strict=True)))
    molecule = unwrap_molecule(
        mass, contacts, np.inf if copies == 1 else 1.25 * mass.sum() / copies
    )
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
    """Centre of the weight of one fragment, where the cell holds `total`."""
    reasons = []
    fraction = float(weight.sum()) * copies / total
    if copies > 1:
        reasons.append(f"the cell holds {copies} equal molecules, and one of them was centred")
    if fraction < _WHOLE:
        reasons.append(
            f"the largest connected piece is only {fraction:.0%} of what one molecule is"
        )
    if touches:
        reasons.append("the molecule touches its lattice copies as closely as it holds together")
    centre = (weight @ position) / weight.sum()
    return MoleculeOrigin(np.mod(centre, 1.0), bool(reasons), "; ".join(reasons))


def _level(density: DensityMap, n_atoms: int | None) -> float:
    flat = density.values.astype(np.float64).ravel()
    if n_atoms is None:
        above = np.clip(flat - flat.mean(), 0, None)
        # density-weighted mean density: solvent and noise hardly count
        typical = (above**3).sum() / max((above**2).sum(), 1e-300)
        return float(flat.mean() + _LEVEL_OF_PEAK * typical)
    fraction = n_atoms * _VOLUME_PER_ATOM / density.cell.volume
    return float(np.quantile(flat, max(1.0 - fraction, 0.5)))
