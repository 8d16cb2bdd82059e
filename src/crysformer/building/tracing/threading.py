"""The sequence threaded onto grown chains by the density of its side chains."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from crysformer.building.tracing.chain_ends import Ends, first_residues, last_residues
from crysformer.building.tracing.peptide_units import CA, WEIGHTS, C, N, O
from crysformer.building.tracing.rotamer_library import best_rotamers, rotamer_library
from crysformer.building.tracing.search_map import SearchMap
from crysformer.building.tracing.unit_graph import Placement, UnitGraph
from crysformer.peptide.chain import Chain
from crysformer.settings import setting

#: A residue: its letter, and whether it is a D residue.
Kind = tuple[str, bool]

_SAME = 0.4  # A, rms distance of CA of chains that are the same
_BACKBONE_WEIGHTS = WEIGHTS[[N, CA, C, O]]


@dataclass(frozen=True)
class ThreadingSettings:
    """Threading of the sequence."""

    windows: int = setting(12, "Threaded chains that are built completely.", min=1)
    rotamer: float = setting(0.5, "Weight of the log probability of rotamers.", min=0.0, max=100.0)


@dataclass(frozen=True, eq=False)
class ThreadedChain:
    """The backbone of one chain of known sequence.

    Attributes
    ----------
    backbone
        N, CA, C, O of each residue, shape (L, 4, 3), A.
    rotamer
        Rotamer of each residue in `rotamer_library`, shape (L,).
    score
        Weighted density and log probabilities.
    """

    backbone: Tensor
    rotamer: Tensor
    score: float


def thread(
    search_map: SearchMap,
    graph: UnitGraph,
    chain: Chain,
    *,
    any_cis: bool = False,
    settings: ThreadingSettings | None = None,
) -> list[ThreadedChain]:
    """Best paths of a sequence through grown chains.

    The path of as many residues as the sequence has, with the highest sum of the density of
    backbone and side chains, is found by dynamic programming. The first residue has no unit before
    it and the last none after it: their ends are turned through all angles instead.

    Parameters
    ----------
    search_map
        The map.
    graph
        The grown chains.
    chain
        The sequence, of at least two residues.
    any_cis
        Peptide bonds may be cis before any residue, not only before proline.
    settings
        Number of paths.

    Returns
    -------
    Distinct threaded chains, best first.
    """
    settings = settings or ThreadingSettings()
    kinds = [(letter, i in chain.d_residues) for i, letter in enumerate(chain.letters)]
    starts = first_residues(search_map, graph.unit, rotamer_library(*kinds[0]), settings.rotamer)
    ends = last_residues(search_map, graph.unit, rotamer_library(*kinds[-1]), settings.rotamer)
    backbone = search_map.at(graph.backbone) @ _BACKBONE_WEIGHTS + graph.prior
    n_vertices, cis = len(graph.unit), graph.cis
    inner: dict[Kind, tuple[Tensor, Tensor]] = {}
    for kind in set(kinds[1:-1]):
        library = rotamer_library(*kind)
        score, which = best_rotamers(search_map, graph.backbone, library, settings.rotamer)
        total = backbone + score[:, 0]
        if kind[0] != "P" and not any_cis:
            total = torch.where(cis[graph.before], -math.inf, total)
        inner[kind] = (total, which[:, 0])
    reached = starts.score  # best sum of the path up to each vertex, (V,)
    arrivals = []  # the residue by which each vertex is reached, for each residue between
    for kind in kinds[1:-1]:
        total = reached[graph.before] + inner[kind][0]
        nowhere = torch.full((n_vertices,), -math.inf)
        reached = nowhere.scatter_reduce(0, graph.after, total, "amax")
        residue = torch.full((n_vertices,), -1)
        rows = (total == reached[graph.after]).nonzero()[:, 0]
        residue[graph.after[rows]] = rows
        arrivals.append(residue)
    total = reached + ends.score
    if kinds[-1][0] != "P" and not any_cis:
        total = torch.where(cis, -math.inf, total)
    kept: list[ThreadedChain] = []
    for vertex in total.argsort(descending=True).tolist():
        if len(kept) == settings.windows or not math.isfinite(float(total[vertex])):
            break
        found = _traced_back(graph, vertex, arrivals, inner, kinds, starts, ends)
        new = ThreadedChain(*found, float(total[vertex]))
        if all(not _same(search_map, new.backbone, other.backbone) for other in kept):
            kept.append(new)
    return kept


def _traced_back(
    graph: UnitGraph,
    vertex: int,
    arrivals: list[Tensor],
    inner: dict[Kind, tuple[Tensor, Tensor]],
    kinds: list[Kind],
    starts: Ends,
    ends: Ends,
) -> tuple[Tensor, Tensor]:
    """Backbone (L, 4, 3) and rotamers (L,) of the best path whose last unit is a vertex."""
    place = Placement(torch.eye(3), torch.zeros(3))  # of the vertex
    residues, rotamers = [ends.backbone[vertex]], [ends.rotamer[vertex]]
    for arrival, kind in zip(reversed(arrivals), reversed(kinds[1:-1]), strict=True):
        row = int(arrival[vertex])
        own = place.after(graph.to_after[row])
        residues.append(own.apply(graph.backbone[row]))
        rotamers.append(inner[kind][1][row])
        place = own.after(graph.to_before[row].inverse())
        vertex = int(graph.before[row])
    residues.append(place.apply(starts.backbone[vertex]))
    rotamers.append(starts.rotamer[vertex])
    return torch.stack(residues[::-1]), torch.stack(rotamers[::-1])


def _same(search_map: SearchMap, a: Tensor, b: Tensor) -> bool:
    """Whether two backbones lie on each other, or on a symmetry mate."""
    return float(search_map.square_distances(a[None, :, 1], b[:, 1])[0]) < _SAME**2
