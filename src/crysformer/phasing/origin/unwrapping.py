"""Unwrapping one molecule out of a periodic cell: the strongest links first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Share of a molecule's weight; lighter parts, such as a ripple of the map, decide nothing.
_CONSIDERABLE = 0.1


@dataclass(frozen=True, eq=False)
class Links:
    """Links between sites of a cell, each to a stated lattice copy.

    Attributes
    ----------
    first, second
        Rows of the sites linked, shape (k,).
    lattice
        The link runs from site `first` to site `second` moved by this many cells, shape (k, 3).
    strength
        The stronger, the sooner two sites are taken to belong together, shape (k,).
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    lattice: NDArray[np.int64]
    strength: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Molecule:
    """The heaviest piece that links put together.

    Attributes
    ----------
    lattice
        By how many cells each site is to be moved to join its piece, shape (n, 3).
    sites
        Which sites belong to the piece, shape (n,).
    weakest
        Strength of the weakest link that holds two considerable parts of the piece together; inf
        if there is none.
    closing
        Strength of the strongest link from a considerable part of the piece to a lattice copy of
        itself; -inf if there is none. Where it is not well below `weakest`, another choice of
        lattice copies would have made as good a piece.
    """

    lattice: NDArray[np.int64]
    sites: NDArray[np.bool_]
    weakest: float
    closing: float


def unwrap(weight: NDArray[np.float64], links: Links, limit: float = np.inf) -> Molecule:
    """Put sites together by their strongest links, never a piece with its own lattice copy.

    Kruskal's maximal spanning tree, each piece keeping account of the cells that its sites lie
    in. A link inside a piece either agrees with that account or runs to a copy of the piece.

    Parameters
    ----------
    weight
        Of each site, not negative, shape (n,).
    links
        Links between the sites.
    limit
        No link may make a piece heavier than this.
    """
    n = len(weight)
    piece = np.arange(n)
    total = weight.astype(np.float64)
    lattice = np.zeros((n, 3), dtype=np.int64)
    members = [[i] for i in range(n)]
    joined: list[tuple[float, int, float]] = []  # strength, a site, weight of the lighter part
    closed: list[tuple[float, int, float]] = []
    for row in np.argsort(-links.strength, kind="stable"):
        i, j = links.first[row], links.second[row]
        a, b = piece[i], piece[j]
        strength = float(links.strength[row])
        offset = lattice[i] + links.lattice[row] - lattice[j]
        if a == b:
            if offset.any():
                closed.append((strength, i, total[a]))
            continue
        if total[a] + total[b] > limit:
            continue
        joined.append((strength, i, min(total[a], total[b])))
        if len(members[a]) < len(members[b]):
            a, b, offset = b, a, -offset
        lattice[members[b]] += offset
        piece[members[b]] = a
        members[a] += members[b]
        total[a] += total[b]
    heaviest = piece[total[piece].argmax()]
    sites = piece == heaviest
    considerable = _CONSIDERABLE * total[heaviest]
    within_joined = [x for x, i, w in joined if sites[i] and w >= considerable]
    within_closed = [x for x, i, w in closed if sites[i] and w >= considerable]
    return Molecule(
        lattice, sites, min(within_joined, default=np.inf), max(within_closed, default=-np.inf)
    )
