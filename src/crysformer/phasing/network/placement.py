"""Origin and hand of a map that a network predicts, from the atoms in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from crysformer.crystal.comparison.alignment import Alignment, align
from crysformer.crystal.fourier.grids import hkl_to_grid
from crysformer.crystal.reflections import CrystalData
from crysformer.phasing.atoms.atomic_candidates import atomic_candidates
from crysformer.phasing.dual_space.polishing import polish_by_density_modification
from crysformer.phasing.dual_space.starting_parameters import positive_fractions
from crysformer.phasing.network.frame import NetworkFrame
from crysformer.phasing.origin.crystal_setting import to_crystal_setting
from crysformer.phasing.problem import phasing_problem


@dataclass(frozen=True, eq=False)
class NetworkPlacement:
    """Move of a map to the origin and hand of its molecule.

    Attributes
    ----------
    alignment
        Shift and hand, in the network's frame.
    hand
        Probability that this hand is right, 0.5 to 1.
    """

    alignment: Alignment
    hand: float


def place_map(
    data: CrystalData,
    sequence: str,
    frame: NetworkFrame,
    coefficients: NDArray[np.complex128],
    generator: torch.Generator,
) -> NetworkPlacement:
    """Find the origin shift and the hand of a map whose phases are right up to those.

    Atoms are refined against the amplitudes, starting from the map's phases. Their centre of mass
    belongs at the cell centre, and L residues tell the hand. Only shift and hand are taken from
    the atoms: the map remains the network's.

    Parameters
    ----------
    data, sequence
        The crystal.
    frame
        The network's.
    coefficients
        Of the map at `data.hkl`, shape (n,), complex.
    generator
        For the search of atoms.
    """
    problem = phasing_problem(data, (sequence,), 1)
    start = problem.expand(data.f * np.exp(1j * np.angle(coefficients)))[None]
    fraction = positive_fractions(problem, 1, generator)
    polished = polish_by_density_modification(problem, "network", start, fraction, 1, generator)
    atomic = atomic_candidates(problem, polished, generator)[0]
    placed = to_crystal_setting(problem, atomic, generator)

    known = data.measured & np.isfinite(placed.phi) & (np.abs(coefficients) > 0)
    target = data.f * np.exp(1j * np.radians(np.where(known, placed.phi, 0.0)))
    hkl = torch.from_numpy(data.hkl[known] @ frame.rotation.T)
    found, wanted = (
        hkl_to_grid(hkl, torch.from_numpy(values[known]), frame.shape)[None]
        for values in (coefficients, target)
    )
    return NetworkPlacement(align(found, wanted, wanted.abs().square()), placed.hand_probability)
