"""From phases to a candidate of free atoms, grown until R no longer falls."""

from __future__ import annotations

import time

import numpy as np
import torch
from numpy.typing import NDArray

from crysformer.crystal.fourier.grids import grid_to_hkl
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.symmetry import P1Mapping
from crysformer.phasing.atoms.equal_atoms import EqualAtoms
from crysformer.phasing.atoms.free_atoms import FreeAtoms, grow_atoms
from crysformer.phasing.candidate import Candidate, settle
from crysformer.phasing.cell_content import CellContent
from crysformer.phasing.dual_space.free_correlation import free_correlation, noise_floor
from crysformer.phasing.fragments.completion import without_symmetry
from crysformer.phasing.merit.confidence import confidence
from crysformer.phasing.origin.crystal_setting import symmetry_of
from crysformer.phasing.problem import PhaseProblem

_SHARE = 0.3  # of the voxels above the level, in density modification of what atoms explain
_CYCLES, _TURNS = 6, 8  # of free atoms, between looks at R
_FALLING = 0.985  # R of one turn over that of the last, above which no further turn is worth it
_PARAMETERS = 1.25  # of a free atom (place, B, occupancy) over those of an equal atom
_GRACE = 5.0


def atoms_from_phases(
    problem: PhaseProblem,
    data: CrystalData,
    mapping: P1Mapping,
    content: CellContent,
    F: torch.Tensor,
    generator: torch.Generator,
    deadline: float,
) -> Candidate:
    """Free atoms grown from phases that have the origin of the space group.

    Parameters
    ----------
    problem, data, mapping, content
        The crystal in P1, in its own space group, and the way from one to the other.
    F
        Measured amplitudes with phases, half grid of P1.
    generator
        For the cross-validation.
    deadline
        `time.monotonic` after which nothing further is begun.
    """
    n_asu = (content.n_atoms or 0) // len(data.space_group.operations())
    phased = _in_group(problem, data, mapping, F)
    atoms = grow_atoms(data, phased, n_asu, content.b_iso, _CYCLES, deadline)
    for _ in range(_TURNS):
        if time.monotonic() > deadline:
            break
        phased = np.where(data.measured, data.f * np.exp(1j * np.angle(atoms.F)), np.nan)
        more = grow_atoms(data, phased, n_asu, content.b_iso, _CYCLES, deadline)
        fell = more.r < _FALLING * atoms.r
        atoms = min(atoms, more, key=lambda a: a.r)
        if not fell:
            break
    return _candidate(problem, data, mapping, content, atoms, generator, deadline)


def _in_group(
    problem: PhaseProblem, data: CrystalData, mapping: P1Mapping, F: torch.Tensor
) -> NDArray[np.complex128]:
    """Measured amplitudes with phases of P1 that obey the group already, shape (n_data,).

    Mates are averaged: the start had the group's own origin, and errors have not.
    """
    used = problem.data.measured  # files may list more than the grid holds
    listed = np.zeros(len(used), dtype=np.complex128)
    listed[used] = grid_to_hkl(F, torch.as_tensor(problem.data.hkl[used])).cpu().numpy()
    turned = listed * np.exp(-1j * mapping.shift)
    turned = np.where(mapping.conjugate, listed.conj() * np.exp(1j * mapping.shift), turned)
    total = np.zeros(len(data), dtype=np.complex128)
    np.add.at(total, mapping.parent, turned)
    return np.where(data.measured, data.f * np.exp(1j * np.angle(total)), np.nan)


def _candidate(
    problem: PhaseProblem,
    data: CrystalData,
    mapping: P1Mapping,
    content: CellContent,
    atoms: FreeAtoms,
    generator: torch.Generator,
    deadline: float,
) -> Candidate:
    """Free atoms as a candidate, their symmetry judged by what survives large errors."""
    own = np.nan_to_num(atoms.F)
    phi = np.deg2rad(mapping.phases(np.rad2deg(np.angle(own))))
    model = problem.to_grid(mapping.values(np.abs(own)) * np.exp(1j * phi) / problem.scale)
    F = problem.with_amplitudes(model[None])
    share, end = torch.tensor([_SHARE]), deadline + _GRACE
    figures = {
        "r": atoms.r,
        "free_correlation": float(free_correlation(problem, F, share, generator, end)[0]),
        "noise": noise_floor(problem),
        "reflections_per_volume": problem.reflections_per_volume,
        "reflections_per_atom": problem.n_independent / len(atoms.frac) / _PARAMETERS,
    }
    symmetry = 1.0
    if len(data.space_group.operations()) > 1:
        shaken = without_symmetry(problem, F, _SHARE, content.b_iso, generator, end)
        settled = settle(problem, content, "fragments", shaken, share, 1, generator, end)
        symmetry = symmetry_of(data, problem, settled[0])
    n = len(data.space_group.operations())
    frac = np.concatenate(
        [
            atoms.frac @ (np.array(op.rot) / op.DEN).T + np.array(op.tran) / op.DEN
            for op in data.space_group.operations()
        ]
    )
    equal = EqualAtoms(
        torch.as_tensor(frac, dtype=torch.float32)[None],
        torch.as_tensor(np.tile(atoms.occupancy, n), dtype=torch.float32)[None],
        torch.tensor([float(atoms.b_iso.mean())]),
    )
    return Candidate(
        method="fragments",
        F=F[0],
        model=model,
        figures=figures,
        confidence=symmetry * confidence("atoms", figures),
        positive_fraction=_SHARE,
        atoms=equal,
        symmetry=symmetry,
    )
