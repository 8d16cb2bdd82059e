"""Chains found in a graph of bonds: backbones, with a sequence threaded along them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from crysformer.building.starting_model.bond_graph import BondGraph
from crysformer.building.starting_model.side_chain_match import (
    element_score,
    match_side_chain,
    side_chain_graph,
)
from crysformer.peptide.chain import MODIFIED, Chain
from crysformer.peptide.residue_shape import residue_shape

#: Usual lengths of the bonds that tell the ends of a residue apart, and an error of peaks, A.
_CARBONYL, _PEPTIDE, _C_ALPHA, _N_ALPHA, _ERROR = 1.23, 1.33, 1.52, 1.46, 0.06
_MOST_MISFIT: Final = 2.0  # of one bond, in the units of a score
_LEAST_BACKBONE: Final = 1.0  # score of four backbone atoms with their bonds
_WRONG_HAND: Final = -2.0
_MISSING: Final = -2.0  # a residue of the sequence that is left out


@dataclass(frozen=True)
class Site:
    """Atoms that may be N, CA, C and O of a residue, with the score of their elements and bonds."""

    n: int
    alpha: int
    c: int
    o: int
    score: float


@dataclass(frozen=True)
class ThreadedChain:
    """A chain along a backbone.

    Attributes
    ----------
    chain
        Its sequence.
    first
        Residue of the sequence that is the first to be found, from 0.
    rows
        For each residue found, the atom of each name.
    score
        Sum of the scores, and divided by the score of a perfect match, at most 1.
    """

    chain: Chain
    first: int
    rows: tuple[dict[str, int], ...]
    score: float

    @property
    def atoms(self) -> frozenset[int]:
        """All atoms of the chain."""
        return frozenset(row for residue in self.rows for row in residue.values())


def backbone_sites(graph: BondGraph, free: frozenset[int]) -> list[Site]:
    """All groups of four free atoms that could be N, CA, C and O."""
    number, near, found = graph.atoms.number, graph.neighbours, []
    for alpha in sorted(free):
        around = [i for i in near[alpha] if i in free]
        for c in around:
            ends = [i for i in near[c] if i in free and i != alpha]
            for o in ends:
                end = element_score(6, int(number[alpha])) + element_score(6, int(number[c]))
                end += element_score(8, int(number[o]))
                end -= _misfit(graph, c, o, _CARBONYL) + _misfit(graph, alpha, c, _C_ALPHA)
                for n in around:
                    if n in (c, o):
                        continue
                    score = end + element_score(7, int(number[n]))
                    score -= _misfit(graph, n, alpha, _N_ALPHA)
                    if score > _LEAST_BACKBONE:
                        found.append(Site(n, alpha, c, o, score))
    return found


def thread(graph: BondGraph, chain: Chain, free: frozenset[int]) -> ThreadedChain | None:
    """Thread a sequence along the backbones of free atoms, by dynamic programming.

    The residues found follow each other; residues at the ends of the sequence may be missing.

    Parameters
    ----------
    graph
        Bonds of the atoms.
    chain
        The sequence.
    free
        Atoms that belong to no chain yet.

    Returns
    -------
    ThreadedChain or None
        The best one; None without any backbone.
    """
    sites = backbone_sites(graph, free)
    if not sites:
        return None
    score_of = _residue_scores(graph, sites, free)
    starting: dict[int, list[int]] = {}
    for i, site in enumerate(sites):
        starting.setdefault(site.n, []).append(i)
    before: list[list[int]] = [[] for _ in sites]
    for i, site in enumerate(sites):
        for n in graph.neighbours[site.c]:
            for j in starting.get(n, ()) if n not in (site.o, site.alpha) else ():
                if not {site.n, site.alpha, site.c, site.o} & {sites[j].alpha, sites[j].c}:
                    before[j].append(i)
    length = len(chain.letters)
    best = np.full((length, len(sites)), -np.inf)
    came = np.full((length, len(sites)), -1)
    residues = _notation(chain)
    for r, residue in enumerate(residues):
        if residue is None:
            continue
        for j, site in enumerate(sites):
            entry, source = r * _MISSING, -1
            for i in before[j] if r else ():
                joined = best[r - 1, i] - _misfit(graph, sites[i].c, site.n, _PEPTIDE)
                if joined > entry:
                    entry, source = joined, i
            best[r, j] = entry + score_of(j, residue, r in chain.d_residues)[0]
            came[r, j] = source
    ends = best + _MISSING * np.arange(length - 1, -1, -1)[:, None]
    if not np.isfinite(ends).any():
        return None
    r, j = (int(x) for x in np.unravel_index(np.argmax(ends), ends.shape))
    total, rows, last = float(ends[r, j]), [], sites[j]
    while True:
        site = sites[j]
        own = {"N": site.n, "CA": site.alpha, "C": site.c, "O": site.o}
        rows.append(own | score_of(j, residues[r] or "G", r in chain.d_residues)[1])
        if came[r, j] < 0:
            break
        r, j = r - 1, int(came[r, j])
    rows.reverse()
    if r + len(rows) == length:
        _add_end(graph, rows[-1], last, free)
    for own, name in zip(rows, chain.names[r:], strict=False):
        _add_to_nitrogen(graph, own, name, free.difference(*(x.values() for x in rows)))
    perfect = sum(4 + len(side_chain_graph(x).names) for x in residues if x is not None)
    return ThreadedChain(chain, r, tuple(rows), total / perfect)


def acetyl_group(graph: BondGraph, threaded: ThreadedChain, free: frozenset[int]) -> dict[str, int]:
    """Atoms of an acetyl group at the first nitrogen, by name; empty if there is none."""
    used = threaded.atoms
    number = graph.atoms.number
    for c in graph.neighbours[threaded.rows[0]["N"]]:
        ends = [i for i in graph.neighbours[c] if i in free - used]
        if c in used or c not in free or len(ends) != 2:
            continue
        o, methyl = sorted(ends, key=lambda i: graph.distance[c, i])
        if number[o] >= number[methyl] and _misfit(graph, c, o, _CARBONYL) < _MOST_MISFIT:
            return {"C": c, "O": o, "CH3": methyl}
    return {}


def _residue_scores(
    graph: BondGraph, sites: list[Site], free: frozenset[int]
) -> Callable[[int, str, bool], tuple[float, dict[str, int]]]:
    """Score and side chain of a residue at a site, computed once each."""
    known: dict[tuple[int, str, bool], tuple[float, dict[str, int]]] = {}

    def score_of(j: int, residue: str, mirrored: bool) -> tuple[float, dict[str, int]]:
        key = (j, residue, mirrored)
        if key not in known:
            site = sites[j]
            side = side_chain_graph(residue)
            score, rows = match_side_chain(graph, side, site.alpha, site.n, site.c, free - {site.o})
            if "CB" in rows:
                arms = [graph.arm(site.alpha, i) for i in (site.n, site.c, rows["CB"])]
                left = float(np.linalg.det(np.array(arms))) < 0
                score += _WRONG_HAND * (left != mirrored)
            known[key] = score + site.score, rows
        return known[key]

    return score_of


def _add_end(graph: BondGraph, residue: dict[str, int], site: Site, free: frozenset[int]) -> None:
    """Add the second oxygen, or the nitrogen of an amide, of the last residue."""
    used = set(residue.values())
    others = [i for i in graph.neighbours[site.c] if i in free and i not in used]
    if others:
        residue["OXT"] = min(others, key=lambda i: graph.distance[site.c, i])


def _add_to_nitrogen(
    graph: BondGraph, residue: dict[str, int], name: str, free: frozenset[int]
) -> None:
    """Add the methyl of an N-methylated residue."""
    others = [i for i in graph.neighbours[residue["N"]] if i in free]
    methyl = residue_shape(name).on_nitrogen
    if len(others) == len(methyl) == 1:
        residue[methyl[0]] = others[0]


def _notation(chain: Chain) -> list[str | None]:
    """Each residue as `side_chain_graph` takes it; None if it has no model."""
    modelled = [
        f"({name})" if letter == MODIFIED else letter
        for letter, name in zip(chain.letters, chain.names, strict=True)
    ]
    return [
        None if name in chain.unmodelled else residue
        for residue, name in zip(modelled, chain.names, strict=True)
    ]


def _misfit(graph: BondGraph, i: int, j: int, length: float) -> float:
    """Half the squared deviation of a distance in units of its error, at most `_MOST_MISFIT`."""
    return min(0.5 * ((float(graph.distance[i, j]) - length) / _ERROR) ** 2, _MOST_MISFIT)
