"""Charge flipping and RAAR as methods of the solver: batches of random starts, polished."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from crysformer.phasing.atoms.atomic_candidates import with_quick_atoms
from crysformer.phasing.budget import Budget
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.dual_space.charge_flipping import charge_flipping, random_phases
from crysformer.phasing.dual_space.normalised_flipping import (
    OnePeaked,
    OneSettled,
    normalised_amplitudes,
    normalised_flipping,
)
from crysformer.phasing.dual_space.polishing import polish_by_density_modification
from crysformer.phasing.dual_space.raar import raar
from crysformer.phasing.dual_space.starting_parameters import positive_fractions, supports
from crysformer.phasing.method import TurnCounter
from crysformer.phasing.problem import PhasingProblem
from crysformer.settings import setting

if TYPE_CHECKING:
    from crysformer.phasing.settings import SolveSettings

_RESERVED = 60  # iterations that take as long as the polishing that follows them


@dataclass(frozen=True)
class RandomStartSettings:
    """Batches of random starts, for charge flipping and RAAR alike."""

    voxels: int = setting(
        600_000,
        "Grid points of a batch; a batch of small cells takes about a second on a core.",
        min=1,
    )
    first_starts: int = setting(
        24, "Starts of the first batch; most small cells are solved by the first few.", min=1
    )
    max_starts: int = setting(64, "Starts of later batches.", min=1)
    more_iterations: int = setting(
        50,
        "Iterations added with every batch: hard structures need longer runs, not only more.",
        min=0,
    )
    max_iterations: int = setting(1000, "Iterations that no batch exceeds.", min=1)
    b_left: tuple[float, float] = setting(
        (-2.0, 10.0),
        "Range of the B that sharpening leaves the atoms; the best one differs between cells.",
        unit="A^2",
        min=-50.0,
        max=100.0,
    )
    kept: int = setting(8, "Starts of a batch that become candidates, by R factor.", min=1)


@dataclass(frozen=True)
class ChargeFlippingSettings:
    """Charge flipping."""

    iterations: int = setting(200, "Iterations of the first batch.", min=1)
    normalised_d_min: float = setting(
        1.2,
        "Resolution from which normalised amplitudes are flipped, with weak reflections shifted.",
        unit="A",
        min=0.0,
        max=5.0,
    )
    normalised_starts: int = setting(12, "Starts of the first batch of those.", min=1)
    normalised_group: int = setting(
        4, "Starts that run together in that batch, which ends with a group that convinces.", min=1
    )
    long_starts: int = setting(
        4, "Starts of later batches of those: few, since converging takes them long.", min=1
    )
    long_iterations: int = setting(
        2500, "Iterations of later batches of those, unless one converges.", min=1
    )
    threshold: float = setting(
        1.2, "Density that they leave as it is, in standard deviations.", min=0.0, max=10.0
    )
    weak_fraction: float = setting(
        0.3, "Fraction of the reflections that they shift by 90 degrees.", min=0.0, max=0.9
    )


@dataclass(frozen=True)
class RaarSettings:
    """Relaxed averaged alternating reflections."""

    first_iterations: int = setting(
        60,
        "Iterations of a first attempt with the first batch, which is enough for most exact data; "
        "if no start converges, it continues with `iterations`. 0 for none.",
        min=0,
    )
    first_starts: int = setting(
        8,
        "Starts of a batch up to which there is such an attempt: in smaller cells, with more "
        "starts, it saves little, and fewer converged starts give poorer atoms.",
        min=0,
    )
    converged: float = setting(
        0.5,
        "Misfit to the support, relative to that after ten iterations, at which a start of the "
        "first attempt has converged; then it ends.",
        min=0.0,
        max=1.0,
    )
    iterations: int = setting(150, "Iterations of the first batch.", min=1)
    beta: float = setting(
        0.82, "Relaxation: 1 is the difference map, less is steadier.", min=0.1, max=1.0
    )


class RandomStarts(TurnCounter):
    """One batch of random starts in each turn, longer ones each time."""

    name: ClassVar[str]
    own: ChargeFlippingSettings | RaarSettings
    unit: ClassVar[str] = "starts"

    def __init__(self, problem: PhasingProblem, settings: SolveSettings) -> None:
        super().__init__()
        self.problem = problem
        self.settings = settings.random_starts
        self._atoms = settings.atoms
        self._convinced = settings.pool.convinced

    def advance(self, budget: Budget) -> list[Candidate]:
        """Run one batch, polish it, and refine atoms where that is quick."""
        settings, problem = self.settings, self.problem
        n = max(1, min(self._most_starts(), settings.voxels // problem.grid.n_voxels))
        generator = budget.generator
        fractions = positive_fractions(problem, n, generator)
        low, high = settings.b_left
        left = low + (high - low) * torch.rand(n, generator=generator)
        sharpening = (problem.content.b_iso - left).clamp(min=0)
        found: list[Candidate] = []
        size = self._group(n)
        kept = math.ceil(settings.kept * size / n)
        for rows in (slice(i, i + size) for i in range(0, n, size)):
            F = random_phases(problem.grid, len(fractions[rows]), generator)
            self.tried += len(F)
            F = self._iterate(F, self._iterations(), fractions[rows], sharpening[rows], budget)
            polished = polish_by_density_modification(
                problem, self.name, F, fractions[rows], kept, generator, budget.rated_by
            )
            found += polished
            convinced = bool(polished) and polished[0].confidence >= self._convinced
            if convinced or time.monotonic() >= budget.until:
                break
        self.turns += 1
        found.sort(key=lambda c: c.confidence, reverse=True)
        return with_quick_atoms(
            problem, found[: settings.kept], generator, self._atoms, budget.until, self._convinced
        )

    def _group(self, n: int) -> int:
        """Starts of a batch of `n` that run together."""
        return n

    def _most_starts(self) -> int:
        return self.settings.max_starts if self.turns else self.settings.first_starts

    def _iterations(self) -> int:
        more = self.settings.more_iterations * self.turns
        return min(self.own.iterations + more, self.settings.max_iterations)

    def _iterate(
        self, F: Tensor, iterations: int, fractions: Tensor, sharpening: Tensor, budget: Budget
    ) -> Tensor:
        raise NotImplementedError


class ChargeFlipping(RandomStarts):
    """Charge flipping from random phases, of normalised amplitudes at atomic resolution."""

    name = "charge-flipping"
    own: ChargeFlippingSettings

    def __init__(self, problem: PhasingProblem, settings: SolveSettings) -> None:
        super().__init__(problem, settings)
        self.own = settings.charge_flipping
        self._e: Tensor | None = None
        if problem.data.d_min <= self.own.normalised_d_min:
            self._e = normalised_amplitudes(problem)

    def _most_starts(self) -> int:
        most = super()._most_starts()
        if self._e is None:
            return most
        return min(most, self.own.long_starts if self.turns else self.own.normalised_starts)

    def _group(self, n: int) -> int:
        return n if self._e is None or self.turns else min(n, self.own.normalised_group)

    def _iterations(self) -> int:
        if self._e is not None and self.turns:
            return self.own.long_iterations
        return super()._iterations()

    def _iterate(
        self, F: Tensor, iterations: int, fractions: Tensor, sharpening: Tensor, budget: Budget
    ) -> Tensor:
        if self._e is not None:
            return normalised_flipping(
                self.problem,
                F,
                self._e,
                iterations,
                self.own.threshold,
                self.own.weak_fraction,
                budget.until,
                _RESERVED,
                stop=OnePeaked() if self.turns else OneSettled(),
            )
        return charge_flipping(
            self.problem.grid, F, iterations, fractions, sharpening, budget.until, _RESERVED
        )


class Raar(RandomStarts):
    """RAAR with a support that follows the density, from random phases."""

    name = "raar"
    own: RaarSettings

    def __init__(self, problem: PhasingProblem, settings: SolveSettings) -> None:
        super().__init__(problem, settings)
        self.own = settings.raar

    def _iterate(
        self, F: Tensor, iterations: int, fractions: Tensor, sharpening: Tensor, budget: Budget
    ) -> Tensor:
        grid, own = self.problem.grid, self.own
        fraction, width = supports(self.problem, len(F), budget.generator)
        if not self.turns and own.first_iterations and len(F) <= own.first_starts:
            F, misfit = raar(
                grid, F, own.first_iterations, fraction, width, sharpening, budget.until, _RESERVED,
                beta=own.beta, converged=own.converged,
            )  # fmt: skip
            if bool((misfit < own.converged).any()):
                return F
        return raar(
            grid, F, iterations, fraction, width, sharpening, budget.until, _RESERVED,
            beta=own.beta,
        )[0]  # fmt: skip
