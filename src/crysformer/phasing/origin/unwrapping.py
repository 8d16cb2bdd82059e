"""Assembly of one molecule from sites in a periodic cell, by their strongest contacts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Fraction of a fragment's weight from which a part of it counts in judging its contacts; lighter
# parts can be ripples of the map.
_CONSIDERABLE = 0.1


@dataclass(frozen=True, eq=False)
class Contacts:
    """Contacts between sites of a cell, each with one lattice copy of the second site.

    Attributes
    ----------
    first, second
        Rows of the two sites, shape (k,).
    lattice
        Translation of the second site in whole cells, shape (k, 3).
    strength
        Order in which contacts are used, the strongest first, shape (k,).
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    lattice: NDArray[np.int64]
    strength: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MolecularFragment:
    """Heaviest fragment that contacts connect.

    Attributes
    ----------
    lattice
        Translation of each site, in whole cells, that joins it to its fragment, shape (n, 3).
    sites
        Flags of the sites in the heaviest fragment, shape (n,).
    weakest
        Strength of the weakest contact that connects two considerable parts of the fragment; inf
        if there is none.
    closing
        Strength of the strongest contact of a considerable part of the fragment with a lattice
        copy of itself; -inf if there is none. Where it is not well below `weakest`, another choice
        of lattice copies would have made as good a fragment.
    """

    lattice: NDArray[np.int64]
    sites: NDArray[np.bool_]
    weakest: float
    closing: float


def unwrap_molecule(
    weight: NDArray[np.float64], contacts: Contacts, limit: float = np.inf
) -> MolecularFragment:
    """Put sites together by their strongest contacts, never a fragment with its own lattice copy.

    Kruskal's maximum spanning forest with the lattice translation of every site. A contact inside
    a fragment either agrees with the translations of its two sites or is with a lattice copy.

    Parameters
    ----------
    weight
        Weight of each site, not negative, shape (n,).
    contacts
        Contacts between the sites.
    limit
        Largest weight of a fragment.
    """
    n = len(weight)
    fragment = np.arange(n)
    total = weight.astype(np.float64)
    lattice = np.zeros((n, 3), dtype=np.int64)
    members = [[i] for i in range(n)]
    joined: list[tuple[float, int, float]] = []  # strength, a site, weight of the lighter part
    closed: list[tuple[float, int, float]] = []
    for row in np.argsort(-contacts.strength, kind="stable"):
        i, j = contacts.first[row], contacts.second[row]
        a, b = fragment[i], fragment[j]
        strength = float(contacts.strength[row])
        offset = lattice[i] + contacts.lattice[row] - lattice[j]
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
        fragment[members[b]] = a
        members[a] += members[b]
        total[a] += total[b]
    heaviest = fragment[total[fragment].argmax()]
    sites = fragment == heaviest
    considerable = _CONSIDERABLE * total[heaviest]
    within_joined = [x for x, i, w in joined if sites[i] and w >= considerable]
    within_closed = [x for x, i, w in closed if sites[i] and w >= considerable]
    return MolecularFragment(
        lattice, sites, min(within_joined, default=np.inf), max(within_closed, default=-np.inf)
    )
