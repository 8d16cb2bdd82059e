"""Free atoms grown into a map: refined, poorly supported atoms removed, new ones added.

Dual-space recycling (Sheldrick, Acta Cryst. D66, 479, 2010) with a B for each atom, in the
crystal's own space group: the free atoms of automated model building (Lamzin & Wilson, Acta Cryst.
D49, 129, 1993). It completes structures after density modification and includes what peptide models
lack: waters, ions, ends of chains.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.crystal.reflections import CrystalData
from crysformer.phasing.atoms.individual_atoms import IndividualAtoms, Priors
from crysformer.settings import setting

_LOG_B_SIGMA, _OCCUPANCY_SIGMA = 0.7, 0.4  # standard deviations of the priors
_OCCUPANCY_RANGE = (0.2, 2.8)  # sulphur is 2.3 nitrogens
_NEW_B = 4.0  # A^2 above the mean, of new atoms
_SUPPORT_S_SQ = 0.4  # A^-2, (1/d)^2 at which the scattering of an atom measures its support


@dataclass(frozen=True)
class FreeAtomSettings:
    """Cycles of refining free atoms, removing poor ones and adding new ones."""

    steps: int = setting(30, "Steps of refinement in each cycle.", min=1, max=10_000)
    removed_fraction: float = setting(
        0.08, "Fraction of the atoms removed in each cycle.", min=0.0, max=0.9
    )
    growth: float = setting(
        0.02,
        "Increase of the number of atoms with each cycle, relative to the sequence: waters.",
        min=0.0,
        max=1.0,
    )
    min_peak: float = setting(
        2.5, "Height of new atoms in the difference map, in units of its rms.", min=0.0, max=20.0
    )


@dataclass(frozen=True, eq=False)
class FreeAtoms:
    """Refined free atoms of one asymmetric unit.

    Attributes
    ----------
    frac
        Fractional coordinates, shape (n, 3).
    b_iso, occupancy
        B, A^2, and occupancy relative to nitrogen, shape (n,).
    F
        Structure factors of the data's reflections, complex, shape (n_data,), on the scale of the
        data; NaN where not measured.
    r
        R factor.
    """

    frac: NDArray[np.float64]
    b_iso: NDArray[np.float64]
    occupancy: NDArray[np.float64]
    F: NDArray[np.complex128]
    r: float


def grow_atoms(
    data: CrystalData,
    start: NDArray[np.complex128],
    n_atoms: int,
    b_iso: float,
    cycles: int,
    deadline: float = math.inf,
    *,
    settings: FreeAtomSettings | None = None,
) -> FreeAtoms:
    """Grow free atoms from phases.

    Parameters
    ----------
    data
        The crystal in its own space group.
    start
        Weighted amplitudes with phases, shape (n_data,); NaN counts as zero.
    n_atoms
        Atoms in the asymmetric unit without waters.
    b_iso
        Mean B, A^2.
    cycles
        Number of cycles of refinement.
    deadline
        `time.monotonic` after which no second cycle begins.
    settings
        Steps of refinement, and numbers of atoms removed and added.
    """
    settings = settings or FreeAtomSettings()
    model = IndividualAtoms(data, b_iso + _NEW_B)
    priors = Priors(b_iso + 0.5 * _NEW_B, _LOG_B_SIGMA, _OCCUPANCY_SIGMA, _OCCUPANCY_RANGE)
    sharpened = np.nan_to_num(start[data.measured]) * np.exp(
        0.25 * max(0.0, b_iso - _NEW_B) * data.d[data.measured] ** -2.0
    )
    none = model.parameters(np.zeros((0, 3)))
    atoms = model.with_more(none, sharpened, n_atoms, above=0.0)
    for cycle in range(cycles):
        atoms = model.refined(atoms, settings.steps, priors)
        if cycle == cycles - 1 or time.monotonic() > deadline:
            break
        atoms = _without_poor(atoms, settings.removed_fraction)
        wanted = round(n_atoms * (1 + settings.growth * cycle)) - atoms.shape[0]
        atoms = model.with_more(atoms, model.difference(atoms), wanted, settings.min_peak)
    F, r = model.fitted(atoms)
    b, occupancy = atoms[:, 3].exp().double().numpy(), atoms[:, 4].double().numpy()
    return FreeAtoms(model.frac(atoms), b, occupancy, F, r)


def _without_poor(atoms: Tensor, fraction: float) -> Tensor:
    """Atoms without those that scatter least, for their occupancy and B."""
    height = atoms[:, 4] * torch.exp(-0.25 * atoms[:, 3].exp() * _SUPPORT_S_SQ)
    n = max(1, round(fraction * len(atoms)))
    return atoms[height.argsort(descending=True)[:-n]]
