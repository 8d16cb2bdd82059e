"""Log likelihood of a residue's side chain at the atoms of a crystal."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from crysformer.building.starting_model.bond_graph import BondGraph
from crysformer.building.starting_model.side_chain_match import SideChain
from crysformer.building.validation.bonds_and_angles import ideal_bonds
from crysformer.peptide.residues import NAME_OF
from crysformer.settings import setting

_ALPHA: Final = "CA"
_DONOR, _ACCEPTOR, _SULPHUR = 7, 8, 16  # atomic numbers
_USUAL_BOND, _LESS_SURE = (1.15, 1.9), 0.4  # A; factor beyond it
#: Longest distance of a hydrogen bond, and shortest of atoms that are not bonded, A.
_HYDROGEN_BOND: Final = (2.4, 3.2)


@dataclass(frozen=True)
class ProposalSettings:
    """Sequence proposed from atoms; logarithms are natural."""

    d_min: float = setting(
        1.2, "Resolution from which a sequence is proposed.", unit="A", min=0.3, max=2.0
    )
    next_element: float = setting(
        -2.0, "Log probability of an atom of the neighbouring element in the periodic table.",
        min=-50.0, max=0.0,
    )  # fmt: skip
    second_element: float = setting(-5.0, "Likewise of the next but one.", min=-50.0, max=0.0)
    other_element: float = setting(-9.0, "Likewise of any other.", min=-50.0, max=0.0)
    absent: float = setting(-4.0, "Likewise of an atom that is not found.", min=-50.0, max=0.0)
    extra: float = setting(
        -12.0, "Likewise of a bond to an atom that the residue does not have.", min=-50.0, max=0.0
    )
    open_ring: float = setting(-6.0, "Likewise of a ring that is not closed.", min=-50.0, max=0.0)
    bond_error: float = setting(
        0.025, "Error of a bond at 0.85 A for an atom of median B; in proportion to the square of "
        "the resolution and to B.", unit="A", min=0.001, max=1.0,
    )  # fmt: skip
    most_misfit: float = setting(6.0, "Largest cost of one bond length.", min=0.0, max=50.0)
    wrong_partner: float = setting(
        -1.0, "Log probability of a hydrogen bond between two donors or two acceptors.",
        min=-50.0, max=0.0,
    )  # fmt: skip
    wrong_hand: float = setting(
        -4.0, "Likewise of the other hand than the chain's.", min=-50, max=0
    )
    unknown: float = setting(
        -10.0, "Log likelihood of a residue that is none of the twenty.", min=-200.0, max=0.0
    )


@dataclass(frozen=True, eq=False)
class LikelihoodRules:
    """Scores of `match_side_chain` as log likelihoods: elements, bond lengths, hydrogen bonds.

    Attributes
    ----------
    letter
        The residue.
    graph
        Bonds of the atoms.
    d_min
        Resolution, A.
    donors, acceptors
        Rows of main-chain nitrogens and oxygens.
    settings
        Probabilities.
    """

    letter: str
    graph: BondGraph
    d_min: float
    donors: frozenset[int]
    acceptors: frozenset[int]
    settings: ProposalSettings
    most: float = 0.0

    @property
    def absent(self) -> float:
        """Of an atom that is not found."""
        return self.settings.absent

    @property
    def open_ring(self) -> float:
        """Of a ring that is not closed."""
        return self.settings.open_ring

    def outside(self, row: int, other: int) -> float:
        """Of a bond to an atom outside the residue; a disulphide costs nothing."""
        if self.graph.atoms.number[row] == self.graph.atoms.number[other] == _SULPHUR:
            return 0.0
        near, far = _USUAL_BOND
        usual = near < self.graph.distance[row, other] < far
        return self.settings.extra * (1.0 if usual else _LESS_SURE)

    def atom(self, side: SideChain, place: int, row: int, above: int) -> float:
        """Of an atom of the side chain found in row `row`, attached to row `above`."""
        parent = side.parent[place]
        names = (_ALPHA if parent < 0 else side.names[parent], side.names[place])
        number = side.number[place]
        value = self.element(number, row) + self.partners(number, row)
        return value - self.bond_misfit(self._lengths[names], row, above)

    def element(self, number: int, row: int) -> float:
        """Of the element of an atom."""
        found = int(self.graph.atoms.number[row])
        if max(number, found) > 9 and number != found:
            return self.settings.other_element
        s = self.settings
        return {0: 0.0, 1: s.next_element, 2: s.second_element}.get(
            abs(number - found), s.other_element
        )

    def bond_misfit(self, length: float, row: int, above: int) -> float:
        """Cost of a bond length."""
        b = self.graph.atoms.b_iso
        error = self.settings.bond_error * (self.d_min / 0.85) ** 2
        error *= max(0.7, float(max(b[row], b[above])) / self._median_b)
        deviation = (float(self.graph.distance[row, above]) - length) / error
        # of errors that are larger now and then, as in disordered side chains
        most = self.settings.most_misfit
        return most * math.log1p(0.5 * deviation**2 / most)

    def partners(self, number: int, row: int) -> float:
        """Of the hydrogen bonds to the main chain, which has donors and acceptors."""
        if number not in (_DONOR, _ACCEPTOR) or len(self.graph.neighbours[row]) != 1:
            return 0.0
        alike = self.donors if number == _DONOR else self.acceptors
        distance = self.graph.distance[row]
        near, far = _HYDROGEN_BOND
        wrong = any(near < distance[other] < far for other in alike)
        return self.settings.wrong_partner if wrong else 0.0

    @cached_property
    def _lengths(self) -> dict[tuple[str, str], float]:
        return ideal_bonds(NAME_OF[self.letter])

    @cached_property
    def _median_b(self) -> float:
        return max(float(np.median(self.graph.atoms.b_iso)), 0.1)
