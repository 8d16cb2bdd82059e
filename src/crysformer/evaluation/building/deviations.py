"""Deviations of a model's atoms from the true ones, origin and symmetry mate being free."""

from __future__ import annotations

import math
from dataclasses import dataclass

import gemmi
import numpy as np
from numpy.typing import NDArray

from crysformer.building.model_atoms import polymer_chains, residue_letter, residue_number
from crysformer.crystal.operators import operators
from crysformer.crystal.unit_cell import frac_matrix, orth_matrix
from crysformer.phasing.origin.permissible_origins import permissible_origins

_BACKBONE = frozenset(("N", "CA", "C", "O"))
#: Oxygens at the end of a chain, which are the same.
_ENDS = (("O", "OXT"),)
#: Exchanges of atoms of one residue that X-rays hardly distinguish, or that are the same.
_ALIKE = {
    "ARG": (("NH1", "NH2"),),
    "ASN": (("OD1", "ND2"),),
    "ASP": (("OD1", "OD2"),),
    "GLN": (("OE1", "NE2"),),
    "GLU": (("OE1", "OE2"),),
    "HIS": (("ND1", "CD2"), ("CE1", "NE2")),
    "PHE": (("CD1", "CD2"), ("CE1", "CE2")),
    "TYR": (("CD1", "CD2"), ("CE1", "CE2")),
}


@dataclass(frozen=True, eq=False)
class _Matched:
    """Positions of the atoms that two models have in common, shape (n, 3), A.

    `exchanges` holds pairs of rows of atoms that are alike, a list for each group that moves
    together.
    """

    ours: NDArray[np.float64]
    theirs: NDArray[np.float64]
    backbone: NDArray[np.bool_]
    exchanges: list[list[tuple[int, int]]]


def deviations(model: gemmi.Structure, truth: gemmi.Structure) -> tuple[float, float]:
    """RMSD of backbone and of all atoms, A, at the best permissible origin and symmetry mate.

    Atoms are matched by chain, place in the sequence and name; those of one residue that are
    chemically alike may be exchanged. Only atoms of both models count.

    Parameters
    ----------
    model
        Chains in the order of those of `truth`, residues numbered along the sequence from 1. Its
        cell and space group are those of the crystal.
    truth
        The true model.

    Returns
    -------
    (backbone, all atoms)
        Infinite where the models have no atom of the backbone in common.
    """
    matched = _matched(model, truth)
    if not matched.backbone.any():
        return math.inf, math.inf
    group, cell = model.find_spacegroup(), model.cell
    to_frac, orth = frac_matrix(cell), orth_matrix(cell)
    origins = permissible_origins(group)
    projector = operators(group).polar_projector
    best = (math.inf, math.inf)
    fixed = matched.ours @ to_frac.T
    for rotation, translation in operators(group, centred=True):
        moved = matched.theirs @ to_frac.T @ rotation.T + translation
        for origin in origins.shifts:
            shift = (fixed - moved)[matched.backbone].mean(0) - origin
            polar = projector @ shift
            whole = origin + polar + np.round(shift - polar)
            square = (((fixed - moved - whole) @ orth.T) ** 2).sum(1)
            square = _exchanged(square, fixed, moved + whole, orth, matched.exchanges)
            of_backbone = float(square[matched.backbone].mean())
            best = min(best, (math.sqrt(of_backbone), math.sqrt(float(square.mean()))))
    return best


def _exchanged(
    square: NDArray[np.float64],
    ours: NDArray[np.float64],
    theirs: NDArray[np.float64],
    orth: NDArray[np.float64],
    exchanges: list[list[tuple[int, int]]],
) -> NDArray[np.float64]:
    """Squared distances with atoms that are alike exchanged where they fit better so."""
    square = square.copy()
    for pairs in exchanges:
        rows = np.array([row for pair in pairs for row in pair])
        others = np.array([row for pair in pairs for row in pair[::-1]])
        exchanged = (((ours[others] - theirs[rows]) @ orth.T) ** 2).sum(1)
        if exchanged.sum() < square[rows].sum():
            square[rows] = exchanged
    return square


def _matched(model: gemmi.Structure, truth: gemmi.Structure) -> _Matched:
    ours: list[list[float]] = []
    theirs: list[list[float]] = []
    backbone: list[bool] = []
    exchanges: list[list[tuple[int, int]]] = []
    for own_chain, other_chain in zip(polymer_chains(model), polymer_chains(truth), strict=False):
        others = [r for r in other_chain.first_conformer() if residue_letter(r.name) is not None]
        for own in own_chain:
            place = residue_number(own) - 1
            if residue_letter(own.name) is None or not 0 <= place < len(others):
                continue
            rows: dict[str, int] = {}
            for atom in own:
                match = others[place].find_atom(atom.name, "*")
                if match is None or atom.name in rows:
                    continue
                rows[atom.name] = len(ours)
                ours.append(atom.pos.tolist())
                theirs.append(match.pos.tolist())
                backbone.append(atom.name in _BACKBONE)
            for group in (_ENDS, _ALIKE.get(own.name, ())):
                pairs = [(rows[a], rows[b]) for a, b in group if a in rows and b in rows]
                if pairs:
                    exchanges.append(pairs)
    return _Matched(
        np.array(ours).reshape(-1, 3),
        np.array(theirs).reshape(-1, 3),
        np.array(backbone, dtype=bool),
        exchanges,
    )
