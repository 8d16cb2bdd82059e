"""From phases to a candidate of free atoms, grown until R no longer falls."""

from __future__ import annotations

import time

import numpy as np
import torch

from crysformer.crystal.operators import operators
from crysformer.phasing.atomic_model import EqualAtoms
from crysformer.phasing.atoms.free_atoms import FreeAtoms, FreeAtomSettings, grow_atoms
from crysformer.phasing.budget import Budget
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.dual_space.free_correlation import free_correlation
from crysformer.phasing.dual_space.polishing import polish_by_density_modification
from crysformer.phasing.fragments.completion import without_symmetry
from crysformer.phasing.merit.figures import AtomFigures
from crysformer.phasing.merit.r_factor import noise_floor
from crysformer.phasing.origin.crystal_setting import symmetry_of
from crysformer.phasing.problem import PhasingProblem

_POSITIVE_FRACTION = 0.3  # of the voxels, in density modification of what atoms explain
_CYCLES, _MAX_REPEATS = 6, 8  # cycles of growth before R is looked at, and how often
_FALLING = 0.985  # R over that before, above which growing stops
# Parameters of a free atom (position, B, occupancy) over those of an equal atom.
_PARAMETERS_OVER_EQUAL = 1.25


def atoms_from_phases(
    problem: PhasingProblem,
    method: str,
    F: torch.Tensor,
    budget: Budget,
    *,
    settings: FreeAtomSettings | None = None,
) -> Candidate:
    """Grow free atoms from phases that have the origin of the space group.

    Parameters
    ----------
    problem
        The crystal.
    method
        Name of the method that found the phases.
    F
        Measured amplitudes with phases, half grid of P1.
    budget
        Nothing further is begun after `budget.until`.
    settings
        Of the free atoms.
    """
    data, content = problem.data, problem.content
    n_asu = (content.n_atoms or 0) // problem.n_operators
    atoms = grow_atoms(
        data, problem.average(F), n_asu, content.b_iso, _CYCLES, budget.until, settings=settings
    )
    for _ in range(_MAX_REPEATS):
        if time.monotonic() > budget.until:
            break
        phased = np.where(data.measured, data.f * np.exp(1j * np.angle(atoms.F)), np.nan)
        more = grow_atoms(
            data, phased, n_asu, content.b_iso, _CYCLES, budget.until, settings=settings
        )
        fell = more.r < _FALLING * atoms.r
        atoms = min(atoms, more, key=lambda a: a.r)
        if not fell:
            break
    return _candidate(problem, method, atoms, budget)


def _candidate(problem: PhasingProblem, method: str, atoms: FreeAtoms, budget: Budget) -> Candidate:
    """Free atoms as a candidate, with the symmetry that survives large phase errors."""
    grid, generator = problem.grid, budget.generator
    model = problem.expand(np.nan_to_num(atoms.F))
    F = grid.with_amplitudes(model[None])
    fraction = torch.tensor([_POSITIVE_FRACTION])
    free = free_correlation(grid, F, fraction, generator, budget.rated_by)
    figures = AtomFigures(
        r=atoms.r,
        free_correlation=float(free[0]),
        noise=noise_floor(grid),
        reflections_per_volume=grid.reflections_per_volume,
        reflections_per_atom=grid.n_independent / len(atoms.frac) / _PARAMETERS_OVER_EQUAL,
    )
    symmetry = 1.0
    if problem.symmetric:
        b_iso, end = problem.content.b_iso, budget.rated_by
        shaken = without_symmetry(grid, F, _POSITIVE_FRACTION, b_iso, generator, end)
        polished = polish_by_density_modification(
            problem, method, shaken, fraction, 1, generator, end
        )
        symmetry = symmetry_of(problem, polished[0])
    return Candidate(
        method=method,
        F=F[0],
        model=model,
        figures=figures,
        positive_fraction=_POSITIVE_FRACTION,
        atoms=_all_mates(problem, atoms),
        symmetry=symmetry,
    )


def _all_mates(problem: PhasingProblem, atoms: FreeAtoms) -> EqualAtoms:
    """The atoms and their symmetry mates, with one B for all."""
    n = problem.n_operators
    mates = operators(problem.data.space_group, centred=True)
    frac = np.concatenate([atoms.frac @ rotation.T + shift for rotation, shift in mates])
    return EqualAtoms(
        torch.as_tensor(frac, dtype=torch.float32)[None],
        torch.as_tensor(np.tile(atoms.occupancy, n), dtype=torch.float32)[None],
        torch.tensor([float(atoms.b_iso.mean())]),
    )
