"""Atoms of alternative conformers written into a model, and removed from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import gemmi
import numpy as np

from crysformer.building.alternatives.candidates import Candidate
from crysformer.building.alternatives.settings import ConformerSettings

FIRST, SECOND = "A", "B"
_NONE: Final = "\0"
#: B of a half of an elongated atom to that along its shortest axis, at most.
_WIDER: Final = 2.0


@dataclass(frozen=True)
class Occupancies:
    """A residue with alternative conformers.

    Attributes
    ----------
    chain, seqid, name
        The residue.
    occupancy
        Of each conformer, by its letter.
    distance
        Largest distance of an atom in two of them, A.
    """

    chain: str
    seqid: str
    name: str
    occupancy: dict[str, float]
    distance: float

    def __str__(self) -> str:
        """Residue and occupancies, as in notes."""
        shares = ", ".join(f"{q:.2f}" for q in self.occupancy.values())
        return f"{self.name} {self.chain}{self.seqid} ({shares})"


def with_conformers(
    structure: gemmi.Structure, candidates: Sequence[Candidate], occupancy: float
) -> gemmi.Structure:
    """Copy of a model with second conformers, isotropic, with hydrogens of these residues removed.

    Parameters
    ----------
    structure
        The model.
    candidates
        At most one for each residue.
    occupancy
        Of each second conformer.
    """
    copy = structure.clone()
    for candidate in candidates:
        residue = _residue(copy, candidate.chain, candidate.seqid)
        for i in reversed(range(len(residue))):
            if residue[i].is_hydrogen():
                del residue[i]
        for name, place in candidate.first.items():
            atom = residue.find_atom(name, "*")
            other = atom.clone()
            atom.pos = gemmi.Position(*place.tolist())
            other.pos = gemmi.Position(*candidate.second[name].tolist())
            atom.altloc, atom.occ = FIRST, 1 - occupancy
            other.altloc, other.occ = SECOND, occupancy
            smallest = min(_principal(atom)) if atom.aniso.nonzero() else 0.0
            for half in (atom, other):
                half.aniso = gemmi.SMat33f(0, 0, 0, 0, 0, 0)
                if smallest > 0:
                    half.b_iso = min(half.b_iso, _WIDER * 8 * np.pi**2 * smallest)
            residue.add_atom(other, [a.name for a in residue].index(name) + 1)
    return copy


def occupancies(structure: gemmi.Structure) -> list[Occupancies]:
    """Residues of polymers with alternative conformers, in the order of the model."""
    found = []
    for chain in structure[0]:
        for residue in chain:
            letters = sorted({atom.altloc for atom in residue if atom.altloc != _NONE})
            if len(letters) < 2 or residue.is_water():
                continue
            of = {
                letter: float(np.mean([a.occ for a in residue if a.altloc == letter]))
                for letter in letters
            }
            spread = [
                a.pos.dist(b.pos)
                for a in residue
                for b in residue
                if a.name == b.name and a.altloc < b.altloc and not a.is_hydrogen()
            ]
            where = (chain.name, str(residue.seqid), residue.name)
            found.append(Occupancies(*where, of, max(spread, default=0.0)))
    return found


def without_poor_conformers(
    structure: gemmi.Structure, settings: ConformerSettings
) -> tuple[gemmi.Structure, int]:
    """Copy of a model without conformers of low occupancy or on top of the first one.

    Returns
    -------
    (structure, removed)
        With the better conformer of each such residue at full occupancy.
    """
    copy, removed = structure.clone(), 0
    for found in occupancies(structure):
        close = found.distance < settings.min_distance
        if min(found.occupancy.values()) >= settings.min_occupancy and not close:
            continue
        kept = max(found.occupancy, key=lambda letter: found.occupancy[letter])
        residue = _residue(copy, found.chain, found.seqid)
        for i in reversed(range(len(residue))):
            if residue[i].altloc not in (_NONE, kept):
                del residue[i]
        for atom in residue:
            if atom.altloc == kept:
                atom.altloc, atom.occ = _NONE, 1.0
        removed += 1
    return copy, removed


def _residue(structure: gemmi.Structure, chain: str, seqid: str) -> gemmi.Residue:
    return next(
        residue
        for of in structure[0]
        if of.name == chain
        for residue in of
        if str(residue.seqid) == seqid and not residue.is_water()
    )


def _principal(atom: gemmi.Atom) -> list[float]:
    return [float(x) for x in np.linalg.eigvalsh(np.array(atom.aniso.as_mat33().tolist()))]
