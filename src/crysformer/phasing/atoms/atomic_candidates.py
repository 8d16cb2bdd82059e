"""Candidates of refined atoms, from candidates of density."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from crysformer.phasing.atoms.equal_atoms import estimate_atoms
from crysformer.phasing.atoms.recycling import RecyclingSettings, drop_surplus, fit_atoms
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.dual_space.free_correlation import free_correlation
from crysformer.phasing.merit.figures import AtomFigures
from crysformer.phasing.merit.r_factor import noise_floor
from crysformer.phasing.problem import PhasingProblem
from crysformer.settings import setting, table

_COPIES = 8  # structures refined side by side
_DISTINCT_R = 1e-3  # structures whose R factors differ by less are the same
# R factor that ends the cycles, from that of a perfect model.
_GOOD_ENOUGH_FACTOR, _GOOD_ENOUGH_OFFSET = 1.3, 0.02


@dataclass(frozen=True)
class AtomSettings:
    """Atoms refined from every promising candidate, where that is quick."""

    max_atoms: int = setting(
        60, "Atoms in the cell up to which they are refined at once.", min=0, max=10_000
    )
    d_min: float = setting(
        2.0,
        "Resolution needed; maps of lower resolution show no atoms.",
        unit="A",
        min=0.3,
        max=4.0,
    )
    superfluous_d_min: float = setting(
        1.0,
        "Resolution from which convincing density gets no equal atoms, as the atoms with elements "
        "of the solution follow; 0 for never.",
        unit="A",
        min=0.0,
        max=2.0,
    )
    cycles: int = setting(6, "Cycles of leaving atoms out and finding them again.", min=1, max=100)
    numbers: tuple[float, ...] = setting(
        (0.9, 1.0, 1.15),
        "Numbers of atoms tried without a sequence, relative to the estimate from the map.",
        min=0.1,
        max=10.0,
    )
    recycling: RecyclingSettings = table(
        RecyclingSettings, "Atoms left out and found again, and the refinement in between."
    )


def number_of_atoms(problem: PhasingProblem, candidate: Candidate) -> int:
    """Atoms in the cell: from the sequence, or else estimated from the candidate's map."""
    content = problem.content
    if content.n_atoms is not None:
        return content.n_atoms
    return estimate_atoms(problem.grid, candidate.F, content.b_iso)


def atoms_are_quick(
    problem: PhasingProblem, candidate: Candidate, settings: AtomSettings | None = None
) -> bool:
    """True if atoms can be tried for every promising candidate."""
    settings = settings or AtomSettings()
    if problem.data.d_min > settings.d_min:
        return False
    return number_of_atoms(problem, candidate) <= settings.max_atoms


def atomic_candidates(
    problem: PhasingProblem,
    candidates: Sequence[Candidate],
    generator: torch.Generator,
    settings: AtomSettings | None = None,
    deadline: float = math.inf,
) -> list[Candidate]:
    """Turn candidates into refined atoms and rate those, best first.

    Without a sequence several numbers of atoms around the estimated one are tried. Structures
    that share an R factor are the same; only one of each is returned. With more than one cycle
    (which is quick for small cells only) the best loses the atoms it does not need. After
    `deadline` (`time.monotonic`) only one number of atoms is tried, in a single cycle.
    """
    if not candidates:
        return []
    settings = settings or AtomSettings()
    expected = number_of_atoms(problem, candidates[0])
    factors = (1.0,) if problem.content.n_atoms is not None else settings.numbers
    rated: list[Candidate] = []
    for n_atoms in sorted({max(1, round(factor * expected)) for factor in factors}):
        if rated and time.monotonic() > deadline:
            break
        rated += _fitted(problem, candidates, n_atoms, settings, generator, deadline)
    return sorted(rated, key=lambda c: c.figures.r)


def with_quick_atoms(
    problem: PhasingProblem,
    candidates: list[Candidate],
    generator: torch.Generator,
    settings: AtomSettings,
    deadline: float,
    convinced: float = math.inf,
) -> list[Candidate]:
    """The candidates, best first, and what refined atoms make of them where that is quick.

    Nothing is refined for a crystal whose atoms are too many, or after `deadline`, or at atomic
    resolution if the first has a confidence of at least `convinced`.
    """
    if not candidates or time.monotonic() >= deadline:
        return candidates
    if problem.data.d_min <= settings.superfluous_d_min and candidates[0].confidence >= convinced:
        return candidates
    if not atoms_are_quick(problem, candidates[0], settings):
        return candidates
    atomic = atomic_candidates(problem, candidates, generator, settings, deadline)
    return [*candidates, *atomic]


def _fitted(
    problem: PhasingProblem,
    candidates: Sequence[Candidate],
    n_atoms: int,
    settings: AtomSettings,
    generator: torch.Generator,
    deadline: float,
) -> list[Candidate]:
    grid, cycles, recycling = problem.grid, settings.cycles, settings.recycling
    noise = noise_floor(grid)
    starts = torch.stack([c.F for c in candidates])
    if cycles > 1:
        starts = starts[:_COPIES]
    good_enough = _GOOD_ENOUGH_FACTOR * noise + _GOOD_ENOUGH_OFFSET
    fit = fit_atoms(
        grid,
        starts,
        n_atoms,
        problem.content.b_iso,
        cycles,
        generator,
        good_enough,
        deadline,
        copies=_COPIES,  # what is left out at random differs between copies of one start
        settings=recycling,
    )
    fraction = candidates[0].positive_fraction
    distinct = [i for i in range(1, len(fit.r)) if float(fit.r[i] - fit.r[i - 1]) > _DISTINCT_R]
    slim = drop_surplus(grid, fit, deadline, settings=recycling) if cycles > 1 else fit
    r = [float(slim.r[0]), *fit.r[distinct].tolist()]
    F = torch.cat([slim.F[:1], fit.F[distinct]])
    atoms = [slim.atoms[:1], *(fit.atoms[slice(i, i + 1)] for i in distinct)]
    phased = grid.with_amplitudes(F)
    free = free_correlation(grid, phased, torch.full((len(r),), fraction), generator, deadline)
    return [
        Candidate(
            method=candidates[0].method,
            F=phased[i],
            model=F[i],
            figures=AtomFigures(
                r=r[i],
                free_correlation=float(free[i]),
                noise=noise,
                reflections_per_volume=grid.reflections_per_volume,
                reflections_per_atom=grid.n_independent / atoms[i].frac.shape[1],
            ),
            positive_fraction=fraction,
            atoms=atoms[i],
        )
        for i in range(len(r))
    ]
