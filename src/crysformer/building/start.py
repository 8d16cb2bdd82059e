"""Start of building: a model, atoms or a map, and the first model from them."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.building.model_atoms import polymer_chains, residue_letter
from crysformer.building.proposed_sequence.likelihood import ProposalSettings
from crysformer.building.settings import BuildSettings
from crysformer.building.starting_model.compact_unit import compact_unit
from crysformer.building.starting_model.from_atoms import MatchedModel, model_from_atoms
from crysformer.building.starting_model.plain_model import plain_model
from crysformer.building.tracing.from_amplitudes import trace_with_amplitudes
from crysformer.crystal.cell_composition import USUAL_VOLUME_PER_ATOM
from crysformer.crystal.reflections import CrystalData
from crysformer.errors import InputError
from crysformer.peptide.chain import parse_chain
from crysformer.phasing.atoms.atomic_structure import AtomicStructure
from crysformer.phasing.atoms.element_refinement import ElementSettings, atoms_with_elements
from crysformer.phasing.cell_content import CellContent, cell_content
from crysformer.phasing.solution import Solution

#: Elements of an unknown peptide with its waters, as fractions of all atoms, at most.
_PEPTIDE = {"C": 0.62, "N": 0.17, "O": 0.25, "S": 0.01}
_SPARE = 1.15  # atoms sought to those of the chains: solvent
_FRACTION_FOR_ATOMS = 0.4  # of the time for building, at most, in which atoms are sought
_FRACTION_FOR_TRACING = 0.6


@dataclass(frozen=True, eq=False, repr=False)
class Start:
    """What is known before building; at least one of model, atoms and coefficients.

    Attributes
    ----------
    structure
        A model in the crystal's setting, such as that of the sequence search.
    atoms
        Atoms with elements.
    F
        Weighted map coefficients at the data's reflections, complex, shape (n_data,); zero or NaN
        where there is none.
    all_data
        Whether free reflections took part in finding the model; None if that is not known.
    ab_initio
        Whether it is a solution of this package, found from amplitudes alone.
    dictionary
        Files with restraints or components of its residues, such as that of the model itself.
    """

    structure: gemmi.Structure | None = None
    atoms: AtomicStructure | None = None
    F: NDArray[np.complex128] | None = None
    all_data: bool | None = None
    ab_initio: bool = False
    dictionary: tuple[Path, ...] = ()

    def __repr__(self) -> str:
        known = {"model": self.structure, "atoms": self.atoms, "map coefficients": self.F}
        return f"<Start: {', '.join(k for k, x in known.items() if x is not None) or 'nothing'}>"

    @staticmethod
    def of(solution: Solution) -> Start:
        """Start from a solution of the solver.

        Of an enantiomorphic pair of space groups the model may be in the other one than the map,
        which is of no use then.
        """
        phase = np.exp(1j * np.radians(np.nan_to_num(solution.phi)))
        F = np.where(np.isfinite(solution.phi), np.nan_to_num(solution.f), 0.0) * phase
        if solution.model is None:
            return Start(None, solution.atoms, F, all_data=True, ab_initio=True)
        same = solution.model.space_group.xhm() == solution.space_group.xhm()
        model, F_of_model = solution.model.to_structure(), F if same else None
        return Start(model, solution.atoms, F_of_model, all_data=True, ab_initio=True)


@dataclass(frozen=True, eq=False)
class StartingModel:
    """The first model, with a sentence on its origin and notes.

    `inverted` tells that it lies in the inverse of the map that was given.
    """

    structure: gemmi.Structure
    origin: str
    notes: tuple[str, ...] = ()
    inverted: bool = False


def _check_sequence(
    data: CrystalData, structure: gemmi.Structure, sequences: Sequence[str]
) -> None:
    """Check that the chains of a model are stretches of the sequences that are given.

    Raises
    ------
    InputError
        If one is not.
    """
    given = ["".join(parse_chain(sequence).letters) for sequence in sequences]
    for chain in polymer_chains(structure):
        amino_acids = [residue for residue in chain if residue.find_atom("CA", "*") is not None]
        letters = "".join(residue_letter(residue.name) or "." for residue in amino_acids)
        if given and not any(re.search(letters, sequence) for sequence in given):
            raise InputError(
                f"{data.source}: chain {chain.name} of the model is {letters}, which is no part of "
                f"the sequence {', '.join(given)}; leave the sequence out, or give the model's"
            )


def starting_model(
    data: CrystalData,
    sequences: Sequence[str],
    start: Start,
    settings: BuildSettings,
    deadline: float,
    copies: int | None = None,
    seed: int = 0,
) -> StartingModel:
    """Make the first model, in one compact asymmetric unit.

    The model that is given comes first, isotropic, without hydrogens and conformers but one; then,
    at atomic resolution, atoms matched to the bonds of the sequence; then a trace of the map.

    Parameters
    ----------
    data
        The crystal.
    sequences
        The chains.
    start
        What is known.
    settings
        Of building.
    deadline
        `time.monotonic` at which building ends.
    copies
        Copies of all chains in the asymmetric unit; estimated by default.
    seed
        Of random numbers.

    Raises
    ------
    InputError
        If there is nothing to begin with, the sequence does not fit into the cell, or the map shows
        no chain.
    """
    if start.structure is not None:
        _check_sequence(data, start.structure, sequences)
        which = "the model of the solution" if start.ab_initio else "the model that was given"
        structure, lost = plain_model(start.structure)
        notes = (f"of {which}, {' and '.join(lost)} are left out",) if lost else ()
        if start.ab_initio:  # a search among few positions; those of a refined map are better
            structure.remove_waters()
        return _compact(StartingModel(structure, which, notes), data)
    if not sequences:
        proposed = ""
        if data.d_min <= ProposalSettings().d_min:
            proposed = "; `sequence` proposed of crysformer build reads it from atoms in the map"
        raise InputError(
            f"{data.source}: building needs the sequence, or a model; pass `sequence`{proposed}"
        )
    content = cell_content(data, list(sequences), copies)
    matched = _from_atoms(data, sequences, start, content, settings, deadline)
    if matched is not None:
        n = sum(len(chain) for chain in polymer_chains(matched.structure))
        origin = f"{n} residues matched to the atoms and bonds of the solution"
        return _compact(StartingModel(matched.structure, origin, matched.notes), data)
    if start.F is None:
        raise InputError(
            f"{data.source}: there is neither a model, nor atoms that fit the sequence, nor a map"
        )
    until = time.monotonic() + _FRACTION_FOR_TRACING * max(0.0, deadline - time.monotonic())
    chains = list(sequences) * content.copies
    traced = trace_with_amplitudes(data, start.F, chains, until, seed, either_hand=True)
    if traced is None:
        raise InputError(f"{data.source}: no chain of the sequence could be traced in the map")
    n = sum(len(chain) for chain in polymer_chains(traced.structure))
    note = f"the main chain traced in the map is right with probability {traced.score:.2f}" + (
        "" if traced.accepted else "; look at the map and at R-free before believing it"
    )
    where, remarks = "the map", [note]
    if traced.inverted:
        where = "the inverse of the map"
        remarks.insert(
            0,
            "no model in the map was accepted, but one in its inverse: amplitudes do not tell the "
            "hand, so the model and its phases are of the other hand than the map that was given",
        )
    found = StartingModel(
        traced.structure, f"{n} residues traced in {where}", tuple(remarks), traced.inverted
    )
    return _compact(found, data)


def _from_atoms(
    data: CrystalData,
    sequences: Sequence[str],
    start: Start,
    content: CellContent,
    settings: BuildSettings,
    deadline: float,
) -> MatchedModel | None:
    """Match the atoms of the solution; find them in its map where it has none."""
    atoms = atoms_of_start(data, start, content, settings, deadline)
    return None if atoms is None else model_from_atoms(atoms, sequences)


def atoms_of_start(
    data: CrystalData,
    start: Start,
    content: CellContent,
    settings: BuildSettings,
    deadline: float,
) -> AtomicStructure | None:
    """Atoms of the solution, or those that are found in its map where it has none.

    Parameters
    ----------
    data, start, settings, deadline
        As `starting_model` takes them.
    content
        Atoms of the cell, of a known sequence or not.

    Returns
    -------
    AtomicStructure or None
        None beyond atomic resolution, and where the cell is too large for the time.
    """
    if data.d_min > settings.atomic_d_min:
        return None
    if start.atoms is not None or start.F is None:
        return start.atoms
    n_operators = len(data.space_group.operations())
    composition = {
        element: math.ceil(count / n_operators) for element, count in content.composition.items()
    }
    n_atoms = math.ceil(_SPARE * sum(composition.values()))
    if not composition:
        n_atoms = math.ceil(data.cell.volume / USUAL_VOLUME_PER_ATOM / n_operators)
        composition = {x: math.ceil(part * n_atoms) for x, part in _PEPTIDE.items()}
    if n_atoms * int(data.measured.sum()) * n_operators > settings.atom_pairs:
        return None
    until = time.monotonic() + _FRACTION_FOR_ATOMS * max(0.0, deadline - time.monotonic())
    return atoms_with_elements(
        data, start.F, n_atoms, content.b_iso, composition, until,
        settings=ElementSettings(),
    )  # fmt: skip


def _compact(found: StartingModel, data: CrystalData) -> StartingModel:
    structure = found.structure.clone()
    structure.cell, structure.spacegroup_hm = data.cell, data.space_group.xhm()
    return replace(found, structure=compact_unit(structure))
