"""Symmetry of a candidate whatever space group was stated, and its phases in the group found."""

from __future__ import annotations

from dataclasses import replace

import gemmi
import numpy as np
import torch

from crysformer.crystal.fourier.grids import grid_to_hkl
from crysformer.crystal.regrouping import in_space_group
from crysformer.peptide.chain import letters_of
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.origin.space_group_ranking import SpaceGroupFigures, rank_space_groups
from crysformer.phasing.origin.symmetry_correlation import StructureFactorLookup
from crysformer.phasing.problem import PhasingProblem, phasing_problem


def ranking_of(problem: PhasingProblem, candidate: Candidate) -> tuple[SpaceGroupFigures, ...]:
    """Space groups that the P1 phases of a candidate support (`rank_space_groups`).

    A sequence with a residue other than glycine is one hand of a chiral molecule.
    """
    chiral = any(set(letters_of(sequence)) - {"G"} for sequence in problem.content.sequences)
    listed = problem.listed(candidate.F)
    return rank_space_groups(problem.data, problem.grid.data.hkl, listed, chiral)


def symmetry_in_any_group(problem: PhasingProblem, candidate: Candidate) -> float:
    """Check a candidate against its Laue class alone: 1 if some group of it is supported, else 0.

    For data whose space group is not to be relied on, in place of `symmetry_of`: screw axes,
    glide planes and inversions are free, but amplitudes merged in a Laue class demand operators
    with its rotations.
    """
    if not problem.symmetric:
        return 1.0
    first = ranking_of(problem, candidate)[0]
    return float(first.supported and first.operators >= problem.n_operators)


def in_found_group(
    problem: PhasingProblem, candidate: Candidate, group: gemmi.SpaceGroup
) -> tuple[PhasingProblem, Candidate]:
    """The problem with its data merged in another group, and the candidate on the grid of that.

    Parameters
    ----------
    problem
        The crystal in the stated group.
    candidate
        Phases in P1; a peptide model stays behind, as its copies belong to the stated group.
    group
        The group found.
    """
    found = phasing_problem(in_space_group(problem.data, group), device=problem.device)
    # atoms and mean B of the cell do not depend on its symmetry; copies do
    copies = max(1, round(problem.content.copies * problem.n_operators / found.n_operators))
    found = replace(found, content=replace(problem.content, copies=copies))
    moved = [_moved(problem, F, found) for F in (candidate.F, candidate.model)]
    candidate = replace(candidate, F=moved[0], model=moved[1], peptide=None, symmetry=None)
    return found, candidate


def _moved(problem: PhasingProblem, F: torch.Tensor, found: PhasingProblem) -> torch.Tensor:
    """Half grid of one problem on that of the other, with the modulus of the former."""
    hkl = problem.grid.data.hkl[problem.grid.on_grid]
    values = grid_to_hkl(F, torch.as_tensor(hkl)).cpu().numpy().astype(np.complex128)
    lookup = StructureFactorLookup(hkl, values)
    return found.grid.to_grid(lookup(found.grid.data.hkl.astype(np.int64)))
