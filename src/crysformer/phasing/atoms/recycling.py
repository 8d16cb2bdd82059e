"""Dual-space recycling: atoms left out at random, found again in difference maps, refined."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from crysformer.crystal.fourier.grids import grid_to_hkl
from crysformer.phasing.atomic_model import EqualAtoms
from crysformer.phasing.atoms.equal_atoms import AtomicModel, EqualAtomSettings
from crysformer.phasing.budget import GRACE
from crysformer.phasing.p1_grid import P1Grid
from crysformer.settings import setting, table


@dataclass(frozen=True)
class RecyclingSettings:
    """Cycles of leaving atoms out and finding them again."""

    omitted_fraction: float = setting(
        0.25, "Fraction of the atoms left out in each cycle.", min=0.0, max=1.0
    )
    phase_steps: int = setting(
        25, "Steps of refinement against the phases given.", min=0, max=10_000
    )
    amplitude_steps: int = setting(
        50, "Steps of refinement against the amplitudes.", min=1, max=10_000
    )
    surplus_fraction: float = setting(
        0.15, "Fraction of the atoms that may be removed at the end.", min=0.0, max=1.0
    )
    max_r_ratio: float = setting(
        1.05,
        "R factor without an atom over that with it, up to which the atom is removed.",
        min=1.0,
        max=2.0,
    )
    peaks: EqualAtomSettings = table(EqualAtomSettings, "Search for peaks in maps.")


@dataclass(frozen=True, eq=False)
class AtomicFit:
    """Structures of equal atoms refined against the amplitudes, best first.

    Attributes
    ----------
    atoms
        The structures, batch of size B.
    F
        Their structure factors, half grids (B, ...), on the scale of the grid; zero where
        not measured.
    r
        R factors, ascending, shape (B,).
    """

    atoms: EqualAtoms
    F: Tensor
    r: Tensor


def fit_atoms(
    grid: P1Grid,
    F: Tensor,
    n_atoms: int,
    b_iso: float,
    cycles: int,
    generator: torch.Generator,
    good_enough: float = 0.0,
    deadline: float = math.inf,
    *,
    copies: int = 1,
    settings: RecyclingSettings | None = None,
) -> AtomicFit:
    """Turn phases into refined atoms.

    The first cycle refines every start, once. Each later one leaves out some atoms of every
    structure at random, preferably weak ones, and finds them again in the map of the remaining
    ones; every second cycle does so with copies of the best structure only.

    Parameters
    ----------
    grid
        The crystal.
    F
        Phases to start from, half grids (B, ...).
    n_atoms
        Atoms in the unit cell.
    b_iso
        B to start from, A^2.
    cycles
        Largest number of cycles.
    generator
        Random generator for the atoms left out.
    good_enough
        R factor below which no further cycle begins.
    deadline
        `time.monotonic` after which no second cycle begins; refinement ends `GRACE` later.
    copies
        Structures that later cycles refine side by side, if there are fewer starts.
    settings
        Fraction of the atoms left out, and steps of refinement.
    """
    settings = settings or RecyclingSettings()
    n_parallel = max(copies, len(F))
    n_omitted = max(1, round(settings.omitted_fraction * n_atoms))
    model = AtomicModel(grid, n_atoms, b_iso, settings=settings.peaks, deadline=deadline + GRACE)
    target = model.phased(grid_to_hkl(F, model.hkl))
    atoms = model.find(target)
    atoms = model.refine(atoms, settings.phase_steps, target)
    atoms, calculated, r = _refined(model, atoms, settings)
    for cycle in range(1, cycles):
        if float(r[0]) < good_enough or time.monotonic() > deadline:
            break
        rows = torch.arange(n_parallel) if cycle % 2 else torch.zeros(n_parallel, dtype=torch.long)
        parents = atoms[rows % len(r)]
        phases = model.structure_factors(parents)
        kept = _omit(parents, n_omitted, generator)
        trial = _refined(model, model.find(model.phased(phases), kept), settings)
        atoms, calculated, r = _best((atoms, calculated, r), trial, n_parallel)
    return AtomicFit(atoms=atoms, F=model.to_grid(calculated), r=r)


def drop_surplus(
    grid: P1Grid,
    fit: AtomicFit,
    deadline: float = math.inf,
    *,
    settings: RecyclingSettings | None = None,
) -> AtomicFit:
    """Remove atoms that the amplitudes do not need from the best structure of a fit.

    The number of atoms is seldom known exactly (ends of chains, waters). A surplus atom lies beside
    another and pulls it away, which affects bond lengths more than R. The weakest atom is removed
    as long as refinement without it brings R back, and not after `deadline` (`time.monotonic`).
    """
    settings = settings or RecyclingSettings()
    atoms, F, r = fit.atoms[:1], fit.F[:1], fit.r[:1]
    n_atoms = atoms.frac.shape[1]
    b_iso = float(atoms.b_iso[0])
    model = AtomicModel(grid, n_atoms, b_iso, settings=settings.peaks, deadline=deadline + GRACE)
    for _ in range(math.ceil(settings.surplus_fraction * n_atoms)):
        if time.monotonic() > deadline:
            break
        weakest = int(atoms.occupancy[0].argmin())
        keep = torch.arange(atoms.frac.shape[1], device=grid.device) != weakest
        fewer = EqualAtoms(atoms.frac[:, keep], atoms.occupancy[:, keep], atoms.b_iso)
        trial, calculated, trial_r = _refined(model, fewer, settings)
        if len(keep) == 1 or float(trial_r[0]) > settings.max_r_ratio * float(r[0]):
            break
        atoms, F, r = trial, model.to_grid(calculated), trial_r
    return AtomicFit(atoms, F, r)


_Scored = tuple[EqualAtoms, Tensor, Tensor]


def _refined(model: AtomicModel, atoms: EqualAtoms, settings: RecyclingSettings) -> _Scored:
    atoms = model.refine(atoms, settings.amplitude_steps)
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
    """Each structure without `n` atoms, chosen at random but preferably weak ones."""
    noise = torch.rand(atoms.occupancy.shape, generator=generator).to(atoms.occupancy)
    keep = (atoms.occupancy + noise).argsort(dim=1, descending=True)[:, :-n]
    return replace(
        atoms,
        frac=atoms.frac.gather(1, keep[:, :, None].expand(-1, -1, 3)),
        occupancy=atoms.occupancy.gather(1, keep),
    )
