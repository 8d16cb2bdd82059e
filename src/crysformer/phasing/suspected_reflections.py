"""Reflections left out at the start of a search, and restored where a model explains them.

A single reflection of an impossible E keeps every method from converging; but a regular structure
has strong reflections in earnest. The search does without all of them. Its solution predicts their
amplitudes, which it has not seen: where it predicts a strong one, the measurement was right.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.crystal.fourier.grids import grid_to_hkl
from crysformer.crystal.normalisation import epsilon_factors, normalized_amplitudes
from crysformer.crystal.operators import operators
from crysformer.crystal.quality.outliers import Outliers
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.symmetry import expand_to_p1
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.dual_space.polishing import polish_by_density_modification
from crysformer.phasing.dual_space.starting_parameters import positive_fractions
from crysformer.phasing.merit.r_factor import amplitude_scale
from crysformer.phasing.p1_grid import p1_grid
from crysformer.phasing.problem import PhasingProblem

#: Fraction of the measured E that the model must reach; what was never imposed comes out too small.
_EXPLAINED: Final = 0.5


@dataclass(frozen=True, eq=False)
class Restored:
    """A solution with the suspected reflections.

    Attributes
    ----------
    problem, candidate
        With all reflections; those that are not explained have the model's amplitude, only to
        carry its phase.
    unexplained
        Flags of the rows of the data that the model does not explain, shape (n,).
    note
        What became of the suspected reflections, in words.
    """

    problem: PhasingProblem
    candidate: Candidate
    unexplained: NDArray[np.bool_]
    note: str


def restore(
    data: CrystalData,
    suspected: Outliers,
    problem: PhasingProblem,
    candidate: Candidate,
    generator: torch.Generator,
) -> Restored:
    """Put the suspected reflections back into a solution that was found without them.

    Parameters
    ----------
    data
        All measurements.
    suspected
        Reflections of `data` that `problem` lacks.
    problem, candidate
        The search and its solution.
    generator
        Random numbers for the density modification.
    """
    predicted = with_prediction(problem, candidate, generator)
    model = model_amplitudes(problem, predicted)
    used = problem.data.measured
    model = model * amplitude_scale(problem.data.f[used], np.nan_to_num(model)[used])
    rows = suspected.rows
    e = normalized_amplitudes(
        np.where(used | suspected.flags(len(data)), model, np.nan),
        data.d,
        epsilon_factors(data.hkl, data.space_group),
    )
    # beyond the others' resolution there is no grid to put it on
    usable = np.isfinite(model[rows]) & (model[rows] > 0)
    usable &= data.d[rows] >= problem.data.d_min * (1 - 1e-6)
    explained = usable & (np.nan_to_num(e[rows]) >= _EXPLAINED * suspected.e)
    f = problem.data.f.copy()
    f[rows[usable]] = model[rows[usable]]
    f[rows[explained]] = data.f[rows[explained]]
    everything = replace(data, f=f)
    expanded, mapping = expand_to_p1(everything)
    centring = operators(data.space_group).centring
    grid = p1_grid(expanded, problem.device, mapping.parent, centring)
    change = problem.grid.scale / grid.scale
    phases = torch.where(candidate.F.abs() > 0, candidate.F, predicted)
    unexplained = np.zeros(len(data), dtype=bool)
    unexplained[rows[~explained]] = True
    return Restored(
        problem=PhasingProblem(everything, grid, mapping, problem.content),
        candidate=replace(candidate, F=grid.with_amplitudes(phases), model=predicted * change),
        unexplained=unexplained,
        note=_note(suspected, explained),
    )


def with_prediction(
    problem: PhasingProblem, candidate: Candidate, generator: torch.Generator
) -> Tensor:
    """A candidate's model, half grid, and what its density says where the model has nothing.

    Models of atoms are calculated for the measured reflections; the modified density of their
    phases predicts the others.
    """
    fraction = candidate.positive_fraction
    fractions = (
        torch.tensor([fraction]) if fraction > 0 else positive_fractions(problem, 1, generator)
    )
    polished = polish_by_density_modification(
        problem, candidate.method, candidate.F[None], fractions, 1, generator
    )[0]
    return torch.where(candidate.model.abs() > 0, candidate.model, polished.model)


def model_amplitudes(problem: PhasingProblem, model: Tensor) -> NDArray[np.float64]:
    """Amplitudes of a model, half grid, at `problem.data.hkl`, shape (n,); NaN off the grid.

    The mean over symmetry mates, on the model's scale.
    """
    inside = problem.grid.on_grid
    hkl = problem.grid.data.hkl[inside]
    values = grid_to_hkl(model, torch.as_tensor(hkl)).abs().cpu().numpy()
    parent, n = problem.mapping.parent[inside], len(problem.data)
    count = np.bincount(parent, minlength=n)
    total = np.bincount(parent, values, n)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _note(suspected: Outliers, explained: NDArray[np.bool_]) -> str:
    parts = []
    if explained.any():
        parts.append(f"the solution explains {suspected.names(explained)}: used")
    if not explained.all():
        parts.append(f"it does not explain {suspected.names(~explained)}: left out")
    return "reflections too strong for Wilson's distribution: " + "; ".join(parts)
