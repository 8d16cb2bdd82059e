"""Verdict on the sequence of a built model."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final, TypeAlias

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.building.built_model import BuiltModel
from crysformer.building.model_atoms import polymer_chains, residue_number
from crysformer.building.refined_state import RefinedState
from crysformer.building.settings import BuildSettings
from crysformer.peptide.geometry import Peptides, build_peptides
from crysformer.peptide.model import TO_CB, PeptideModel
from crysformer.peptide.residues import NAME_OF
from crysformer.phasing.sequence_support.support import sequence_support
from crysformer.phasing.sequence_support.verdict import SequenceSupport

#: Names of the chains and their residues.
Chains: TypeAlias = list[tuple[str, list[gemmi.Residue]]]

_LETTER_OF: Final = {name: letter for letter, name in NAME_OF.items()}
_BACKBONE: Final = ("N", "CA", "C", "O", "OXT")
_AT_SIDE_CHAIN: Final = 5.0  # A, at most, from a water to an atom of a side chain
_LEAST_B = 1.0  # A^2; refinement of the comparison keeps B above zero


def checked(
    built: BuiltModel, deadline: float = math.inf, settings: BuildSettings | None = None
) -> tuple[BuiltModel, SequenceSupport]:
    """Compare the sequence of a model with others; leave side chains out that are refuted.

    Phases can be right while the sequence is wrong: the model is then one of the wrong peptide in
    the right density, and refinement brings it to a middling R factor.

    Parameters
    ----------
    built
        The model.
    deadline
        `time.monotonic` after which nothing is compared.
    settings
        Of building, for the scale of the model without refuted side chains.

    Returns
    -------
    (built, support)
        The model, of refuted residues without atoms beyond CB and with figures to match, and the
        verdict.
    """
    chains = standard_chains(built.structure)
    if chains is None:
        return built, SequenceSupport(note="the model has gaps, or residues of other kinds")
    model = peptide_model(built, chains)
    support = sequence_support(built.data, model, float(model.b_iso.mean()), deadline)
    if not support.contradicted:
        return built, support
    return _without_side_chains(built, chains, support, settings or BuildSettings()), support


def standard_chains(structure: gemmi.Structure) -> Chains | None:
    """Chains of the model, if all residues are complete, L, of the twenty, and without gaps."""
    chains: Chains = []
    for chain in polymer_chains(structure):
        residues = [r for r in chain if r.entity_type == gemmi.EntityType.Polymer]
        numbers = [residue_number(r) for r in residues]
        whole = numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        if not whole or any(r.name not in _LETTER_OF for r in residues):
            return None
        chains.append((chain.name, residues))
    if not chains:
        return None
    found = _positions(build_peptides(_sequences(chains)), _residues(chains))
    return None if any(position is None for position in found) else chains


def peptide_model(built: BuiltModel, chains: Chains) -> PeptideModel:
    """A built model as the comparison of sequences takes it."""
    peptides, residues = build_peptides(_sequences(chains)), _residues(chains)
    xyz = np.array(_positions(peptides, residues))
    b_iso = np.zeros(len(xyz))
    for i in range(len(xyz)):
        residue = residues[peptides.residue[i]]
        atom = residue.find_atom(peptides.names[i], "*") or residue.find_atom("C", "*")
        b_iso[i] = max(_LEAST_B, atom.b_iso if atom is not None else _LEAST_B)
    waters = [r[0] for chain in built.structure[0] for r in chain if r.is_water()]
    return PeptideModel(
        peptides, xyz, b_iso, built.data.cell, built.data.space_group,
        np.where(built.data.measured, built.scaled.F_model, np.nan),
        waters=np.array([a.pos.tolist() for a in waters]).reshape(-1, 3),
        waters_b=np.array([max(_LEAST_B, a.b_iso) for a in waters]),
    )  # fmt: skip


def _residues(chains: Chains) -> list[gemmi.Residue]:
    return [residue for _, residues in chains for residue in residues]


def _sequences(chains: Chains) -> list[str]:
    return ["".join(_LETTER_OF[r.name] for r in residues) for _, residues in chains]


def _positions(
    peptides: Peptides, residues: list[gemmi.Residue]
) -> list[NDArray[np.float64] | None]:
    """Positions of all atoms, A; None for those that the model lacks."""
    rows = zip(peptides.residue.tolist(), peptides.names, strict=True)
    return [_position(residues[row], name) for row, name in rows]


def _position(residue: gemmi.Residue, name: str) -> NDArray[np.float64] | None:
    """Position of an atom, A; None if the residue lacks it.

    The second oxygen of the last residue, which the density need not show, lies in the plane of the
    others.
    """
    atom = residue.find_atom(name, "*")
    if atom is not None:
        return np.array(atom.pos.tolist())
    parts = [residue.find_atom(other, "*") for other in ("CA", "C", "O")]
    if name != "OXT" or None in parts:
        return None
    ca, c, o = (np.array(part.pos.tolist()) for part in parts if part is not None)
    axis = (c - ca) / np.linalg.norm(c - ca)
    return np.asarray(c + 2 * ((o - c) @ axis) * axis - (o - c))


def _without_side_chains(
    built: BuiltModel, chains: Chains, support: SequenceSupport, settings: BuildSettings
) -> BuiltModel:
    """The model without atoms beyond CB of contradicted residues, scaled to the data again.

    Waters at these side chains are left out as well: they may lie in the density of the right ones.
    """
    places = [(name, str(r.seqid)) for name, residues in chains for r in residues]
    refuted = {places[row] for row in support.contradicted}
    structure = _without_waters_at(built.structure.clone(), refuted)
    for chain in structure[0]:
        for residue in chain:
            if (chain.name, str(residue.seqid)) in refuted:
                for i in reversed(range(len(residue))):
                    if residue[i].name not in TO_CB:
                        del residue[i]
    structure.remove_empty_chains()
    state = RefinedState.of(structure, built.data, built.free, settings.scaling)
    note = f"sequence {support}; they are left out, and R is that without them"
    return replace(
        built, scaled=state.scaled, coefficients=state.coefficients, r=state.r, k_fold=None,
        figures=None,  # those of the program include the side chains
        notes=(*built.notes, note),
    )  # fmt: skip


def _without_waters_at(
    structure: gemmi.Structure, residues: set[tuple[str, str]]
) -> gemmi.Structure:
    """The model, changed in place, without waters whose nearest atom is of these side chains.

    Parameters
    ----------
    structure
        The model, with all its side chains.
    residues
        Names of chains with numbers of residues.
    """
    search = gemmi.NeighborSearch(structure[0], structure.cell, _AT_SIDE_CHAIN)
    for c, chain in enumerate(structure[0]):
        for r, residue in enumerate(chain):
            for a, atom in enumerate(residue):
                if not residue.is_water() and not atom.is_hydrogen():
                    search.add_atom(atom, c, r, a)
    for chain in structure[0]:
        for i in reversed(range(len(chain))):
            mark = search.find_nearest_atom(chain[i][0].pos) if chain[i].is_water() else None
            if mark is None:
                continue
            near = mark.to_cra(structure[0])
            place = (near.chain.name, str(near.residue.seqid))
            if place in residues and near.atom.name not in _BACKBONE:
                del chain[i]
    return structure
