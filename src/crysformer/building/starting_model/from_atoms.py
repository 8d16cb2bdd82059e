"""A model from atoms with elements: matched to the covalent bonds of the sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.building.starting_model.backbone_threading import (
    ThreadedChain,
    acetyl_group,
    thread,
)
from crysformer.building.starting_model.bond_graph import BondGraph, formula_text_of
from crysformer.peptide.chain import parse_chain
from crysformer.peptide.modified_residues import definitions
from crysformer.peptide.residue_shape import residue_shape
from crysformer.phasing.atoms.atomic_structure import AtomicStructure

#: Score, of at most 1, from which a threaded chain is accepted.
_LEAST_SCORE: Final = 0.4
_LEAST_RESIDUES: Final = 0.5  # of the sequence
_POLAR: Final = (7, 8)
_HYDROGEN_BOND: Final = (2.3, 3.4)  # A, range for the nearest polar neighbour of a water


@dataclass(frozen=True, eq=False)
class MatchedModel:
    """A model made of atoms.

    Attributes
    ----------
    structure
        Chains A, B and so on, and waters.
    scores
        Of each chain, at most 1.
    notes
        What was found and what was left, a sentence each.
    """

    structure: gemmi.Structure
    scores: tuple[float, ...]
    notes: tuple[str, ...]


def model_from_atoms(atoms: AtomicStructure, sequences: Sequence[str]) -> MatchedModel | None:
    """Name the atoms of a crystal after the residues of its sequence.

    The atoms' graph of bonds is searched for the graphs of the residues; the sequence is threaded
    along the backbones, as often as there are copies. Isolated atoms at hydrogen-bond distance
    become waters; what is left is counted in the notes.

    Parameters
    ----------
    atoms
        Atoms with elements of one asymmetric unit.
    sequences
        The chains, one copy of each.

    Returns
    -------
    MatchedModel or None
        None if no chain is found.
    """
    graph = BondGraph.of(atoms)
    free = frozenset(range(len(atoms)))
    found: list[ThreadedChain] = []
    caps: list[dict[str, int]] = []
    chains = [parse_chain(sequence) for sequence in dict.fromkeys(sequences)]
    while True:
        threaded = [t for chain in chains if (t := thread(graph, chain, free)) is not None]
        if not threaded:
            break
        best = max(threaded, key=lambda t: t.score)
        enough = len(best.rows) >= _LEAST_RESIDUES * len(best.chain.letters)
        if best.score < _LEAST_SCORE or not enough:
            break
        cap = acetyl_group(graph, best, free) if best.first == 0 else {}
        found.append(best)
        caps.append(cap)
        free = free - best.atoms - frozenset(cap.values())
    if not found:
        return None
    structure = gemmi.Structure()
    structure.cell, structure.spacegroup_hm = atoms.cell, atoms.space_group.xhm()
    model = gemmi.Model(1)
    for i, (threaded_chain, cap) in enumerate(zip(found, caps, strict=True)):
        model.add_chain(_chain(graph, threaded_chain, cap, _chain_name(i)))
    waters = _waters(graph, free)
    if waters:
        model.add_chain(_water_chain(atoms, waters))
    structure.add_model(model)
    structure.setup_entities()
    structure.assign_label_seq_id()
    left = sorted(free - set(waters))
    return MatchedModel(structure, tuple(t.score for t in found), _notes(atoms, found, caps, left))


def _chain_name(i: int) -> str:
    """A, B, ..., Z, then AA, AB and so on; W is that of the waters."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVXYZ"
    return letters[i] if i < len(letters) else letters[i // len(letters) - 1] + letters[i % 25]


def _chain(
    graph: BondGraph, threaded: ThreadedChain, cap: dict[str, int], name: str
) -> gemmi.Chain:
    """The atoms of one chain, each at the mate that is bonded to one before it."""
    described, chain = threaded.chain, gemmi.Chain(name)
    position: dict[int, NDArray[np.float64]] = {}
    own = threaded.atoms | set(cap.values())
    root = threaded.rows[0]["CA"]
    position[root] = graph.atoms.frac[root]
    order = [root]
    for i in order:  # grows while it is read: breadth first
        for j in graph.neighbours[i]:
            if j in own and j not in position:
                position[j] = graph.beside(position[i], j)
                order.append(j)
    if cap:
        chain.add_residue(_residue(graph, "ACE", threaded.first, cap, position))
    last = len(described.letters) - 1
    for k, rows in enumerate(threaded.rows, start=threaded.first):
        residue = described.names[k]
        amide = k == last and described.amide and "OXT" in rows
        named = {atom: row for atom, row in rows.items() if not (amide and atom == "OXT")}
        chain.add_residue(_residue(graph, residue, k + 1, named, position))
        if amide:
            chain.add_residue(_residue(graph, "NH2", k + 2, {"N": rows["OXT"]}, position))
    return chain


def _residue(
    graph: BondGraph,
    name: str,
    number: int,
    rows: dict[str, int],
    position: dict[int, NDArray[np.float64]],
) -> gemmi.Residue:
    residue = gemmi.Residue()
    residue.name = name
    residue.seqid = gemmi.SeqId(number, " ")
    residue.entity_type = gemmi.EntityType.Polymer
    number_of = {}
    if name in definitions():
        shape = residue_shape(name)
        number_of = dict(zip(shape.atoms, shape.number, strict=True))
    for atom, row in rows.items():
        element = gemmi.Element(number_of.get(atom, 0) or atom[0])
        residue.add_atom(_atom(graph.atoms, atom, element, row, position[row]))
    return residue


def _atom(
    atoms: AtomicStructure,
    name: str,
    element: gemmi.Element,
    row: int,
    frac: NDArray[np.float64],
) -> gemmi.Atom:
    atom = gemmi.Atom()
    atom.name, atom.element = name, element
    atom.pos = atoms.cell.orthogonalize(gemmi.Fractional(*frac.tolist()))
    atom.occ, atom.b_iso = 1.0, float(atoms.b_iso[row])
    return atom


def _waters(graph: BondGraph, free: frozenset[int]) -> list[int]:
    """Atoms left that have no bond, at hydrogen-bond distance from a nitrogen or an oxygen."""
    polar = np.isin(graph.atoms.number, _POLAR)
    near, far = _HYDROGEN_BOND
    found = []
    for i in sorted(free):
        if graph.neighbours[i] or graph.atoms.number[i] not in _POLAR:
            continue
        distance = graph.distance[i]
        if distance.min(initial=np.inf) > near and (polar & (distance < far)).any():
            found.append(i)
    return found


def _water_chain(atoms: AtomicStructure, rows: list[int]) -> gemmi.Chain:
    chain = gemmi.Chain("W")
    for k, row in enumerate(rows, start=1):
        residue = gemmi.Residue()
        residue.name = "HOH"
        residue.seqid = gemmi.SeqId(k, " ")
        residue.entity_type = gemmi.EntityType.Water
        residue.add_atom(_atom(atoms, "O", gemmi.Element("O"), row, atoms.frac[row]))
        chain.add_residue(residue)
    return chain


def _notes(
    atoms: AtomicStructure,
    found: list[ThreadedChain],
    caps: list[dict[str, int]],
    left: list[int],
) -> tuple[str, ...]:
    notes = []
    for i, (threaded, cap) in enumerate(zip(found, caps, strict=True)):
        sequence = threaded.chain
        n, whole = len(threaded.rows), len(sequence.letters)
        text = f"chain {_chain_name(i)}: {n} of {whole} residues of {sequence} matched to atoms"
        if n < whole:
            text += f", {threaded.first + 1} to {threaded.first + n}"
        if cap and not sequence.acetyl:
            text += "; an acetyl group was found at its start, which the sequence does not state"
        notes.append(text)
    if left:
        notes.append(
            f"{len(left)} atoms ({formula_text_of(atoms, left)}) belong to no chain and are no "
            "waters; they are left out of the model"
        )
    return tuple(notes)
