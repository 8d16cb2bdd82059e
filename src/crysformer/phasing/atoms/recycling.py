"""Dual-space recycling: atoms from phases, some left out at random, found again, refined."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from crysformer.crystal.fourier.grids import grid_to_hkl
from crysformer.phasing.atoms.equal_atoms import AtomicModel, EqualAtoms
from crysformer.phasing.p1_grid import P1Grid

_OMITTED = 0.25  # share of the atoms left out in each cycle
_TO_PHASES, _TO_AMPLITUDES = 25, 50  # refinement steps
_SURPLUS = 0.15  # share of the atoms that may turn out not to be there
_R_KEPT = 1.05  # how much R may rise without an atom that is not needed


@dataclass(frozen=True, eq=False)
class AtomicFit:
    """Structures of equal atoms refined against the amplitudes, best first.

    Attributes
    ----------
    atoms
        The structures, batch of size B.
    F
        Their structure factors, half grids (B, ...), on the scale of the problem; zero where
        not measured.
    r
        R factors, shape (B,).
    """

    atoms: EqualAtoms
    F: Tensor
    r: Tensor


def fit_atoms(
    problem: P1Grid,
    F: Tensor,
    n_atoms: int,
    b_iso: float,
    cycles: int,
    generator: torch.Generator,
    good_enough: float = 0.0,
    deadline: float = math.inf,
) -> AtomicFit:
    """Turn phases into refined atoms.

    The first cycle takes every start. Each later one leaves out a quarter of the atoms of every
    structure at random, weak ones more readily, and finds them again in the map of the remaining
    ones; every second cycle does so with copies of the best structure only.

    Parameters
    ----------
    problem
        The crystal.
    F
        Phases to start from, half grids (B, ...).
    n_atoms
        Atoms in the unit cell.
    b_iso
        B to start from, A^2.
    cycles
        How many cycles at most.
    generator
        For the choice of the atoms left out.
    good_enough
        Stop as soon as an R factor is below this.
    deadline
        `time.monotonic` after which no second cycle is begun.
    """
    model = AtomicModel(problem, n_atoms, b_iso)
    target = model.phased(grid_to_hkl(F, model.hkl))
    atoms = model.find(target)
    atoms = model.refine(atoms, _TO_PHASES, target)
    atoms, calculated, r = _refined(model, atoms)
    for cycle in range(1, cycles):
        if float(r[0]) < good_enough or time.monotonic() > deadline:
            break
        parents = atoms if cycle % 2 else atoms[torch.zeros(len(r), dtype=torch.long)]
        phases = model.structure_factors(parents)
        kept = _omit(parents, max(1, round(_OMITTED * n_atoms)), generator)
        trial = _refined(model, model.find(model.phased(phases), kept))
        atoms, calculated, r = _best((atoms, calculated, r), trial, len(r))
    return AtomicFit(atoms=atoms, F=model.to_grid(calculated), r=r)


def drop_surplus(problem: P1Grid, fit: AtomicFit, deadline: float = math.inf) -> AtomicFit:
    """The best structure of a fit without atoms that the amplitudes do not need.

    The number of atoms is seldom known exactly (ends of chains, waters). One too many sits beside
    another and pulls it away, which R hardly shows but bond lengths do. The weakest atom is
    removed as long as refinement without it brings R back, and not after `deadline`
    (`time.monotonic`).
    """
    atoms, F, r = fit.atoms[:1], fit.F[:1], fit.r[:1]
    n_atoms = atoms.frac.shape[1]
    model = AtomicModel(problem, n_atoms, float(atoms.b_iso[0]))
    for _ in range(math.ceil(_SURPLUS * n_atoms)):
        if time.monotonic() > deadline:
            break
        weakest = int(atoms.occupancy[0].argmin())
        keep = torch.arange(atoms.frac.shape[1], device=problem.device) != weakest
        fewer = EqualAtoms(atoms.frac[:, keep], atoms.occupancy[:, keep], atoms.b_iso)
        trial, calculated, trial_r = _refined(model, fewer)
        if len(keep) == 1 or float(trial_r[0]) > _R_KEPT * float(r[0]):
            break
        atoms, F, r = trial, model.to_grid(calculated), trial_r
    return AtomicFit(atoms, F, r)


_Scored = tuple[EqualAtoms, Tensor, Tensor]


def _refined(model: AtomicModel, atoms: EqualAtoms) -> _Scored:
    atoms = model.refine(atoms, _TO_AMPLITUDES)
    calculated = model.structure_factors(atoms)
    r = model.r_factor(calculated)
    order = r.argsort()
    return atoms[order], calculated[order], r[order]


def _best(old: _Scored, new: _Scored, n: int) -> _Scored:
    r = torch.cat([old[2], new[2]])
    order = r.argsort()[:n]
    atoms = EqualAtoms(
        torch.cat([old[0].frac, new[0].frac])[order],
        torch.cat([old[0].occupancy, new[0].occupancy])[order],
        torch.cat([old[0].b_iso, new[0].b_iso])[order],
    )
    return atoms, torch.cat([old[1], new[1]])[order], r[order]


def _omit(atoms: EqualAtoms, n: int, generator: torch.Generator) -> EqualAtoms:
    """Each structure without `n` atoms: at random, weak ones more readily."""
    noise = torch.rand(atoms.occupancy.shape, generator=generator).to(atoms.occupancy)
    keep = (atoms.occupancy + noise).argsort(dim=1, descending=True)[:, :-n]
    return replace(
        atoms,
        frac=atoms.frac.gather(1, keep[:, :, None].expand(-1, -1, 3)),
        occupancy=atoms.occupancy.gather(1, keep),
    )
