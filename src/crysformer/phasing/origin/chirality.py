"""Hand of a structure from its alpha carbons: natural amino acids are L.

Amplitudes do not distinguish a structure from its mirror image, peptides do: every alpha carbon
(but that of glycine) has N, C and CB around it in one sense. Atoms found in the map are tried in
the roles of CA, N, C, O and CB, by bond lengths, distances across an angle, further bonds, and
scattering power. For each alpha carbon the best assignment as L is compared with the best as D, and
both with the hypothesis that the atom is no alpha carbon. Costs are chi-squared values, of which
half is a negative log-likelihood.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from crysformer.peptide.ideal_geometry import (
    BONDED,
    C_CA_CB,
    C_N,
    C_O,
    CA_C,
    CA_C_N,
    CA_C_O,
    CA_CB,
    CHIRAL_VOLUME,
    N_CA,
    N_CA_C,
    N_CA_CB,
    PROLINE_CD_N,
    SIDE_CHAIN_BONDS,
    distance_across,
)

# Ideal distances across a bond angle, A.
_N_C = distance_across(N_CA, CA_C, N_CA_C)
_N_CB = distance_across(N_CA, CA_CB, N_CA_CB)
_C_CB = distance_across(CA_C, CA_CB, C_CA_CB)
_CA_O = distance_across(CA_C, C_O, CA_C_O)
_CA_NEXT = distance_across(CA_C, C_N, CA_C_N)  # to the N of the next residue
_WEAKEST = 0.3  # occupancy relative to the median
_MEAN_Z, _Z_ERROR = 6.7, 1.0  # atomic number of the median atom, and the error of all
# Error of a chiral volume (A^3) for an error of 1 A of the distances.
_VOLUME_PER_ERROR = 8.0
# Costs of bonds: one that should be there and is not found, and each that should not.
_MISSING_BOND, _SURPLUS_BOND = 1.0, 9.0
# Cost of the hypothesis that an atom is no alpha carbon, at an error of 0.1 A, and its decrease
# with the logarithm of the error: chance agreement is likelier at larger errors. Fitted to
# dipeptides with errors of 0.03 to 0.25 A, so that the probability of the hand is the fraction of
# correct ones.
_CHANCE, _CHANCE_PER_LOG_ERROR, _CHANCE_ERROR = 22.0, 12.0, 0.1
_MOST_BONDS = 8  # of an atom that is looked at: carbon has four, and wrong atoms lie in clumps
_LARGEST_EVIDENCE = 6.0  # of one alpha carbon, natural logarithm


@dataclass(frozen=True)
class HandEvidence:
    """Evidence that a structure, as it stands, consists of L amino acids.

    Attributes
    ----------
    log_odds
        Natural logarithm of the odds of L against D; 0 without evidence.
    centres
        Number of alpha carbons in the evidence.
    """

    log_odds: float
    centres: int

    @property
    def probability(self) -> float:
        """Probability that the hand is right as it stands."""
        return 0.5 * (1 + math.tanh(0.5 * self.log_odds))


def chirality(
    frac: NDArray[np.floating],
    occupancy: NDArray[np.floating],
    orth: NDArray[np.floating],
    bond_error: float = 0.04,
    atomic_number: NDArray[np.floating] | None = None,
) -> HandEvidence:
    """Compare the evidence for L and for D.

    Parameters
    ----------
    frac
        Atoms in the unit cell, fractional, shape (N, 3).
    occupancy
        Proportional to scattering power, shape (N,).
    orth
        Orthogonalisation matrix, shape (3, 3), A.
    bond_error
        Expected error of a distance between two atoms, A.
    atomic_number
        Where it is known, shape (N,); by default from `occupancy`.
    """
    keep = occupancy > _WEAKEST * np.median(occupancy)
    z = _MEAN_Z * occupancy / np.median(occupancy) if atomic_number is None else atomic_number
    graph = _Neighbours(frac[keep], z[keep], orth, bond_error)
    evidence = []
    for centre in range(len(graph.bonded)):
        best = {True: graph.chance, False: graph.chance}
        for is_l, cost in graph.assignments(centre):
            best[is_l] = min(best[is_l], cost)
        if min(best.values()) < graph.chance:
            as_l, as_d = (_odds(best[is_l] - graph.chance) for is_l in (True, False))
            difference = math.log((1 + as_l) / (1 + as_d))
            evidence.append(float(np.clip(difference, -_LARGEST_EVIDENCE, _LARGEST_EVIDENCE)))
    return HandEvidence(log_odds=sum(evidence), centres=len(evidence))


class _Neighbours:
    """Bonds between the nearest images of the atoms, and the costs of their roles."""

    def __init__(
        self,
        frac: NDArray[np.floating],
        z: NDArray[np.floating],
        orth: NDArray[np.floating],
        error: float,
    ) -> None:
        difference = frac[None] - frac[:, None]
        self.vector = (difference - np.round(difference)) @ orth.T
        self.distance = np.linalg.norm(self.vector, axis=-1)
        linked = (self.distance > BONDED[0]) & (self.distance < BONDED[1])
        self.bonded = [np.flatnonzero(row).tolist() for row in linked]
        self.z = z
        self.error = error
        self.chance = _CHANCE - _CHANCE_PER_LOG_ERROR * math.log(error / _CHANCE_ERROR)

    def assignments(self, ca: int) -> Iterable[tuple[bool, float]]:
        """Likely assignments of atom `ca` as an alpha carbon: (is L, cost)."""
        if len(self.bonded[ca]) > _MOST_BONDS:
            return
        for n, c, cb in itertools.permutations(self.bonded[ca], 3):
            if len(self.bonded[c]) > _MOST_BONDS:
                continue
            others = [o for o in self.bonded[c] if o != ca]
            for o in others:
                cost = self._core(ca, n, c, cb, o)
                if cost > self.chance:
                    continue
                cost += self._after_c(ca, c, [x for x in others if x != o])
                cost += self._bonds(n, ca, (C_N, PROLINE_CD_N), usual=1)
                cost += self._bonds(cb, ca, SIDE_CHAIN_BONDS, usual=1)
                volume = float(
                    self.vector[ca, n] @ np.cross(self.vector[ca, c], self.vector[ca, cb])
                )
                flatness = ((abs(volume) - CHIRAL_VOLUME) / (_VOLUME_PER_ERROR * self.error)) ** 2
                yield volume > 0, cost + flatness

    def _core(self, ca: int, n: int, c: int, cb: int, o: int) -> float:
        lengths = (
            (self.distance[ca, n], N_CA),
            (self.distance[ca, c], CA_C),
            (self.distance[ca, cb], CA_CB),
            (self.distance[c, o], C_O),
            (_across(self.vector[ca, n], self.vector[ca, c]), _N_C),
            (_across(self.vector[ca, n], self.vector[ca, cb]), _N_CB),
            (_across(self.vector[ca, c], self.vector[ca, cb]), _C_CB),
            (_across(self.vector[c, ca], self.vector[c, o]), _CA_O),
        )
        cost = sum(((found - ideal) / self.error) ** 2 for found, ideal in lengths)
        roles = ((ca, 6), (n, 7), (c, 6), (cb, 6), (o, 8))
        return cost + sum(((self.z[i] - z) / _Z_ERROR) ** 2 for i, z in roles)

    def _after_c(self, ca: int, c: int, others: list[int]) -> float:
        """Cost of the other bonds of C: to the next N, or none at the end of a chain."""
        if not others:
            return _MISSING_BOND
        costs = [
            ((self.distance[c, x] - C_N) / self.error) ** 2
            + ((_across(self.vector[c, ca], self.vector[c, x]) - _CA_NEXT) / self.error) ** 2
            for x in others
        ]
        return min(costs) + _SURPLUS_BOND * (len(others) - 1)

    def _bonds(self, atom: int, ca: int, ideals: tuple[float, ...], usual: int) -> float:
        """Cost of the other bonds of an atom, each at the nearest of the ideal lengths."""
        others = [x for x in self.bonded[atom] if x != ca]
        if len(others) < usual:
            return _MISSING_BOND
        return sum(
            min(((self.distance[atom, x] - ideal) / self.error) ** 2 for ideal in ideals)
            for x in others
        )


def _odds(cost: float) -> float:
    return math.exp(-0.5 * cost)


def _across(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    return float(np.linalg.norm(a - b))
