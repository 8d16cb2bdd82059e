"""From a phase set in P1 to the crystal's own space group: hand, origin, weights, map."""

from __future__ import annotations

from dataclasses import dataclass

import gemmi
import numpy as np
import torch
from numpy.typing import NDArray

from crysformer.crystal.fourier.density_map import DensityMap
from crysformer.crystal.fourier.grids import grid_to_hkl
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.symmetry import P1Mapping
from crysformer.errors import InputError
from crysformer.peptide import residues
from crysformer.peptide.model import PeptideModel
from crysformer.phasing.candidate import Candidate
from crysformer.phasing.cell_content import CellContent
from crysformer.phasing.merit.confidence import symmetry_factor
from crysformer.phasing.merit.sim_weights import sim_weights
from crysformer.phasing.origin.chirality import HandEvidence
from crysformer.phasing.origin.hand import hand_of
from crysformer.phasing.origin.molecule_origin import (
    MoleculeOrigin,
    origin_from_atoms,
    origin_from_density,
)
from crysformer.phasing.origin.space_group_origin import enantiomorph_origins, to_space_group
from crysformer.phasing.problem import PhaseProblem

_SAMPLE_RATE = 3.0  # of the map that is written


@dataclass(frozen=True, eq=False)
class Placed:
    """Phases at home in the crystal's space group.

    Attributes
    ----------
    phi, fom
        Degrees and figure of merit, shape (n,) as the data's hkl; NaN and 0 without phase.
    density
        The weighted map.
    hand
        Probability that the hand is right.
    agreement
        Symmetry agreement by space group; empty in P1.
    symmetry
        What that leaves of the confidence, 0 to 1 (`symmetry_factor`); 1 in P1.
    origin
        How the origin was chosen.
    notes
        What the user should know.
    model
        The atoms, if they came from the sequence search.
    """

    phi: NDArray[np.float64]
    fom: NDArray[np.float64]
    density: DensityMap
    hand: float
    agreement: dict[str, float]
    symmetry: float
    origin: str
    notes: tuple[str, ...]
    model: PeptideModel | None = None


def place(
    data: CrystalData,
    mapping: P1Mapping,
    problem: PhaseProblem,
    content: CellContent,
    candidate: Candidate,
    generator: torch.Generator,
) -> Placed:
    """Choose hand and origin of a candidate and return its phases for `data.hkl`.

    Parameters
    ----------
    data
        The crystal in its own space group.
    mapping, problem
        Its expansion to P1.
    content
        What is in the cell.
    candidate
        Phases in P1.
    generator
        For the search of atoms.
    """
    if candidate.peptide is not None:
        return _place_peptide(data, mapping, problem, candidate, candidate.peptide)
    notes: list[str] = []
    group = data.space_group
    phi = _listed_phases(problem, candidate.F)
    fom = sim_weights(problem, candidate)
    centrosymmetric = group.is_centrosymmetric()
    evidence = HandEvidence(0.0, 0)
    if centrosymmetric:
        notes.append("the space group is centrosymmetric: phases are 0 or 180, there is no hand")
    else:
        candidate, evidence = hand_of(
            problem, content, candidate, generator, len(group.operations())
        )
        if evidence.log_odds == 0:
            notes.append("nothing tells the hand: the mirror image fits as well")
    inverted = evidence.log_odds < 0
    if inverted:
        phi = -phi
    probability = 1.0 if centrosymmetric else HandEvidence(abs(evidence.log_odds), 0).probability

    if len(group.operations()) == 1:
        molecule = _molecule_origin(problem, content, candidate)
        if molecule.ambiguous:
            notes.append(f"the origin is ambiguous: {molecule.reason}")
        shift = 0.5 - (-molecule.centre if inverted else molecule.centre)
        phi = phi + 360.0 * (problem.data.hkl @ shift)
        origin = "centre of mass of one molecule at the centre of the cell"
        first = _first_rows(mapping, len(data))
        # the input may list the Friedel mate of the reflection that P1 lists
        phi_own = np.mod(np.where(mapping.conjugate[first], -phi[first], phi[first]), 360.0)
        fom_own = fom[first]
        agreement: dict[str, float] = {}
        symmetry = 1.0
    else:
        grouped = _into_group(data, problem, phi)
        phi_own, agreement = grouped.phi, grouped.agreement
        symmetry = symmetry_factor(max(agreement.values()), grouped.random_agreement)
        if not grouped.same_hand:
            # only the mirror image of an enantiomorphic pair obeys the group that was given
            probability = 1.0 - probability
        fom_own = fom[_first_rows(mapping, len(data))]
        origin = "symmetry elements of the space group"
        if len(agreement) > 1:
            names = " and ".join(agreement)
            notes.append(f"{names} cannot be told apart by amplitudes; written in {group.xhm()}")
    fom_own = np.where(data.measured & np.isfinite(phi_own), fom_own, 0.0)
    phi_own = np.where(data.measured, phi_own, np.nan)
    return Placed(
        phi=phi_own,
        fom=fom_own,
        density=weighted_map(data, fom_own, phi_own),
        hand=probability,
        agreement=agreement,
        symmetry=symmetry,
        origin=origin,
        notes=tuple(notes),
    )


def symmetry_of(data: CrystalData, problem: PhaseProblem, candidate: Candidate) -> float:
    """What the space group leaves of a P1 candidate's confidence, 0 to 1."""
    if len(data.space_group.operations()) == 1:
        return 1.0
    grouped = _into_group(data, problem, _listed_phases(problem, candidate.F))
    return symmetry_factor(max(grouped.agreement.values()), grouped.random_agreement)


def _place_peptide(
    data: CrystalData,
    mapping: P1Mapping,
    problem: PhaseProblem,
    candidate: Candidate,
    model: PeptideModel,
) -> Placed:
    """A peptide model is in its space group, of the residues given; in P1 its origin is free."""
    origin = "the peptide model in the space group's own setting"
    probability = candidate.figures["hand"]
    notes: tuple[str, ...] = ()
    own = model.F
    if model.space_group.xhm() != data.space_group.xhm():
        own = own.conj()
        probability = 1.0 - probability
        notes = (
            f"the model of this sequence was found in {model.space_group.xhm()}, whose amplitudes "
            f"are those of {data.space_group.xhm()}: the phases written are of its mirror image",
        )
    if data.space_group.is_centrosymmetric():
        probability = 1.0
        notes = ("the space group is centrosymmetric: phases are 0 or 180, there is no hand",)
    if len(data.space_group.operations()) == 1:
        first = model.peptides.chain == 0
        mass = residues.MASSES[model.peptides.number[first]]
        model = model.shifted(data.hkl, 0.5 - mass @ model.frac[first] / mass.sum())
        own = model.F
        origin = "centre of mass of one molecule at the centre of the cell"
    phased = data.measured & np.isfinite(own)
    phi = np.where(phased, np.mod(np.rad2deg(np.angle(np.nan_to_num(own))), 360.0), np.nan)
    fom = sim_weights(problem, candidate)[_first_rows(mapping, len(data))]
    fom = np.where(phased, fom, 0.0)
    return Placed(
        phi=phi,
        fom=fom,
        density=weighted_map(data, fom, phi),
        hand=probability,
        agreement=model.agreement,
        symmetry=1.0,
        origin=origin,
        notes=notes,
        model=model,
    )


def weighted_map(
    data: CrystalData, fom: NDArray[np.float64], phi: NDArray[np.float64]
) -> DensityMap:
    """The map of FOM x F with phases `phi` (degrees), in the crystal's space group."""
    used = data.measured & np.isfinite(phi) & (fom > 0)
    values = (fom * np.nan_to_num(data.f) * np.exp(1j * np.deg2rad(np.nan_to_num(phi))))[used]
    asu = gemmi.ComplexAsuData(
        data.cell, data.space_group, data.hkl[used], values.astype(np.complex64)
    )
    asu.ensure_asu()
    grid = asu.transform_f_phi_to_map(sample_rate=_SAMPLE_RATE)
    return DensityMap(np.array(grid.array, dtype=np.float32), data.cell, data.space_group)


def _listed_phases(problem: PhaseProblem, F: torch.Tensor) -> NDArray[np.float64]:
    """Phases in degrees of the P1 list, NaN where not measured."""
    used = problem.data.measured  # files may list more than the grid holds
    values = grid_to_hkl(F, torch.as_tensor(problem.data.hkl[used])).cpu().numpy()
    phi = np.full(len(used), np.nan)
    phi[used] = np.rad2deg(np.angle(values))
    return phi


def _first_rows(mapping: P1Mapping, n: int) -> NDArray[np.int64]:
    """The first P1 reflection that stems from each of the crystal's own."""
    return np.unique(mapping.parent, return_index=True)[1][:n]


def _molecule_origin(
    problem: PhaseProblem, content: CellContent, candidate: Candidate
) -> MoleculeOrigin:
    """Where one molecule lies in the P1 cell, for the hand that the candidate has."""
    copies = content.copies * max(1, len(content.sequences))
    if candidate.atoms is not None:
        return origin_from_atoms(
            candidate.atoms.frac[0].cpu().numpy().astype(np.float64),
            problem.cell,
            candidate.atoms.occupancy[0].cpu().numpy().astype(np.float64),
            copies,
        )
    phi = _listed_phases(problem, candidate.F)
    density = weighted_map(problem.data, sim_weights(problem, candidate), phi)
    n_atoms = None if content.n_atoms is None else content.n_atoms // copies
    return origin_from_density(density, n_atoms, copies)


@dataclass(frozen=True, eq=False)
class _InGroup:
    """Phases in the crystal's own group, and how well they obey it."""

    phi: NDArray[np.float64]
    agreement: dict[str, float]
    random_agreement: float
    same_hand: bool


def _into_group(data: CrystalData, problem: PhaseProblem, phi: NDArray[np.float64]) -> _InGroup:
    """Phases of `data.hkl` in its own group; no agreement if mates are too few to tell."""
    p1 = problem.data
    try:
        readings = enantiomorph_origins(p1.hkl, p1.f, phi, data.space_group, data.cell)
    except InputError:
        return _InGroup(np.full(len(data), np.nan), {data.space_group.xhm(): 0.0}, 0.0, True)
    own = readings[0]
    return _InGroup(
        phi=to_space_group(data, p1.hkl, p1.f, phi, own).phi,
        agreement={reading.space_group.xhm(): reading.agreement for reading in readings},
        random_agreement=own.random_agreement,
        same_hand=not own.inverted,
    )
