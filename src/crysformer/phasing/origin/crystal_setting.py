"""From a phase set in P1 to the crystal's own setting: hand, origin, weights, map."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit

from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import InputError
from crysformer.peptide import residues
from crysformer.peptide.model import PeptideModel
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.merit.confidence import symmetry_factor
from crysformer.phasing.merit.sim_weights import sim_weights
from crysformer.phasing.origin.hand import hand_of
from crysformer.phasing.origin.molecule_origin import (
    MoleculeOrigin,
    origin_from_atoms,
    origin_from_density,
)
from crysformer.phasing.origin.space_group_origin import enantiomorph_origins, to_space_group
from crysformer.phasing.problem import PhasingProblem

_SAMPLE_RATE = 3.0  # grid points to d_min of the map that is written
_IN_P1 = "centre of mass of one molecule at the centre of the cell"
UNDETERMINED = "the hand is undetermined: the mirror image fits as well"
"""Note on a solution whose hand nothing tells."""
_CENTROSYMMETRIC = "the space group is centrosymmetric: phases are 0 or 180, there is no hand"


@dataclass(frozen=True, eq=False)
class CrystalSetting:
    """Phases in the crystal's space-group setting.

    Attributes
    ----------
    phi, fom
        Degrees and figure of merit, shape (n,) as the data's hkl; NaN and 0 without phase.
    density
        The weighted map.
    hand_probability
        Probability that the hand is right.
    enantiomorph
        Agreement of symmetry mates by space group, for one of an enantiomorphic pair with both;
        empty in P1.
    symmetry
        Fraction of the confidence that this leaves, 0 to 1 (`symmetry_factor`); 1 in P1.
    origin
        Choice of the origin, in words.
    notes
        Assumptions and ambiguities, a sentence each.
    model
        The atoms, if they came from the sequence search.
    """

    phi: NDArray[np.float64]
    fom: NDArray[np.float64]
    density: DensityMap
    hand_probability: float
    enantiomorph: dict[str, float]
    symmetry: float
    origin: str
    notes: tuple[str, ...]
    model: PeptideModel | None = None


def to_crystal_setting(
    problem: PhasingProblem,
    candidate: Candidate,
    generator: torch.Generator,
    deadline: float = math.inf,
    provisional: bool = False,
) -> CrystalSetting:
    """Choose hand and origin of a candidate and return its phases for `problem.data.hkl`.

    Parameters
    ----------
    problem
        The crystal.
    candidate
        Phases in P1.
    generator
        For the search of atoms that tell the hand.
    deadline
        As `hand_of`.
    provisional
        Leave the hand, and in P1 the origin, as the candidate has them, for
        `crysformer.phasing.origin.hand_of_structure` to choose.
    """
    if candidate.peptide is not None:
        return _of_peptide(problem, candidate, candidate.peptide)
    data, notes = problem.data, list[str]()
    fom = _own_rows(problem, sim_weights(problem.grid, candidate.model))
    if data.space_group.is_centrosymmetric():
        notes.append(_CENTROSYMMETRIC)
        inverted, probability = False, 1.0
    elif provisional:
        inverted, probability = False, 0.5
    else:
        candidate, evidence = hand_of(problem, candidate, generator, deadline)
        if evidence.log_odds == 0:
            notes.append(UNDETERMINED)
        inverted = evidence.log_odds < 0
        probability = float(expit(abs(evidence.log_odds)))

    listed = problem.listed(candidate.F)
    listed = listed.conj() if inverted else listed
    if problem.symmetric:
        own = _in_space_group(problem, np.rad2deg(np.angle(listed)))
        phi, symmetry, origin = own.phi, own.symmetry, "symmetry elements of the space group"
        if not own.same_hand:
            # only the mirror image of an enantiomorphic pair is consistent with the given group
            probability = 1.0 - probability
        enantiomorph = own.agreement
        if len(enantiomorph) > 1:
            names = " and ".join(enantiomorph)
            notes.append(
                f"{names} cannot be told apart by amplitudes; written in {data.space_group.xhm()}"
            )
    else:
        shift = np.zeros(3)
        if not provisional:
            molecule = _molecule_origin(problem, candidate)
            notes += molecule.notes
            shift = 0.5 - (-molecule.centre if inverted else molecule.centre)
        moved = listed * np.exp(2j * np.pi * (problem.grid.data.hkl @ shift))
        phi = np.mod(np.rad2deg(np.angle(problem.mapping.average(moved))), 360.0)
        symmetry, origin, enantiomorph = 1.0, _IN_P1, {}
    fom = np.where(data.measured & np.isfinite(phi), fom, 0.0)
    phi = np.where(data.measured, phi, np.nan)
    return CrystalSetting(
        phi=phi,
        fom=fom,
        density=weighted_map(data, fom, phi),
        hand_probability=probability,
        enantiomorph=enantiomorph,
        symmetry=symmetry,
        origin=origin,
        notes=tuple(notes),
    )


def with_structure_factors(
    problem: PhasingProblem, placed: CrystalSetting, F: NDArray[np.complex128]
) -> CrystalSetting:
    """The setting with phases, weights and map of other structure factors.

    `F`, shape (n,) as the data's hkl, has its origin and hand; NaN where not measured.
    """
    data = problem.data
    phased = data.measured & np.isfinite(F)
    phi = np.where(phased, np.mod(np.rad2deg(np.angle(np.nan_to_num(F))), 360.0), np.nan)
    fom = _own_rows(problem, sim_weights(problem.grid, problem.expand(np.nan_to_num(F))))
    fom = np.where(phased, fom, 0.0)
    return replace(placed, phi=phi, fom=fom, density=weighted_map(data, fom, phi))


def symmetry_of(problem: PhasingProblem, candidate: Candidate) -> float:
    """Fraction of a P1 candidate's confidence that the space group leaves, 0 to 1."""
    if not problem.symmetric:
        return 1.0
    phi = np.rad2deg(np.angle(problem.listed(candidate.F)))
    return _in_space_group(problem, phi).symmetry


def _of_peptide(
    problem: PhasingProblem, candidate: Candidate, model: PeptideModel
) -> CrystalSetting:
    """Setting of a peptide model: its space group's own, of the residues given.

    In P1, where its origin is free, its first chain is put at the centre of the cell.
    """
    data = problem.data
    origin = "the peptide model in the space group's own setting"
    probability = float(expit(candidate.hand_log_odds))
    notes: tuple[str, ...] = ()
    own = _with_restored(problem, candidate, model.F)
    model = replace(model, F=own)
    if model.space_group.xhm() != data.space_group.xhm():
        own = own.conj()
        probability = 1.0 - probability
        notes = (
            f"the model of this sequence was found in {model.space_group.xhm()}, whose amplitudes "
            f"are those of {data.space_group.xhm()}: the phases written are of its mirror image",
        )
    if data.space_group.is_centrosymmetric():
        probability, notes = 1.0, (_CENTROSYMMETRIC,)
    if not problem.symmetric:
        first = model.peptides.chain == 0
        mass = residues.MASSES[model.peptides.number[first]]
        model = model.shifted(data.hkl, 0.5 - mass @ model.frac[first] / mass.sum())
        own, origin = model.F, _IN_P1
    phased = data.measured & np.isfinite(own)
    phi = np.where(phased, np.mod(np.rad2deg(np.angle(np.nan_to_num(own))), 360.0), np.nan)
    fom = _own_rows(problem, sim_weights(problem.grid, candidate.model))
    fom = np.where(phased, fom, 0.0)
    return CrystalSetting(
        phi=phi,
        fom=fom,
        density=weighted_map(data, fom, phi),
        hand_probability=probability,
        enantiomorph=model.agreement,
        symmetry=1.0,
        origin=origin,
        notes=notes,
        model=model,
    )


def weighted_map(
    data: CrystalData, fom: NDArray[np.float64], phi: NDArray[np.float64]
) -> DensityMap:
    """Map of FOM x F with phases `phi` (degrees), in the crystal's space group."""
    used = data.measured & np.isfinite(phi) & (fom > 0)
    values = (fom * np.nan_to_num(data.f) * np.exp(1j * np.deg2rad(np.nan_to_num(phi))))[used]
    asu = gemmi.ComplexAsuData(
        data.cell, data.space_group, data.hkl[used], values.astype(np.complex64)
    )
    asu.ensure_asu()
    grid = asu.transform_f_phi_to_map(sample_rate=_SAMPLE_RATE)
    return DensityMap(np.array(grid.array, dtype=np.float32), data.cell, data.space_group)


def _with_restored(
    problem: PhasingProblem, candidate: Candidate, F: NDArray[np.complex128]
) -> NDArray[np.complex128]:
    """Structure factors of a peptide model, shape (n,), with those of restored reflections.

    The search did without them, so that the model has none; the candidate's density has.
    """
    missing = problem.data.measured & ~np.isfinite(F)
    if not missing.any():
        return F
    listed = problem.listed(candidate.model)
    parents, first = np.unique(problem.mapping.parent, return_index=True)
    density = np.zeros(len(F), dtype=np.complex128)
    density[parents] = listed[first]
    return np.where(missing, density, F)


def _own_rows(problem: PhasingProblem, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of P1 rows, shape (m,), at the rows of the crystal's own list, shape (n,).

    Symmetry mates have equal values; the first one counts. Zero where there is none.
    """
    parents, first = np.unique(problem.mapping.parent, return_index=True)
    own = np.zeros(len(problem.data))
    own[parents] = values[first]
    return own


def molecule_of_atoms(
    problem: PhasingProblem, frac: NDArray[np.floating], weight: NDArray[np.floating]
) -> MoleculeOrigin:
    """Centre of one molecule in a P1 cell, of atoms (n, 3) with weights (n,)."""
    return origin_from_atoms(
        frac.astype(np.float64),
        problem.data.cell,
        weight.astype(np.float64),
        _molecules(problem),
    )


def _molecules(problem: PhasingProblem) -> int:
    return problem.content.copies * max(1, len(problem.content.sequences))


def _molecule_origin(problem: PhasingProblem, candidate: Candidate) -> MoleculeOrigin:
    """Centre of one molecule in the P1 cell, for the hand that the candidate has."""
    if candidate.atoms is not None:
        atoms = candidate.atoms
        return molecule_of_atoms(
            problem, atoms.frac[0].cpu().numpy(), atoms.occupancy[0].cpu().numpy()
        )
    phi = np.rad2deg(np.angle(problem.listed(candidate.F)))
    density = weighted_map(problem.grid.data, sim_weights(problem.grid, candidate.model), phi)
    copies, n_atoms = _molecules(problem), problem.content.n_atoms
    return origin_from_density(density, None if n_atoms is None else n_atoms // copies, copies)


@dataclass(frozen=True, eq=False)
class _InSpaceGroup:
    """Phases in the crystal's own group, and the agreement of symmetry mates with it."""

    phi: NDArray[np.float64]
    agreement: dict[str, float]
    symmetry: float
    same_hand: bool


def _in_space_group(problem: PhasingProblem, phi: NDArray[np.float64]) -> _InSpaceGroup:
    """Phases of the crystal's own list; no agreement if there are too few mates to tell."""
    data, p1 = problem.data, problem.grid.data
    try:
        readings = enantiomorph_origins(p1.hkl, p1.f, phi, data.space_group, data.cell)
    except InputError:
        unknown = np.full(len(data), np.nan)
        return _InSpaceGroup(unknown, {data.space_group.xhm(): 0.0}, 0.0, True)
    own = readings[0]
    agreement = {reading.space_group.xhm(): reading.agreement for reading in readings}
    return _InSpaceGroup(
        phi=to_space_group(data, p1.hkl, p1.f, phi, own).phi,
        agreement=agreement,
        symmetry=symmetry_factor(max(agreement.values()), own.random_agreement),
        same_hand=not own.inverted,
    )
