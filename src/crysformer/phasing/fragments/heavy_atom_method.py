"""From sulphur atoms to the whole structure."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.symmetry import P1Mapping
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.cell_content import CellContent
from crysformer.phasing.fragments.completion import expand, weighted_start
from crysformer.phasing.fragments.free_atom_completion import atoms_from_phases
from crysformer.phasing.fragments.heavy_atom_sites import (
    HeavyAtomSearch,
    HeavySites,
    number_of_sulphurs,
)
from crysformer.phasing.problem import PhaseProblem
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget

_SULPHUR = 16
_Z_SQ_SULPHUR, _Z_SQ = 256.0, 43.0  # scattering power of sulphur, and the mean of C, N and O
_TRIED = 8  # sets of sulphurs
# Sets that take part in each round of density modification, and their iterations.
_ROUNDS = ((_TRIED, 40), (3, 100))
_SHARE = 0.3  # of the voxels above the level: free atoms sort out the rest
_RIGHT_R = 0.2  # of free atoms: above it nothing is right that falls no more
_GRACE = 5.0


def sulphur_candidates(
    problem: PhaseProblem,
    data: CrystalData,
    mapping: P1Mapping,
    content: CellContent,
    generator: torch.Generator,
    deadline: float,
    report: Callable[[str], None] = lambda text: None,
) -> list[Candidate]:
    """Find the sulphurs, let density modification and then free atoms find the rest.

    Parameters
    ----------
    problem, data, mapping, content, generator, deadline, report
        As `crysformer.phasing.fragments.method.fragment_candidates`.

    Returns
    -------
    list of Candidate
        Free atoms, best first; empty if there are no sulphurs, or too many.
    """
    n = number_of_sulphurs(content)
    if not n:
        return []
    report(f"placing {n} sulphur atoms")
    sites = HeavyAtomSearch(data).find(n, deadline)[:_TRIED]
    n_asu = (content.n_atoms or 0) // len(data.space_group.operations())
    part = n * _Z_SQ_SULPHUR / (n * _Z_SQ_SULPHUR + (n_asu - n) * _Z_SQ)
    starts = [
        weighted_start(problem, data, mapping, F, part)
        for F in _structure_factors(data, sites, content.b_iso)
    ]
    report("completing the sulphurs")
    F, _ = expand(
        problem, torch.stack(starts), _SHARE, content.b_iso, _ROUNDS, generator, deadline + _GRACE
    )
    found: list[Candidate] = []
    for one in F:
        if found and time.monotonic() > deadline:
            break
        report("growing free atoms")
        candidate = atoms_from_phases(problem, data, mapping, content, one, generator, deadline)
        found.append(candidate)
        if candidate.figures["r"] < _RIGHT_R:
            break
    return sorted(found, key=lambda c: c.confidence, reverse=True)


def _structure_factors(
    data: CrystalData, sites: list[HeavySites], b_iso: float
) -> NDArray[np.complex128]:
    """F of each set of sulphurs with its mates, shape (sets, n_data), electrons."""
    orth = np.array(data.cell.orth.mat.tolist())
    xyz = torch.as_tensor(np.array([s.frac @ orth.T for s in sites]), dtype=torch.float32)
    target = AmplitudeTarget(data, np.full(xyz.shape[1], _SULPHUR), b_iso, by_element=True)
    return np.nan_to_num(target.structure_factors(xyz))
