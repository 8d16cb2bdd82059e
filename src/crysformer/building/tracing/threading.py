"""The sequence threaded onto grown chains by the density of its side chains."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from crysformer.building.tracing.growing import GrownChains, frame_of
from crysformer.building.tracing.peptide_units import CA, NEXT_CA, WEIGHTS, C, N, O
from crysformer.building.tracing.rotamer_library import rotamer_library
from crysformer.building.tracing.search_map import SearchMap
from crysformer.peptide.chain import Chain
from crysformer.settings import setting

_AT_ONCE = 2_000_000  # positions interpolated at once


@dataclass(frozen=True)
class ThreadingSettings:
    """Threading of the sequence."""

    chains: int = setting(3, "Chains of each seed and direction that are threaded.", min=1)
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
    forward: GrownChains,
    backward: GrownChains,
    chain: Chain,
    *,
    settings: ThreadingSettings | None = None,
) -> list[ThreadedChain]:
    """Best places of a sequence on chains grown in both directions from the same seeds.

    The residue numbers p of a grown chain are 0 and 1 for those that the seed joins. A window of
    the sequence's length contains both; its residues up to 0 come from a chain grown backward, the
    others from one grown forward, so that the best of each is found independently.

    Parameters
    ----------
    search_map
        The map.
    forward, backward
        Chains of S seeds.
    chain
        The sequence, of at least two residues.
    settings
        Number of chains.

    Returns
    -------
    Distinct threaded chains, best first.
    """
    settings = settings or ThreadingSettings()
    length = len(chain.letters)
    ahead, ahead_prior = _residues(forward, settings.chains, forward=True)
    behind, behind_prior = _residues(backward, settings.chains, forward=False)
    ahead_score, ahead_rotamer = _scores(search_map, ahead, ahead_prior, chain, settings)
    behind_score, behind_rotamer = _scores(search_map, behind, behind_prior, chain, settings)
    n_ahead, n_behind = ahead.shape[2], behind.shape[2]
    found = []
    for first in range(length - 1):  # sequence position of residue 0
        after = length - 1 - first
        if after > n_ahead or first + 1 > n_behind:
            continue
        # forward residues p = 1, 2, ... carry sequence positions first + 1, ...
        steps = torch.arange(after)
        ahead_total = ahead_score[:, :, steps, first + 1 + steps].sum(2)
        steps = torch.arange(first + 1)
        behind_total = behind_score[:, :, steps, first - steps].sum(2)
        best_ahead, best_behind = ahead_total.max(1), behind_total.max(1)
        total = best_ahead.values + best_behind.values
        for seed in range(len(total)):
            found.append(
                (float(total[seed]), seed, first, int(best_ahead.indices[seed]),
                 int(best_behind.indices[seed]))
            )  # fmt: skip
    found.sort(reverse=True)
    kept: list[ThreadedChain] = []
    for score, seed, first, i, j in found:
        if len(kept) == settings.windows:
            break
        after = length - 1 - first
        backbone = torch.cat((behind[seed, j, : first + 1].flip(0), ahead[seed, i, :after]))
        steps = torch.arange(first + 1)
        rotamer = torch.cat(
            (
                behind_rotamer[seed, j, steps, first - steps].flip(0),
                ahead_rotamer[seed, i, torch.arange(after), first + 1 + torch.arange(after)],
            )
        )
        if all(not _same(search_map, backbone, other.backbone) for other in kept):
            kept.append(ThreadedChain(backbone, rotamer, score))
    return kept


_SAME = 0.4  # A, rms distance of CA of chains that are the same


def _same(search_map: SearchMap, a: Tensor, b: Tensor) -> bool:
    """Whether two backbones lie on each other, or on a symmetry mate."""
    rotations, translations = search_map.mates
    frac_a, frac_b = (x[:, 1] @ search_map.to_frac.mT for x in (a, b))
    mates = torch.einsum("mij,aj->mai", rotations, frac_b) + translations[:, None]
    apart = frac_a - mates
    apart = apart - apart.mean(1, keepdim=True).round()
    square = ((apart @ search_map.orth.mT) ** 2).sum(2).mean(1)
    return bool(square.min() < _SAME**2)


def _residues(grown: GrownChains, k: int, *, forward: bool) -> tuple[Tensor, Tensor]:
    """N, CA, C, O (S, k, n, 4, 3) of residues 1, 2, ... or 0, -1, ..., and their prior."""
    units, prior = grown.units[:, :k], grown.prior[:, :k]
    before, after = units[:, :, :-1], units[:, :, 1:]
    if not forward:  # the seed side comes after
        before, after = after, before
    ca = 0.5 * (before[..., NEXT_CA, :] + after[..., CA, :])
    return torch.stack((before[..., N, :], ca, after[..., C, :], after[..., O, :]), dim=3), prior


def _scores(
    search_map: SearchMap,
    residues: Tensor,
    prior: Tensor,
    chain: Chain,
    settings: ThreadingSettings,
) -> tuple[Tensor, Tensor]:
    """Scores (S, k, n, L) of each residue as each one of the sequence, and its rotamers."""
    shape = residues.shape[:3]
    flat = residues.flatten(0, 2)
    weights = WEIGHTS[[N, CA, C, O]]
    backbone = (search_map.at(flat) @ weights).view(shape) + prior
    kinds = [(letter, i in chain.d_residues) for i, letter in enumerate(chain.letters)]
    score_of, rotamer_of = {}, {}
    for kind in set(kinds):
        best, which = best_rotamers(search_map, flat, *kind, weight=settings.rotamer)
        score_of[kind], rotamer_of[kind] = best.view(shape), which.view(shape)
    scores = torch.stack([backbone + score_of[kind] for kind in kinds], dim=-1)
    return scores, torch.stack([rotamer_of[kind] for kind in kinds], dim=-1)


def best_rotamers(
    search_map: SearchMap, backbone: Tensor, letter: str, mirrored: bool, weight: float
) -> tuple[Tensor, Tensor]:
    """Best rotamer of a residue at each of some places.

    Parameters
    ----------
    search_map
        The map.
    backbone
        N, CA, C, O, shape (B, 4, 3), A.
    letter, mirrored
        The residue.
    weight
        Of the log probability of rotamers.

    Returns
    -------
    (score, rotamer)
        Weighted density of the side chain and number of the rotamer, shape (B,).
    """
    library = rotamer_library(letter, mirrored)
    if not library.names:
        return backbone.new_zeros(len(backbone)), torch.zeros(len(backbone), dtype=torch.long)
    prior = weight * library.log_probability
    scores, which = [], []
    per_place = library.xyz.shape[0] * library.xyz.shape[1]
    for part in backbone.split(max(1, _AT_ONCE // per_place)):
        frame = frame_of(part[:, 0], part[:, 1], part[:, 2], middle=True)
        placed = library.xyz.reshape(-1, 3) @ frame.mT + part[:, 1:2]
        density = search_map.at(placed).view(len(part), *library.xyz.shape[:2]) @ library.weight
        best = (density + prior).max(1)
        scores.append(best.values)
        which.append(best.indices)
    return torch.cat(scores), torch.cat(which)
