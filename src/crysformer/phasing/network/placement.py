"""Origin and hand of a map that a network has come to, by what is known of every peptide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from crysformer.crystal.comparison.alignment import Alignment, align
from crysformer.crystal.fourier.grids import hkl_to_grid
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.symmetry import expand_to_p1
from crysformer.phasing.candidate import settle, with_atoms
from crysformer.phasing.cell_content import cell_content, positive_fractions
from crysformer.phasing.network.frame import NetworkFrame
from crysformer.phasing.origin.crystal_setting import place
from crysformer.phasing.problem import phase_problem


@dataclass(frozen=True, eq=False)
class NetworkPlacement:
    """How to move a map to where its molecule belongs.

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
    p1, mapping = expand_to_p1(data)
    problem = phase_problem(p1, "cpu", mapping.parent)
    content = cell_content(data, (sequence,), 1)
    phased = np.where(data.measured, data.f, 0.0) * np.exp(1j * np.angle(coefficients))
    share = positive_fractions(content, problem.cell.volume, data.d_min, 1, generator)
    F = problem.to_grid(phased / problem.scale)[None]
    settled = settle(problem, content, "network", F, share, 1, generator)
    atomic = with_atoms(problem, content, settled, generator)[0]
    placed = place(data, mapping, problem, content, atomic, generator)

    known = data.measured & np.isfinite(placed.phi) & (np.abs(coefficients) > 0)
    target = data.f * np.exp(1j * np.radians(np.where(known, placed.phi, 0.0)))
    hkl = torch.from_numpy(data.hkl[known] @ frame.rotation.T)
    found, wanted = (
        hkl_to_grid(hkl, torch.from_numpy(values[known]), frame.shape)[None]
        for values in (coefficients, target)
    )
    return NetworkPlacement(align(found, wanted, wanted.abs().square()), placed.hand)
