"""Ends of Asn and Gln side chains turned by their hydrogen bonds: density hardly tells N from O."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.building.model_atoms import WATER
from crysformer.crystal.operators import operators
from crysformer.crystal.peak_picking import minimum_image
from crysformer.crystal.unit_cell import frac_matrix, orth_matrix

#: Oxygen and nitrogen of the amides.
_ENDS: Final = {"ASN": ("OD1", "ND2"), "GLN": ("OE1", "NE2"), "DSG": ("OD1", "ND2"),
                "DGN": ("OE1", "NE2")}  # fmt: skip
#: Distance from which a contact counts, and from which it counts in full, A.
_LONGEST, _FULL = 3.4, 3.0
_LEAST_GAIN: Final = 0.5  # of a turn, in hydrogen bonds
_ALL_STATES: Final = 10  # amides up to which every combination of turns is compared
_SWEEPS: Final = 20
_SAME: Final = 0.5  # A, an atom on its own mate
#: Nitrogens and oxygens that both give and take hydrogen bonds, or may do either.
_BOTH: Final = {("SER", "OG"), ("THR", "OG1"), ("TYR", "OH"), ("HIS", "ND1"), ("HIS", "NE2")}


@dataclass(frozen=True)
class _Polar:
    """A polar atom: +1 gives a hydrogen bond, -1 takes one, 0 either; and its amide, or -1."""

    kind: int
    amide: int
    xyz: tuple[float, float, float]
    residue: tuple[str, str]


def turn_amides(structure: gemmi.Structure) -> int:
    """Exchange N and O of amides where that makes more hydrogen bonds, in place.

    A contact of a donor and an acceptor counts as a bond, one of two donors or of two acceptors as
    the loss of one: in full up to 3.0 A, not at all from 3.4 A on. A turn has to gain half a bond
    at least. Symmetry mates turn together. With up to ten amides all
    combinations are compared, with more each amide in turn, until none changes.

    Returns
    -------
    int
        The number of amides that were turned.
    """
    amides, polar = _amides(structure), list(_polar_atoms(structure))
    if not amides:
        return 0
    pairs, fixed = _couplings(structure, polar, len(amides))
    best = _best_states(pairs, fixed - 0.5 * _LEAST_GAIN)
    for (oxygen, nitrogen), state in zip(amides, best, strict=True):
        if state < 0:
            oxygen.pos, nitrogen.pos = gemmi.Position(nitrogen.pos), gemmi.Position(oxygen.pos)
            oxygen.b_iso, nitrogen.b_iso = nitrogen.b_iso, oxygen.b_iso
    return int((best < 0).sum())


def _best_states(pairs: NDArray[np.float64], fixed: NDArray[np.float64]) -> NDArray[np.int64]:
    """States (+1 as it is, -1 turned) with the least cost s.P.s + f.s, shape (n,)."""
    n = len(fixed)
    as_is = np.ones(n, dtype=np.int64)

    def cost(states: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray(np.einsum("ki,ij,kj->k", states, pairs, states) + states @ fixed)

    if n <= _ALL_STATES:
        # the state as it is comes first, so that it stays where others are only as good
        states = np.array(list(itertools.product((1, -1), repeat=n)))
        return np.asarray(states[cost(states).round(6).argmin()])
    state = as_is
    for _ in range(_SWEEPS):
        turned = np.array([np.where(np.arange(n) == i, -state, state) for i in range(n)])
        change = cost(turned) - cost(state[None])
        if change.min() > -1e-6:
            break
        state = turned[int(change.argmin())]
    return state


def _amides(structure: gemmi.Structure) -> list[tuple[gemmi.Atom, gemmi.Atom]]:
    found = []
    for chain in structure[0]:
        for residue in chain:
            ends = [residue.find_atom(name, "*") for name in _ENDS.get(residue.name, ())]
            if len(ends) == 2 and None not in ends:
                found.append((ends[0], ends[1]))
    return found


def _polar_atoms(structure: gemmi.Structure) -> Iterator[_Polar]:
    """Nitrogens and oxygens, waters left out, which take part on either side."""
    amide = -1
    for chain in structure[0]:
        for i, residue in enumerate(chain):
            ends = _ENDS.get(residue.name, ())
            complete = bool(ends) and all(residue.find_atom(name, "*") for name in ends)
            amide += complete
            if residue.name == WATER:
                continue
            for atom in residue:
                if atom.element.name not in ("N", "O"):
                    continue
                kind = 1 if atom.element.name == "N" else -1
                if (residue.name, atom.name) in _BOTH:
                    kind = 0
                if residue.name in ("PRO", "DPR") and atom.name == "N" and i > 0:
                    kind = 0  # it has no hydrogen
                own = amide if complete and atom.name in ends else -1
                place = (chain.name, str(residue.seqid))
                yield _Polar(kind, own, (atom.pos.x, atom.pos.y, atom.pos.z), place)


def _couplings(
    structure: gemmi.Structure, polar: list[_Polar], n_amides: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Costs of pairs of amides (n, n) and of each with the other atoms (n,), per product of states.

    Two atoms of equal kind in contact cost 1, of opposite kind -1.
    """
    pairs, fixed = np.zeros((n_amides, n_amides)), np.zeros(n_amides)
    to_frac, orth = frac_matrix(structure.cell), orth_matrix(structure.cell)
    frac = np.array([atom.xyz for atom in polar]) @ to_frac.T
    for k, (rotation, shift) in enumerate(
        operators(gemmi.SpaceGroup(structure.spacegroup_hm), centred=True)
    ):
        step = (frac @ rotation.T + shift)[None] - frac[:, None]
        length = np.linalg.norm(minimum_image(step) @ orth.T, axis=-1)
        strength = np.clip((_LONGEST - length) / (_LONGEST - _FULL), 0.0, 1.0)
        strength[length < _SAME] = 0.0
        for i, j in np.argwhere(strength > 0).tolist():
            one, other = polar[i], polar[j]
            identical = k == 0 and np.abs(step[i, j]).max() < 0.5
            if (identical and one.residue == other.residue) or one.amide < 0:
                continue
            weight = one.kind * other.kind * strength[i, j]
            if other.amide >= 0:
                pairs[one.amide, other.amide] += 0.5 * weight
            else:
                fixed[one.amide] += weight
    return pairs, fixed
