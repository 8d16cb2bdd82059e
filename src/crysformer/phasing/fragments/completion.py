"""From a placed fragment to the whole structure, by density modification in P1."""

from __future__ import annotations

import time

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import i0e, i1e
from torch import Tensor

from crysformer.crystal.normalisation import epsilon_factors, normalized_amplitudes, normalized_e
from crysformer.crystal.reflections import CrystalData
from crysformer.phasing.dual_space.density_modification import eliminate_low_density
from crysformer.phasing.dual_space.dynamic_density_modification import (
    DynamicSettings,
    modify_dynamically,
)
from crysformer.phasing.dual_space.free_correlation import free_correlation
from crysformer.phasing.p1_grid import P1Grid
from crysformer.phasing.problem import PhasingProblem

_ITERATIONS = 20  # between looks at the clock
_FRAGMENT_RMS = 0.3  # A, of an ideal fragment's atoms in place
_PHASE_ERROR = 1.0  # radians: random errors of 46 degrees on average

Rounds = tuple[tuple[int, int], ...]
"""Starts that take part in each round of density modification, and their iterations."""


def weighted_start(
    problem: PhasingProblem, data: CrystalData, F: NDArray[np.complex128], fraction: float
) -> Tensor:
    """Measured amplitudes with a fragment's phases and Sim's weights, on the half grid of P1.

    Parameters
    ----------
    problem
        The crystal.
    data
        Its amplitudes in the space group that the fragment was placed in (the problem's own or the
        other one of an enantiomorphic pair).
    F
        Structure factors of the fragment and its symmetry mates, shape (n,), with the origin and
        hand of the problem's own space group.
    fraction
        Fraction of the scattering power in the fragment, 0 to 1.
    """
    modulus = np.where(data.measured, np.abs(F), np.nan)
    e_c = normalized_amplitudes(modulus, data.d, epsilon_factors(data.hkl, data.space_group))
    e_o = normalized_e(data)
    centric = data.space_group.operations().centric_flag_array(data.hkl)
    # sigma_A of an incomplete model with coordinate errors (Read, Acta Cryst. A42, 140, 1986)
    sigma_a = np.sqrt(fraction) * np.exp(-2 / 3 * np.pi**2 * _FRAGMENT_RMS**2 / data.d**2)
    x = np.nan_to_num(2 * sigma_a * e_o * e_c / (1 - sigma_a**2))
    fom = np.where(centric, np.tanh(x / 2), i1e(x) / i0e(x))
    f = np.where(data.measured, data.f * fom, 0.0)
    return problem.expand(f * np.exp(1j * np.angle(F)))


def complete_structure(
    grid: P1Grid,
    start: Tensor,
    positive_fraction: float,
    b_iso: float,
    rounds: Rounds,
    generator: torch.Generator,
    deadline: float,
    *,
    enough: float = 1.0,
    dynamic: DynamicSettings | None = None,
) -> tuple[Tensor, Tensor]:
    """Find the rest of a structure by density modification, from several starts.

    Dynamic density modification comes first, whose weights keep what a part of the structure does
    not tell from doing harm; then low-density elimination, which imposes all amplitudes.

    Parameters
    ----------
    grid
        The crystal in P1.
    start
        Weighted amplitudes with phases, half grids (B, ...), best first.
    positive_fraction
        Fraction of the voxels above the level.
    b_iso
        Mean B of the atoms, A^2; it is taken away from the amplitudes, without which density
        modification gets nowhere.
    rounds
        Number of starts in each round of low-density elimination, and of iterations of each.
    generator
        For the cross-validation that chooses among them.
    deadline
        `time.monotonic` after which the round under way is the last.
    enough
        Free correlation that wrong phases never come near: the starts that follow are left out.
    dynamic
        Settings of dynamic density modification.

    Returns
    -------
    (F, free)
        Measured amplitudes with the phases found, half grids (m, ...), best first, and their free
        correlations, shape (m,).
    """
    F = start
    free = torch.zeros(len(F))
    fraction, sharpening = torch.tensor([positive_fraction]), torch.tensor([b_iso])
    for number, (n, iterations) in enumerate(rounds):
        done: list[Tensor] = []
        rated: list[Tensor] = []
        # one after the other: large maps gain nothing from sharing an FFT, and sixteen of a large
        # cell would not fit into memory
        for one in F[:n]:
            phased = one[None]
            if number == 0:
                phased = modify_dynamically(grid, phased, deadline, settings=dynamic)
            for _ in range(max(1, iterations // _ITERATIONS)):
                phased, _ = eliminate_low_density(grid, phased, _ITERATIONS, fraction, sharpening)
                if time.monotonic() > deadline:
                    break
            done.append(phased)
            rated.append(free_correlation(grid, phased, fraction, generator, deadline))
            if float(rated[-1]) > enough or time.monotonic() > deadline:
                break
        F, free = torch.cat(done), torch.cat(rated).cpu()
        order = free.argsort(descending=True)
        F, free = F[order], free[order]
        if time.monotonic() > deadline:
            break
    return F, free


def without_symmetry(
    grid: P1Grid,
    F: Tensor,
    positive_fraction: float,
    b_iso: float,
    generator: torch.Generator,
    deadline: float,
) -> Tensor:
    """The same phases after large random errors that no symmetry relates, completed again.

    A fragment is placed with all of its symmetry mates, and density modification keeps what it
    starts with: agreement between mates proves nothing. Phases that come back to the symmetry from
    such errors were worth something.

    Parameters
    ----------
    grid, positive_fraction, b_iso, generator, deadline
        As `complete_structure`.
    F
        Half grids (B, ...).
    """
    angle = _PHASE_ERROR * torch.randn(F.shape, generator=generator).to(grid.device)
    shaken = F * torch.polar(torch.ones_like(angle), angle)
    return complete_structure(
        grid, shaken, positive_fraction, b_iso, ((len(F), 60),), generator, deadline
    )[0]
