"""Hand of a candidate, from its atoms and from the origin of its phases."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import numpy as np
import torch

from crysformer.peptide.chain import parse_chain
from crysformer.phasing.atoms.atomic_candidates import (
    AtomSettings,
    atomic_candidates,
    number_of_atoms,
)
from crysformer.phasing.atoms.atomic_structure import AtomicStructure
from crysformer.phasing.budget import GRACE
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.cell_content import CellContent
from crysformer.phasing.origin.chirality import HandEvidence, chirality
from crysformer.phasing.problem import PhasingProblem

# Atoms for the hand alone: more would take too long, and maps of lower resolution show no atoms.
_MAX_ATOMS, _D_MIN = 250, 2.0
_BOND_ERROR, _BOND_ERROR_PER_R = 0.05, 0.8  # A, of equal atoms
_WITH_ELEMENTS_ERROR, _WITH_ELEMENTS_ERROR_PER_R = 0.03, 0.5


def hand_of(
    problem: PhasingProblem,
    candidate: Candidate,
    generator: torch.Generator,
    deadline: float = math.inf,
) -> tuple[Candidate, HandEvidence]:
    """Evidence for the hand that a candidate has, and the candidate with the atoms that tell it.

    Parameters
    ----------
    problem
        The crystal.
    candidate
        Gets atoms, if it has none and they can be found in reasonable time.
    generator
        For the search of atoms.
    deadline
        `time.monotonic` at which the search of atoms is cut short; none is begun after it.
    """
    candidate = _atomic(problem, candidate, generator, deadline)
    evidence = _chirality(problem, candidate)
    # symmetry mates repeat the same evidence
    odds = evidence.log_odds / problem.n_operators + candidate.hand_log_odds
    odds *= _net_hand(problem.content)
    return candidate, replace(evidence, log_odds=odds)


def log_odds_of_structure(problem: PhasingProblem, structure: AtomicStructure) -> float:
    """Log odds that atoms with elements have the hand of the sequence, or are L without one."""
    if len(structure) > _MAX_ATOMS:
        return 0.0
    error = _WITH_ELEMENTS_ERROR + _WITH_ELEMENTS_ERROR_PER_R * structure.r
    number = structure.number.astype(np.float64)
    evidence = chirality(structure.frac, structure.occupancy, problem.data.orth, error, number)
    return evidence.log_odds * _net_hand(problem.content)


def _atomic(
    problem: PhasingProblem, candidate: Candidate, generator: torch.Generator, deadline: float
) -> Candidate:
    late = time.monotonic() > deadline
    if candidate.atoms is not None or problem.data.d_min > _D_MIN or late:
        return candidate
    if number_of_atoms(problem, candidate) > _MAX_ATOMS:
        return candidate
    once = AtomSettings(cycles=1)
    rated_by = deadline - GRACE
    atomic = atomic_candidates(problem, [candidate], generator, once, rated_by)[0]
    return replace(candidate, atoms=atomic.atoms)


def _chirality(problem: PhasingProblem, candidate: Candidate) -> HandEvidence:
    if candidate.atoms is None or candidate.atoms.frac.shape[1] > _MAX_ATOMS:
        return HandEvidence(0.0, 0)
    return chirality(
        candidate.atoms.frac[0].cpu().numpy(),
        candidate.atoms.occupancy[0].cpu().numpy(),
        problem.grid.orth.cpu().numpy(),
        _BOND_ERROR + _BOND_ERROR_PER_R * candidate.figures.r,
    )


def _net_hand(content: CellContent) -> float:
    """L residues less D residues, as a fraction of the chiral ones; 1 where nothing is known."""
    chains = [parse_chain(sequence) for sequence in content.sequences]
    chiral = sum(len(chain.letters) - len(chain.achiral) for chain in chains)
    mirrored = sum(len(chain.d_residues) for chain in chains)
    return 1 - 2 * mirrored / chiral if chiral else 1.0
