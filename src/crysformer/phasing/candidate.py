"""A phase set on its way to becoming the solution, with figures that never saw the truth."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from crysformer.peptide.model import PeptideModel
from crysformer.phasing.atoms.equal_atoms import EqualAtoms, estimate_atoms
from crysformer.phasing.atoms.recycling import drop_surplus, fit_atoms
from crysformer.phasing.cell_content import CellContent
from crysformer.phasing.dual_space.charge_flipping import amplitude_r, eliminate_low_density
from crysformer.phasing.dual_space.free_correlation import free_correlation, noise_floor
from crysformer.phasing.merit.confidence import confidence
from crysformer.phasing.problem import PhaseProblem

_ELIMINATIONS = 15
_CYCLES = 6
# Refining this many atoms against this many reflections takes about a second for eight starts.
_CHEAP_ATOMS = 60
_ATOMIC_D_MIN = 2.0
_COPIES = 8  # structures refined side by side
_ATOM_NUMBERS = (0.9, 1.0, 1.15)  # around the number estimated from a map


@dataclass(frozen=True, eq=False)
class Candidate:
    """One phase set in P1.

    Attributes
    ----------
    method
        Where the phases came from.
    F
        Measured amplitudes with the phases found, half grid.
    model
        Structure factors of what the phases stand for (modified density or atoms), half grid, on
        the scale of the problem.
    figures
        Figures of merit by name.
    confidence
        Probability that the phases are right.
    positive_fraction
        Share of voxels above the level in density modification.
    atoms
        The refined atoms, where there are any (a batch of one).
    peptide
        The peptide model that the phases are of, if they came from the sequence search.
    hand_log_odds
        What the phases' origin says for the hand that they have.
    symmetry
        What the space group left of the confidence, 0 to 1, if that was looked at.
    """

    method: str
    F: Tensor
    model: Tensor
    figures: dict[str, float]
    confidence: float
    positive_fraction: float
    atoms: EqualAtoms | None = None
    peptide: PeptideModel | None = None
    hand_log_odds: float = 0.0
    symmetry: float | None = None


def settle(
    problem: PhaseProblem,
    content: CellContent,
    method: str,
    F: Tensor,
    positive_fraction: Tensor,
    n_keep: int,
    generator: torch.Generator,
    deadline: float = math.inf,
) -> list[Candidate]:
    """Polish phases by density modification and rate them, best first.

    Parameters
    ----------
    problem, content
        The crystal.
    method
        Where the phases came from.
    F
        Phases, half grids (B, ...).
    positive_fraction
        Shape (B,).
    n_keep
        How many to keep, by R factor.
    generator
        For the cross-validation.
    deadline
        `time.monotonic` after which polishing and rating are cut short (large cells only need it).
    """
    sharpening = torch.full_like(positive_fraction, 0.25 * content.b_iso)
    F, model = eliminate_low_density(
        problem, F, _ELIMINATIONS, positive_fraction, sharpening, deadline
    )
    r = amplitude_r(problem, model)
    keep = r.argsort()[:n_keep]
    F, model, r, positive_fraction = F[keep], model[keep], r[keep], positive_fraction[keep.cpu()]
    free = free_correlation(problem, F, positive_fraction, generator, deadline)
    floor = noise_floor(problem)
    candidates = []
    for i in range(len(keep)):
        figures = {
            "r": float(r[i]),
            "free_correlation": float(free[i]),
            "noise": floor,
            "reflections_per_volume": problem.reflections_per_volume,
        }
        candidates.append(
            Candidate(
                method=method,
                F=F[i],
                model=model[i],
                figures=figures,
                confidence=confidence("density", figures),
                positive_fraction=float(positive_fraction[i]),
            )
        )
    return sorted(candidates, key=lambda c: c.confidence, reverse=True)


def number_of_atoms(problem: PhaseProblem, content: CellContent, candidate: Candidate) -> int:
    """Atoms in the cell: from the sequence, or else what the candidate's map looks like."""
    if content.n_atoms is not None:
        return content.n_atoms
    return estimate_atoms(problem, candidate.F, content.b_iso)


def atoms_are_cheap(problem: PhaseProblem, content: CellContent, candidate: Candidate) -> bool:
    """Whether atoms can be tried for every promising candidate."""
    if problem.data.d_min > _ATOMIC_D_MIN:
        return False
    return number_of_atoms(problem, content, candidate) <= _CHEAP_ATOMS


def with_atoms(
    problem: PhaseProblem,
    content: CellContent,
    candidates: list[Candidate],
    generator: torch.Generator,
    cycles: int = _CYCLES,
    deadline: float = math.inf,
) -> list[Candidate]:
    """Turn candidates into refined atoms and rate those, best first.

    Without a sequence several numbers of atoms around the estimated one are tried. Structures
    that share an R factor are the same; only one of each is returned. With more than one cycle
    (which is quick for small cells only) the best loses the atoms it does not need. After
    `deadline` (`time.monotonic`) each number of atoms gets a single cycle.
    """
    if not candidates:
        return []
    expected = number_of_atoms(problem, content, candidates[0])
    factors = (1.0,) if content.n_atoms is not None else _ATOM_NUMBERS
    rated: list[Candidate] = []
    for n_atoms in sorted({max(1, round(factor * expected)) for factor in factors}):
        rated += _fitted(problem, content, candidates, n_atoms, cycles, generator, deadline)
    return sorted(rated, key=lambda c: c.figures["r"])


def _fitted(
    problem: PhaseProblem,
    content: CellContent,
    candidates: list[Candidate],
    n_atoms: int,
    cycles: int,
    generator: torch.Generator,
    deadline: float,
) -> list[Candidate]:
    floor = noise_floor(problem)
    starts = torch.stack([c.F for c in candidates])
    if cycles > 1:  # what is left out at random differs between copies of one start
        starts = starts.repeat(math.ceil(_COPIES / len(starts)), 1, 1, 1)[:_COPIES]
    good_enough = 1.3 * floor + 0.02
    fit = fit_atoms(
        problem, starts, n_atoms, content.b_iso, cycles, generator, good_enough, deadline
    )
    share = candidates[0].positive_fraction
    distinct = [i for i in range(1, len(fit.r)) if float(fit.r[i] - fit.r[i - 1]) > 1e-3]
    slim = drop_surplus(problem, fit, deadline) if cycles > 1 else fit
    r = [float(slim.r[0]), *fit.r[distinct].tolist()]
    F = torch.cat([slim.F[:1], fit.F[distinct]])
    atoms = [slim.atoms[:1], *(fit.atoms[slice(i, i + 1)] for i in distinct)]
    phased = problem.with_amplitudes(F)
    free = free_correlation(problem, phased, torch.full((len(r),), share), generator)
    rated: list[Candidate] = []
    for i in range(len(r)):
        figures = {
            "r": r[i],
            "free_correlation": float(free[i]),
            "noise": floor,
            "reflections_per_volume": problem.reflections_per_volume,
            "reflections_per_atom": problem.n_independent / atoms[i].frac.shape[1],
        }
        rated.append(
            Candidate(
                method=candidates[0].method,
                F=phased[i],
                model=F[i],
                figures=figures,
                confidence=confidence("atoms", figures),
                positive_fraction=share,
                atoms=atoms[i],
            )
        )
    return rated
