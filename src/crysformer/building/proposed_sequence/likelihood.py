"""Log likelihood of a residue's side chain at the atoms of a crystal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crysformer.building.starting_model.bond_graph import BondGraph
from crysformer.building.starting_model.side_chain_match import SideChain
from crysformer.building.validation.bonds_and_angles import ideal_bonds
from crysformer.peptide.residues import NAME_OF
from crysformer.settings import setting

_ALPHA: Final = "CA"
_S_SQ: Final = 0.4  # A^-2, (1/d)^2 at which scattering powers are compared
_B_OF_END: Final = 1.2  # usual B of an atom with one neighbour to that of the neighbour
_LIGHT: Final = 9  # atomic number up to which elements are taken for their neighbours
_USUAL_D_MIN: Final = 0.85  # A
_OUTLIER: Final = 25.0  # squared deviation to the median one, beyond which it counts no more
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
    element_error: float = setting(
        0.08, "Expected relative error of scattering powers; that of the main chain counts beside "
        "it.", min=0.001, max=1.0,
    )  # fmt: skip
    expected_weight: float = setting(
        8.0, "Atoms of the main chain for which the expected errors count.",
        min=0.1, max=1000.0,
    )  # fmt: skip
    absent: float = setting(-4.0, "Likewise of an atom that is not found.", min=-50.0, max=0.0)
    extra: float = setting(
        -18.0, "Likewise of a bond to an atom that the residue does not have.", min=-50.0, max=0.0
    )
    open_ring: float = setting(-6.0, "Likewise of a ring that is not closed.", min=-50.0, max=0.0)
    bond_error: float = setting(
        0.025, "Expected error of a bond at 0.85 A for an atom of median B, in proportion to the "
        "square of the resolution; that of the main chain counts beside it.", unit="A",
        min=0.001, max=1.0,
    )  # fmt: skip
    most_misfit: float = setting(
        6.0,
        "Cost of one bond length or element from which it grows slowly only.",
        min=0.0,
        max=50.0,
    )
    wrong_partner: float = setting(
        -1.0, "Log probability of a hydrogen bond between two donors or two acceptors.",
        min=-50.0, max=0.0,
    )  # fmt: skip
    wrong_hand: float = setting(
        -4.0, "Likewise of the other hand than the chain's.", min=-50, max=0
    )
    unknown: float = setting(
        -16.0, "Log likelihood of a residue that is none of the twenty.", min=-200.0, max=0.0
    )


class MainChainErrors:
    """Errors of elements and of bond lengths, measured on main chains, whose residues are known.

    An atom that is given too heavy an element takes a larger B than the atoms beside it, so its
    scattering power is that of its element, damped by what its B exceeds theirs.

    Parameters
    ----------
    graph
        Bonds of the atoms.
    true
        Atomic number of each main-chain atom, by its row.
    bonds
        Bonds of main chains: two rows and the ideal length, A.
    d_min
        Resolution, A.
    settings
        Expected errors, and the number of atoms for which they count.
    """

    def __init__(
        self,
        graph: BondGraph,
        true: Mapping[int, int],
        bonds: Sequence[tuple[int, int, float]],
        d_min: float,
        settings: ProposalSettings,
    ) -> None:
        self.settings, self.number = settings, graph.atoms.number
        b_iso = graph.atoms.b_iso
        beside = np.array(
            [np.mean(b_iso[list(near)]) if near else b_iso[i]
             for i, near in enumerate(graph.neighbours)]
        )  # fmt: skip
        usual = np.where([len(near) == 1 for near in graph.neighbours], _B_OF_END, 1.0) * beside
        self.power = graph.atoms.number * np.exp(-0.25 * _S_SQ * (b_iso - usual))
        rows, numbers = list(true), np.array(list(true.values()))
        ratio = self.power[rows] / numbers
        self.scale = float(np.median(ratio))
        weight = settings.expected_weight
        self.element_error = _combined(
            settings.element_error, ratio / self.scale - 1, weight
        )  # relative
        expected = settings.bond_error * (d_min / _USUAL_D_MIN) ** 2
        deviations = np.array([graph.distance[i, j] - length for i, j, length in bonds])
        self.bond_error = _combined(expected, deviations, weight)

    def element(self, number: int, row: int) -> float:
        """Log likelihood of the element of an atom, natural logarithm.

        Either the element that it was given is right or nearly so, or its B made up for a wrong one
        and its damped power tells.
        """
        s, given = self.settings, int(self.number[row])
        most = s.other_element
        if max(number, given) <= _LIGHT or number == given:
            most = {0: 0.0, 1: s.next_element, 2: s.second_element}.get(abs(number - given), most)
        ratio = float(self.power[row]) / (self.scale * number)
        by_power = s.next_element / 2 - _capped((ratio - 1) / self.element_error, s.most_misfit)
        return max(most, by_power)


def _combined(expected: float, found: NDArray[np.float64], weight: float) -> float:
    """Error from deviations, with an expected one that counts as `weight` of them."""
    usual = np.minimum(found**2, np.median(found**2) * _OUTLIER if len(found) else 0.0)
    return float(np.sqrt((weight * expected**2 + usual.sum()) / (weight + len(found))))


def _capped(z: float, most: float) -> float:
    """Half the square of a deviation, less where it is large: errors have long tails."""
    return most * math.log1p(0.5 * z**2 / most)


@dataclass(frozen=True, eq=False)
class LikelihoodRules:
    """Scores of `match_side_chain` as log likelihoods: elements, bond lengths, hydrogen bonds.

    Attributes
    ----------
    letter
        The residue.
    graph
        Bonds of the atoms.
    errors
        Of elements and bond lengths.
    donors, acceptors
        Rows of main-chain nitrogens and oxygens.
    settings
        Probabilities.
    """

    letter: str
    graph: BondGraph
    errors: MainChainErrors
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
        return self.errors.element(number, row)

    def bond_misfit(self, length: float, row: int, above: int) -> float:
        """Cost of a bond length."""
        b = self.graph.atoms.b_iso
        error = self.errors.bond_error * max(0.7, float(max(b[row], b[above])) / self._median_b)
        return _capped(
            (float(self.graph.distance[row, above]) - length) / error, self.settings.most_misfit
        )

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
