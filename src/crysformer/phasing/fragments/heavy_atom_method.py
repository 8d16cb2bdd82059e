"""Sulphur atoms as a start: the method of the solver that completes them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from crysformer.crystal.reflections import CrystalData
from crysformer.errors import NotApplicable
from crysformer.phasing.atoms.free_atoms import FreeAtomSettings
from crysformer.phasing.budget import Budget
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.fragments.applicability import check_atomic_resolution
from crysformer.phasing.fragments.completion import complete_structure, weighted_start
from crysformer.phasing.fragments.free_atom_completion import atoms_from_phases
from crysformer.phasing.fragments.heavy_atom_sites import (
    HeavyAtomSearch,
    HeavyAtomSettings,
    HeavySites,
    number_of_sulphurs,
)
from crysformer.phasing.method import TurnCounter
from crysformer.phasing.problem import PhasingProblem
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget
from crysformer.settings import setting, table

if TYPE_CHECKING:
    from crysformer.phasing.settings import SolveSettings

_SULPHUR = 16
_Z_SQ_SULPHUR, _Z_SQ = 256.0, 43.0  # scattering power of sulphur, and the mean of C, N and O


@dataclass(frozen=True)
class SulphurSettings:
    """Sulphur atoms found by translation functions, then completed."""

    max_d_min: float = setting(
        1.3, "Resolution limit needed to complete a structure.", unit="A", min=0.5, max=3.0
    )
    sets: int = setting(8, "Sets of sulphur atoms completed.", min=1, max=1000)
    iterations: int = setting(
        40, "Iterations of density modification for every set.", min=1, max=10_000
    )
    continued: int = setting(3, "Sets that go on after that.", min=1, max=1000)
    further_iterations: int = setting(100, "Iterations for those.", min=1, max=10_000)
    positive_fraction: float = setting(
        0.3,
        "Fraction of the voxels above the level; the refinement of free atoms sorts out the rest.",
        min=0.01,
        max=0.9,
    )
    right_r: float = setting(
        0.2, "R factor of free atoms below which no other set is tried.", min=0.0, max=1.0
    )
    sites: HeavyAtomSettings = table(HeavyAtomSettings, "Search for the sites.")
    free_atoms: FreeAtomSettings = table(
        FreeAtomSettings, "Free atoms grown from the completed sulphurs."
    )


class Sulphurs(TurnCounter):
    """Sulphur atoms, completed by density modification and then by free atoms, in one turn.

    Raises
    ------
    NotApplicable
        If there are no sulphurs, or too many to be found one by one, or the resolution is too low.
    """

    name = "sulphurs"
    unit = "sets of sulphur atoms"

    def __init__(self, problem: PhasingProblem, settings: SolveSettings) -> None:
        super().__init__()
        self.settings = settings.sulphurs
        check_atomic_resolution(problem.data, self.settings.max_d_min)
        self._n = number_of_sulphurs(problem.content, settings=self.settings.sites)
        if not self._n:
            raise NotApplicable("it needs `sequence`, with one to a few C or M residues")
        self.problem = problem

    def advance(self, budget: Budget) -> list[Candidate]:
        """Find the sulphurs and complete the best sets of them; candidates best first."""
        self.turns += 1
        problem, settings = self.problem, self.settings
        data, content, n = problem.data, problem.content, self._n
        budget.report(f"placing {n} sulphur atoms")
        sites = HeavyAtomSearch(data, settings=settings.sites).find(n, budget.until)
        sites = sites[: settings.sets]
        self.tried += len(sites)
        n_asu = (content.n_atoms or 0) // problem.n_operators
        fraction = n * _Z_SQ_SULPHUR / (n * _Z_SQ_SULPHUR + (n_asu - n) * _Z_SQ)
        starts = [
            weighted_start(problem, data, F, fraction)
            for F in _structure_factors(data, sites, content.b_iso)
        ]
        budget.report("completing the sulphurs")
        rounds = (
            (settings.sets, settings.iterations),
            (settings.continued, settings.further_iterations),
        )
        F, _ = complete_structure(
            problem.grid,
            torch.stack(starts),
            settings.positive_fraction,
            content.b_iso,
            rounds,
            budget.generator,
            budget.rated_by,
        )
        found: list[Candidate] = []
        for one in F:
            if found and time.monotonic() > budget.until:
                break
            budget.report("growing free atoms")
            found.append(
                atoms_from_phases(problem, self.name, one, budget, settings=settings.free_atoms)
            )
            if found[-1].figures.r < settings.right_r:
                break
        self.finished = time.monotonic() < budget.until
        return sorted(found, key=lambda c: c.confidence, reverse=True)


def _structure_factors(
    data: CrystalData, sites: list[HeavySites], b_iso: float
) -> NDArray[np.complex128]:
    """F of each set of sulphurs with its mates, shape (sets, n_data), electrons."""
    xyz = torch.as_tensor(np.array([s.frac @ data.orth.T for s in sites]), dtype=torch.float32)
    target = AmplitudeTarget(data, np.full(xyz.shape[1], _SULPHUR), b_iso, by_element=True)
    return np.nan_to_num(target.structure_factors(xyz))
