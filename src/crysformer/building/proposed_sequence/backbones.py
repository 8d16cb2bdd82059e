"""Main chains in a graph of bonds, without a sequence: the best paths along N-CA-C(=O) units."""

from __future__ import annotations

from typing import Final

from crysformer.building.starting_model.backbone_threading import Site, backbone_sites
from crysformer.building.starting_model.bond_graph import BondGraph

_LEAST_SITE: Final = 2.0  # score of a unit, of at most 4
_LEAST_RESIDUES: Final = 2  # of a chain


def main_chains(graph: BondGraph) -> list[list[Site]]:
    """Main chains of a crystal, the one with the highest score first.

    Each is the path of bonded units with the highest sum of scores among the atoms that no chain
    before it has. Rings are cut at one of their bonds.

    Parameters
    ----------
    graph
        Bonds of the atoms.

    Returns
    -------
    list of list of Site
        Units in the order of the chain, at least two.
    """
    free = frozenset(range(len(graph.atoms)))
    chains: list[list[Site]] = []
    while True:
        path = _best_path(graph, free)
        if len(path) < _LEAST_RESIDUES:
            return chains
        chains.append(path)
        free = free - {row for site in path for row in (site.n, site.alpha, site.c, site.o)}


def _best_path(graph: BondGraph, free: frozenset[int]) -> list[Site]:
    """The path of the highest score; empty if there is no unit."""
    sites = [site for site in _distinct(graph, free) if site.score > _LEAST_SITE]
    starting: dict[int, list[int]] = {}
    for i, site in enumerate(sites):
        starting.setdefault(site.n, []).append(i)
    after = [
        [
            j
            for n in graph.neighbours[site.c]
            if n not in (site.o, site.alpha)
            for j in starting.get(n, ())
            if not {site.n, site.alpha, site.c, site.o} & {sites[j].alpha, sites[j].c, sites[j].o}
        ]
        for site in sites
    ]
    best: dict[int, tuple[float, list[int]]] = {}
    pending: set[int] = set()

    def longest(i: int) -> tuple[float, list[int]]:
        """Score and units of the best path from a unit; one that is reached again ends a ring."""
        if i not in best:
            pending.add(i)
            onward = [longest(j) for j in after[i] if j not in pending]
            score, path = max(onward, key=lambda found: found[0], default=(0.0, []))
            pending.remove(i)
            best[i] = sites[i].score + score, [i, *path]
        return best[i]

    paths = [longest(i) for i in range(len(sites))]
    if not paths:
        return []
    return [sites[i] for i in max(paths, key=lambda found: found[0])[1]]


def _distinct(graph: BondGraph, free: frozenset[int]) -> list[Site]:
    """Units with the better of two oxygens each."""
    found: dict[tuple[int, int, int], Site] = {}
    for site in backbone_sites(graph, free):
        key = (site.n, site.alpha, site.c)
        if key not in found or site.score > found[key].score:
            found[key] = site
    return list(found.values())
