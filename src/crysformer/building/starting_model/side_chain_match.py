"""Side chains found in a graph of bonds: the largest match of a residue's own graph."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from crysformer.building.starting_model.bond_graph import BondGraph
from crysformer.peptide.geometry import build_peptides

#: What an atom adds if its element is that of the residue, one beside it in the periodic table
#: (C and N, N and O), two beside it (C and O), or any other.
_SAME, _NEXT, _NEXT_BUT_ONE, _OTHER = 1.0, 0.5, 0.2, -1.0
_ABSENT: Final = -0.6  # an atom of the residue that is not found
_OPEN_RING: Final = -1.0  # a bond that should close a ring, and is not there
_EXTRA: Final = -0.7  # a bond of a matched atom to one outside the residue


def element_score(wanted: int, found: int) -> float:
    """Score of an atomic number where another one is expected.

    Peaks of electron density tell neighbours in the periodic table apart only just, sulphur
    clearly.
    """
    if max(wanted, found) > 9:
        return _SAME if wanted == found else _OTHER
    return {0: _SAME, 1: _NEXT, 2: _NEXT_BUT_ONE}.get(abs(wanted - found), _OTHER)


class MatchRules(Protocol):
    """Scores of a match of a side chain."""

    @property
    def most(self) -> float:
        """Highest score of one atom."""
        ...

    @property
    def absent(self) -> float:
        """Of an atom that is not found."""
        ...

    @property
    def open_ring(self) -> float:
        """Of a bond that should close a ring, and is not there."""
        ...

    def outside(self, row: int, other: int) -> float:
        """Of a bond of a matched atom to one outside the residue."""
        ...

    def atom(self, side: SideChain, place: int, row: int, above: int) -> float:
        """Of an atom of the side chain found in row `row`, attached to row `above`."""
        ...


@dataclass(frozen=True)
class SideChain:
    """The graph of a residue beyond its backbone.

    Attributes
    ----------
    names
        Atoms, each after the one that it is attached to.
    number
        Their atomic numbers.
    parent
        The atom that each is attached to: a place in `names`, or -1 for CA.
    closing
        For each atom, atoms before it to which it is bonded as well: places in `names`, or -2 for
        N (proline).
    """

    names: tuple[str, ...]
    number: tuple[int, ...]
    parent: tuple[int, ...]
    closing: tuple[tuple[int, ...], ...]


@lru_cache(maxsize=256)
def side_chain_graph(residue: str) -> SideChain:
    """The side chain of a residue: a letter, or a name in brackets such as ``(AIB)``."""
    peptide = build_peptides([residue])
    bonds: dict[str, set[str]] = {name: set() for name in peptide.names}
    for a, b in peptide.bonds:
        bonds[peptide.names[a]].add(peptide.names[b])
        bonds[peptide.names[b]].add(peptide.names[a])
    outside = {"N", "CA", "C", "O", "OXT"}
    order, parent, places = ["CA"], [-1], {"CA": -1}
    for name in order:  # grows while it is read: breadth first
        for other in sorted(bonds[name] - outside - set(order)):
            places[other] = len(order) - 1
            parent.append(places[name])
            order.append(other)
    names = tuple(order[1:])
    closing = tuple(
        tuple(
            -2 if other == "N" else places[other]
            for other in sorted(bonds[name])
            if (other == "N" or places.get(other, i) < i) and places.get(other) != parent[i + 1]
        )
        for i, name in enumerate(names)
    )
    of_atom = dict(zip(peptide.names, peptide.number.tolist(), strict=True))
    number = tuple(of_atom[name] for name in names)
    return SideChain(names, number, tuple(parent[1:]), closing)


@dataclass(frozen=True)
class ElementRules:
    """Scores by elements alone.

    Attributes
    ----------
    number
        Atomic numbers of the atoms, shape (n,).
    most, absent, open_ring
        As `MatchRules` has them.
    """

    number: NDArray[np.int64]
    most: float = _SAME
    absent: float = _ABSENT
    open_ring: float = _OPEN_RING

    def outside(self, row: int, other: int) -> float:
        """As `MatchRules` says."""
        return _EXTRA

    def atom(self, side: SideChain, place: int, row: int, above: int) -> float:
        """As `MatchRules` says."""
        return element_score(side.number[place], int(self.number[row]))


def match_side_chain(
    graph: BondGraph,
    side: SideChain,
    alpha: int,
    nitrogen: int,
    carbon: int,
    free: frozenset[int],
    rules: MatchRules | None = None,
) -> tuple[float, dict[str, int]]:
    """Best match of a side chain, by search through all of them.

    Parameters
    ----------
    graph
        Bonds of the atoms.
    side
        The residue.
    alpha, nitrogen, carbon
        Atoms that are CA, N and C.
    free
        Atoms that belong to no residue yet.
    rules
        Scores; `ElementRules` by default.

    Returns
    -------
    (score, rows)
        Highest sum of the scores of elements, absent atoms, open rings and bonds that the residue
        does not have; and the atom of each name that was found.
    """
    neighbours = graph.neighbours
    rules = ElementRules(graph.atoms.number) if rules is None else rules
    usable = free - {alpha, nitrogen, carbon}
    best: tuple[float, tuple[int | None, ...]] = (-1e9, ())
    n = len(side.names)

    def extra(rows: tuple[int | None, ...]) -> float:
        own = {row for row in rows if row is not None}
        reached = {alpha, nitrogen, carbon, *own}
        return sum(
            rules.outside(row, other)
            for row in (alpha, *own)
            for other in usable & set(neighbours[row]) - reached
        )

    def search(i: int, rows: tuple[int | None, ...], score: float) -> None:
        nonlocal best
        if score + rules.most * (n - i) <= best[0]:
            return  # cannot be reached any more: extra bonds only lower it
        if i == n:
            score += extra(rows)
            if score > best[0]:
                best = (score, rows)
            return
        above = alpha if side.parent[i] < 0 else rows[side.parent[i]]
        if above is not None:
            taken = {row for row in rows if row is not None}
            for row in neighbours[above]:
                if row not in usable or row in taken:
                    continue
                added = rules.atom(side, i, row, above)
                for place in side.closing[i]:
                    other = nitrogen if place == -2 else rows[place]
                    if other is not None and other not in neighbours[row]:
                        added += rules.open_ring
                search(i + 1, (*rows, row), score + added)
        search(i + 1, (*rows, None), score + rules.absent)

    search(0, (), 0.0)
    found = {name: row for name, row in zip(side.names, best[1], strict=True) if row is not None}
    return best[0], found
