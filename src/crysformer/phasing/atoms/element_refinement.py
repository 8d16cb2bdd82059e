"""Atoms of a solved crystal: found in its map, refined, given elements and refined again.

As in small-molecule structure determination (Sheldrick, Acta Cryst. A71, 3, 2015): peaks of the map
become atoms of one kind with a B and an occupancy each; what they scatter tells their elements,
which give better phases and so a better difference map.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.crystal.reflections import CrystalData
from crysformer.phasing.atoms.atomic_structure import (
    AtomicStructure,
    connected,
    count_neighbours,
)
from crysformer.phasing.atoms.element_assignment import COMMON, USUAL, assign_elements
from crysformer.phasing.atoms.individual_atoms import NITROGEN, IndividualAtoms, Priors
from crysformer.settings import setting

_LOG_B_SIGMA, _OCCUPANCY_SIGMA = 0.5, 0.5  # standard deviations of the priors
_OCCUPANCY_RANGE = (0.1, 30.0)  # of nitrogen: uranium is 13
_B_OF_NEW = 1.5  # B of a new atom to the median
_SUPPORT_S_SQ = 0.4  # A^-2, (1/d)^2 at which the scattering of an atom measures its support
_SPARE = 5  # atoms beyond the expected number, of which poor ones are removed
# Excess of C, N and O in structures whose hydrogens are left out, over atoms without hydrogens:
# of simulated crystals, whose S and Cl seem to lack so much.
_HYDROGENS = 1.04
_B_SHIFTS = np.arange(-2.0, 2.01, 0.1)  # A^2, by which nitrogen may differ from another element


@dataclass(frozen=True)
class ElementSettings:
    """Atoms and elements of a solved crystal."""

    d_min: float = setting(
        1.25, "Resolution needed to tell elements apart.", unit="A", min=0.3, max=2.0
    )
    max_pairs: int = setting(
        3_000_000,
        "Atoms times reflections times symmetry operators up to which atoms are refined.",
        min=0,
    )
    cycles: int = setting(4, "Cycles of refining, removing poor and adding new atoms.", min=1)
    rounds: int = setting(3, "Rounds of assigning elements and refining with them.", min=1)
    steps: int = setting(30, "Steps of refinement in each cycle and round.", min=1, max=10_000)
    min_peak: float = setting(
        5.0, "Height of new atoms in the difference map, in units of its rms.", min=0.0, max=20.0
    )
    min_support: float = setting(
        0.35, "Scattering of an atom to the median, below which it is removed.", min=0.0, max=1.0
    )


def atoms_with_elements(
    data: CrystalData,
    start: NDArray[np.complex128],
    n_atoms: int,
    b_iso: float,
    composition: Mapping[str, int] | None = None,
    deadline: float = math.inf,
    *,
    settings: ElementSettings | None = None,
) -> AtomicStructure | None:
    """Find the atoms of a solved crystal and their elements; None if its map shows none.

    Parameters
    ----------
    data
        The crystal in its own space group.
    start
        Weighted amplitudes with phases, shape (n_data,); NaN counts as zero.
    n_atoms
        Atoms in the asymmetric unit but hydrogen, at most about.
    b_iso
        Mean B, A^2.
    composition
        Atoms of the asymmetric unit by element, hydrogen left out; None if unknown.
    deadline
        `time.monotonic` after which no further cycle begins.
    settings
        Numbers of cycles and steps, and criteria for atoms.
    """
    settings = settings or ElementSettings()
    model = IndividualAtoms(data, _B_OF_NEW * b_iso, special=True)
    none = model.parameters(np.zeros((0, 3)))
    atoms, heights = model.peaks(none, np.nan_to_num(start[data.measured]), n_atoms, 0.0)
    if not len(atoms):
        return None
    relative = np.clip(heights / np.median(heights), *_OCCUPANCY_RANGE)
    atoms[:, 4] = torch.as_tensor(relative, dtype=torch.float32)
    for cycle in range(settings.cycles):
        # their common scale is free, and must not take a heavy atom out of the range
        atoms[:, 4] = (atoms[:, 4] / atoms[:, 4].median()).clamp(*_OCCUPANCY_RANGE)
        atoms = model.refined(atoms, settings.steps, _priors(model, atoms))
        n_refined = len(atoms)
        atoms = atoms[_supported(atoms, settings.min_support)]
        if cycle == settings.cycles - 1 or time.monotonic() > deadline:
            break
        n_kept = len(atoms)
        more = n_atoms + _SPARE - round(float((1 / model.site_order(atoms)).sum()))
        atoms = model.with_more(atoms, model.difference(atoms), more, settings.min_peak)
        if n_refined == n_kept == len(atoms):
            break
    atoms, number = _given_elements(model, atoms, composition, deadline, settings)
    return _structure(model, atoms, number)


def _given_elements(
    model: IndividualAtoms,
    atoms: Tensor,
    composition: Mapping[str, int] | None,
    deadline: float,
    settings: ElementSettings,
) -> tuple[Tensor, NDArray[np.int64]]:
    """Assign elements and refine with them in turns; bonded atoms end with an occupancy of 1."""
    data = model.data
    number = np.full(len(atoms), NITROGEN, dtype=np.int64)
    bare = _expected_power(model, float(atoms[:, 3].exp().median()), composition)
    expected = {name: x * (_HYDROGENS if name in COMMON else 1.0) for name, x in bare.items()}
    composition = _of_sites(composition, model.site_order(atoms))
    for i in range(settings.rounds):
        before = number
        power, frac = _power(atoms, number, bare), model.frac(atoms)
        for _ in range(2):  # bonds of heavy atoms are longer, so that neighbours depend on elements
            neighbours = count_neighbours(frac, number, data.cell, data.space_group)
            assigned = assign_elements(power, expected, neighbours, composition)
            number = assigned.number
        if i and np.array_equal(number, before):
            break
        model.set_elements(number)
        # they scatter as before, and what they are expected to scatter on the whole
        unit = _power(torch.ones_like(atoms), number, bare)
        occupancy = assigned.scale * power / unit
        atoms[:, 4] = torch.as_tensor(occupancy, dtype=torch.float32).clamp(*_OCCUPANCY_RANGE)
        atoms = model.refined(atoms, settings.steps, _priors(model, atoms))
        kept = _supported(atoms, settings.min_support, _power(atoms, number, bare))
        atoms, number = atoms[kept], number[kept.numpy()]
        model.set_elements(number)
        if time.monotonic() > deadline:
            break
    neighbours = count_neighbours(model.frac(atoms), number, data.cell, data.space_group)
    whole = torch.as_tensor(neighbours > 0)
    scale = atoms[whole, 4].median() if bool(whole.any()) else atoms[:, 4].median()
    atoms[:, 4] = torch.where(whole, 1.0, (atoms[:, 4] / scale).clamp(max=1.0))
    atoms = model.refined(atoms, settings.steps, _priors(model, atoms), whole)
    return atoms, number


def _of_sites(
    composition: Mapping[str, int] | None, order: NDArray[np.int64]
) -> Mapping[str, int] | None:
    """A composition of the asymmetric unit as numbers of sites; special ones count less."""
    if composition is None or (order == 1).all():
        return composition
    sites_per_atom = len(order) / float((1 / order).sum())
    return {element: math.ceil(sites_per_atom * n) for element, n in composition.items()}


def _priors(model: IndividualAtoms, atoms: Tensor) -> Priors:
    """Priors around the median B of the atoms, which that of new atoms follows."""
    b_iso = float(atoms[:, 3].exp().median())
    model.new_b = _B_OF_NEW * b_iso
    return Priors(b_iso, _LOG_B_SIGMA, _OCCUPANCY_SIGMA, _OCCUPANCY_RANGE)


def _supported(atoms: Tensor, least: float, power: NDArray[np.float64] | None = None) -> Tensor:
    """Flags of atoms that scatter enough, for their power (by default occupancy) and B."""
    scattering = atoms[:, 4] if power is None else torch.as_tensor(power, dtype=torch.float32)
    height = scattering * torch.exp(-0.25 * atoms[:, 3].exp() * _SUPPORT_S_SQ)
    return height > least * height.median()


def _expected_power(
    model: IndividualAtoms, b_iso: float, composition: Mapping[str, int] | None
) -> dict[str, float]:
    """Occupancy of nitrogen, times 7, that fits the scattering factor of each element best.

    It depends on resolution: at 0.8 A, C is 5.4 and O 8.7.
    """
    names = dict.fromkeys((*(USUAL if composition is None else composition), *COMMON))
    damping = torch.exp(-0.25 * b_iso * model.s_sq)
    shifts = torch.as_tensor(_B_SHIFTS, dtype=torch.float32)
    nitrogen = model.f_atom * damping * torch.exp(-0.25 * shifts[:, None] * model.s_sq)
    powers = {}
    for name in names:
        other = model.form_factor(gemmi.Element(name).atomic_number) * damping
        k = (nitrogen @ other) / (nitrogen**2).sum(1)
        misfit = ((other - k[:, None] * nitrogen) ** 2).sum(1)
        powers[name] = NITROGEN * float(k[misfit.argmin()])
    return powers


def _power(
    atoms: Tensor, number: NDArray[np.int64], expected: Mapping[str, float]
) -> NDArray[np.float64]:
    """Scattering power of atoms, on the scale of `expected`."""
    of_element = np.array([expected[gemmi.Element(int(z)).name] for z in number])
    return np.asarray(atoms[:, 4].double().numpy() * of_element)


def _structure(model: IndividualAtoms, atoms: Tensor, number: NDArray[np.int64]) -> AtomicStructure:
    data = model.data
    F, r = model.fitted(atoms)
    structure = AtomicStructure(
        frac=model.frac(atoms),
        number=number,
        b_iso=atoms[:, 3].exp().double().numpy(),
        occupancy=atoms[:, 4].double().numpy(),
        F=F,
        r=r,
        cell=data.cell,
        space_group=data.space_group,
    )
    return replace(structure, frac=connected(structure.frac, data.cell, data.space_group))
