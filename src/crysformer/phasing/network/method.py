"""The network as a method of the solver: trajectories polished by density modification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crysformer.errors import NotApplicable
from crysformer.models.weights import weights_path
from crysformer.models.weights_description import read_info
from crysformer.phasing.atoms.atomic_candidates import with_quick_atoms
from crysformer.phasing.budget import Budget
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.dual_space.polishing import polish_by_density_modification
from crysformer.phasing.dual_space.starting_parameters import positive_fractions
from crysformer.phasing.method import TurnCounter
from crysformer.phasing.network.applicability import check_applicable, fitting_weights
from crysformer.phasing.network.trajectory import NetworkRunner
from crysformer.phasing.problem import PhasingProblem
from crysformer.settings import setting

if TYPE_CHECKING:
    from crysformer.phasing.settings import SolveSettings


@dataclass(frozen=True)
class NetworkSettings:
    """The network as a phasing method."""

    weights: str = setting(
        "", "Packaged name or file of the weights; empty: the packaged ones that fit."
    )


class Network(TurnCounter):
    """One recycling run of the network in each turn.

    Raises
    ------
    NotApplicable
        If the crystal is not of the kind the network was trained on.
    """

    name = "network"
    unit = "predictions"

    def __init__(self, problem: PhasingProblem, settings: SolveSettings) -> None:
        super().__init__()
        content = problem.content
        if problem.symmetric:
            raise NotApplicable(f"it applies to P 1, not {problem.data.space_group.xhm()}")
        if not content.sequences:
            raise NotApplicable("it needs `sequence`, and none is given")
        if content.copies > 1:
            raise NotApplicable(f"it applies to one molecule a cell, not {content.copies}")
        self._weights = settings.network.weights
        if self._weights:
            info = read_info(weights_path(self._weights))
            check_applicable(problem.data, content.sequences, info)
        else:
            self._weights = fitting_weights(problem.data, content.sequences)
        self.problem = problem
        self._atoms = settings.atoms
        self._runner: NetworkRunner | None = None

    def advance(self, budget: Budget) -> list[Candidate]:
        """Run the network from new random phases, polish the result, and refine atoms."""
        problem, generator = self.problem, budget.generator
        if self._runner is None:  # loading takes about a second
            self._runner = NetworkRunner(
                problem.data, problem.content.sequences, self._weights, problem.device
            )
        trajectory = self._runner.run(generator, budget.until)
        self.tried += 1
        self.turns += 1
        F = self._runner.coefficients(trajectory.density)
        phased = problem.data.f * np.exp(1j * np.angle(F))
        # beyond the network's resolution density modification has to find the phases
        start = problem.expand(np.where(F != 0, phased, np.nan))
        fraction = positive_fractions(problem, 1, generator)
        found = polish_by_density_modification(
            problem, self.name, start[None], fraction, 1, generator, budget.rated_by
        )
        return with_quick_atoms(problem, found, generator, self._atoms, budget.until)
