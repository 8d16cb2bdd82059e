"""Chains grown from peptide units, residue by residue in both directions, by beam search."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from crysformer.building.tracing.peptide_units import (
    CA,
    NEXT_CA,
    WEIGHTS,
    C,
    N,
    O,
    fit_rigid,
)
from crysformer.building.tracing.search_map import SearchMap
from crysformer.peptide import ideal_geometry as ideal
from crysformer.peptide.conformers import template_coordinates
from crysformer.peptide.geometry import place_atom
from crysformer.phasing.sequence_search.random_poses import ramachandran_density
from crysformer.settings import setting

_CIS = 0.003  # fraction of peptide bonds that are cis, nearly all before proline
_STEP = 20  # degrees, of the grid of phi and psi
_CLASH, _CLASH_PENALTY = (
    3.7,
    15.0,
)  # A between CA atoms that are no neighbours; in standard deviations
_SAME_CA, _SAME_O = 0.6, 0.9  # A, of continuations that are the same


@dataclass(frozen=True)
class GrowthSettings:
    """Growing of chains."""

    beam: int = setting(6, "Chains kept for each seed and direction.", min=1, max=1000)
    tried: int = setting(8, "Continuations of each chain that are refined.", min=1, max=300)
    steps: int = setting(10, "Steps of their refinement.", min=0, max=1000)
    ramachandran: float = setting(
        1.0, "Weight of the log probability of phi and psi.", min=0.0, max=100.0
    )
    beta: float = setting(0.5, "Weight of CB, which glycine lacks.", min=0.0, max=2.0)


@dataclass(frozen=True, eq=False)
class GrownChains:
    """Chains grown in one direction from each of S seeds, K for each, best first.

    Attributes
    ----------
    units
        Peptide units, the seed first, shape (S, K, n + 1, 5, 3), A.
    prior
        Log probability of phi and psi less penalties of clashes, of the residue between units j
        and j + 1, shape (S, K, n).
    """

    units: Tensor
    prior: Tensor


@lru_cache(maxsize=4)
def continuations(forward: bool, cis: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """The next peptide unit for a grid of phi and psi.

    Parameters
    ----------
    forward
        Towards the carboxyl end.
    cis
        List cis units after the trans ones.

    Returns
    -------
    (units, beta, log_probability)
        In the frame of `frame_of` (M, 5, 3); CB of the residue between, (M, 3); and (M,).
    """
    angles = np.arange(-180, 180, _STEP) + 0.5 * _STEP
    units, betas, pairs, rare = [], [], [], []
    for omega in (180.0, 0.0) if cis else (180.0,):
        for phi in angles:
            for psi in angles:
                place = _forward if forward else _backward
                unit, beta = place(float(phi), float(psi), omega)
                units.append(unit)
                betas.append(beta)
                pairs.append((phi, psi))
                rare.append(1.0 if omega else _CIS)
    probability = ramachandran_density(torch.tensor(pairs, dtype=torch.float32))
    probability *= torch.tensor(rare)
    return (
        torch.as_tensor(np.array(units), dtype=torch.float32),
        torch.as_tensor(np.array(betas), dtype=torch.float32),
        (probability / probability.max()).log(),
    )


def _forward(phi: float, psi: float, omega: float) -> tuple[np.ndarray, np.ndarray]:
    """The unit after a residue whose CA is the origin, N on -x, and the C before it in +y."""
    ca = np.zeros(3)
    n = np.array([-ideal.N_CA, 0.0, 0.0])
    before = place_atom((np.array([0.0, -1.0, 0.0]), ca, n), ideal.C_N, ideal.C_N_CA, 180.0)
    c = place_atom((before, n, ca), ideal.CA_C, ideal.N_CA_C, phi)
    o = place_atom((n, ca, c), ideal.C_O, ideal.CA_C_O, psi + 180)
    following = place_atom((n, ca, c), ideal.C_N, ideal.CA_C_N, psi)
    ca_next = place_atom((ca, c, following), ideal.N_CA, ideal.C_N_CA, omega)
    return np.array([ca, c, o, following, ca_next]), _beta(n, ca, c)


def _backward(phi: float, psi: float, omega: float) -> tuple[np.ndarray, np.ndarray]:
    """The unit before a residue whose CA is the origin, C on -x, and the N after it in +y."""
    ca = np.zeros(3)
    c = np.array([-ideal.CA_C, 0.0, 0.0])
    after = place_atom((np.array([0.0, -1.0, 0.0]), ca, c), ideal.C_N, ideal.CA_C_N, 180.0)
    n = place_atom((after, c, ca), ideal.N_CA, ideal.N_CA_C, psi)
    before = place_atom((c, ca, n), ideal.C_N, ideal.C_N_CA, phi)
    ca_before = place_atom((ca, n, before), ideal.CA_C, ideal.CA_C_N, omega)
    angle = 360 - ideal.CA_C_N - ideal.CA_C_O
    o_before = place_atom((ca, n, before), ideal.C_O, angle, omega + 180)
    return np.array([ca_before, before, o_before, n, ca]), _beta(n, ca, c)


def _beta(n: np.ndarray, ca: np.ndarray, c: np.ndarray) -> np.ndarray:
    frame = frame_of(*(torch.as_tensor(x)[None] for x in (n, ca, c)), middle=True)[0].numpy()
    return np.asarray(frame @ template_coordinates()["ALA"][4] + ca)


def frame_of(a: Tensor, b: Tensor, c: Tensor, *, middle: bool = False) -> Tensor:
    """Axes (..., 3, 3) as columns of three atoms (..., 3).

    x along b to c and y in their plane towards a; with `middle` x along b to c and y towards a,
    both seen from b: the axes of the residues' templates for N, CA and C.
    """
    x = torch.nn.functional.normalize(c - b, dim=-1)
    y = a - b
    y = torch.nn.functional.normalize(y - (y * x).sum(-1, keepdim=True) * x, dim=-1)
    return torch.stack((x, y, torch.linalg.cross(x, y)), dim=-1)


def grow(
    search_map: SearchMap,
    seeds: Tensor,
    n: int,
    forward: bool,
    deadline: float = math.inf,
    *,
    cis: bool = False,
    settings: GrowthSettings | None = None,
) -> GrownChains:
    """Grow `n` peptide units from each seed.

    Parameters
    ----------
    search_map
        The map.
    seeds
        Peptide units, shape (S, 5, 3), A.
    n
        Number of units.
    forward
        Towards the carboxyl end.
    deadline
        `time.monotonic` after which growth ends early.
    cis
        Whether peptide bonds may be cis, as before proline.
    settings
        Width of the search.
    """
    settings = settings or GrowthSettings()
    local, local_beta, log_p = continuations(forward, cis)
    n_seeds = len(seeds)
    units = seeds[:, None, None]  # (S, k, units, 5, 3)
    prior = seeds.new_zeros(n_seeds, 1, 0)
    total = seeds.new_zeros(n_seeds, 1)
    # the atom of the known residue across its CA, its CA, and the atom before, in the last unit
    known = (C, N, NEXT_CA) if forward else (N, C, CA)
    anchor_row, across_row = (CA, C) if forward else (NEXT_CA, N)
    new = [row for row in range(5) if row != anchor_row]
    n_grid = len(local)
    for step in range(n):
        if step and time.monotonic() > deadline:
            break
        k = units.shape[1]
        last = units[:, :, -1].flatten(0, 1)  # (S k, 5, 3)
        a, b, c = (last[:, row] for row in known)
        frame = frame_of(a, b, c)
        placed = local[:, new].reshape(-1, 3) @ frame.mT + c[:, None]
        density = search_map.at(placed).view(-1, n_grid, 4) @ WEIGHTS[new]
        beta = search_map.at(local_beta @ frame.mT + c[:, None])
        rough = density + settings.beta * beta + settings.ramachandran * log_p
        tried = min(settings.tried, n_grid)
        best = rough.topk(tried, dim=1).indices  # (S k, t)
        xyz = (local[best] @ frame.mT[:, None]) + c[:, None, None]
        flat = xyz.flatten(0, 1)
        anchor = (
            anchor_row,
            c.repeat_interleave(tried, 0),
            across_row,
            b.repeat_interleave(tried, 0),
        )
        flat, score = fit_rigid(search_map, flat, settings.steps, anchor=anchor)
        # the CA shared with the unit before counts once
        score = score - WEIGHTS[anchor_row] * search_map.at(flat[:, anchor_row])
        carbon_beta = _ideal_beta(flat, anchor, forward)
        score = score + settings.beta * search_map.at(carbon_beta)
        own_prior = settings.ramachandran * log_p[best.flatten()]
        far = flat[:, NEXT_CA if forward else CA]
        clash = _clashes(search_map, far, units, tried, forward)
        own_prior = own_prior - _CLASH_PENALTY * clash
        gained = (score + own_prior).view(n_seeds, k * tried) + total.repeat_interleave(tried, 1)
        flat = flat.view(n_seeds, k * tried, 5, 3)
        chosen = _distinct(flat, gained, settings.beam, forward)
        parent = chosen // tried
        rows = torch.arange(n_seeds)[:, None]
        units = torch.cat((units[rows, parent], flat[rows, chosen][:, :, None]), dim=2)
        gain_prior = own_prior.view(n_seeds, -1)[rows, chosen]
        prior = torch.cat((prior[rows, parent], gain_prior[..., None]), dim=2)
        total = gained[rows, chosen]
    return GrownChains(units, prior)


def _ideal_beta(unit: Tensor, anchor: tuple[int, Tensor, int, Tensor], forward: bool) -> Tensor:
    """CB (B, 3) of the residue between a unit and the one before."""
    _, _, across, other = anchor
    ca = 0.5 * (unit[:, anchor[0]] + anchor[1])
    n, c = (other, unit[:, across]) if forward else (unit[:, across], other)
    return beta_of(n, ca, c)


def beta_of(n: Tensor, ca: Tensor, c: Tensor) -> Tensor:
    """CB of L residues from their backbone, (..., 3)."""
    local = torch.as_tensor(template_coordinates()["ALA"][4], dtype=n.dtype)
    return (frame_of(n, ca, c, middle=True) @ local) + ca


def _clashes(
    search_map: SearchMap, far: Tensor, units: Tensor, tried: int, forward: bool
) -> Tensor:
    """Whether new CA atoms (B, 3) lie on one of their chain or of a mate, (B,), 0 or 1."""
    earlier = units[:, :, :, CA if forward else NEXT_CA].flatten(0, 1)
    if earlier.shape[1] == 0:
        return far.new_zeros(len(far))
    rotations, translations = search_map.mates
    frac = far.view(-1, tried, 1, 1, 3) @ search_map.to_frac.mT
    mates = torch.einsum("mij,buj->bumi", rotations, earlier @ search_map.to_frac.mT)
    apart = frac - (mates + translations)[:, None]
    apart = apart - apart.round()
    near = ((apart @ search_map.orth.mT) ** 2).sum(-1) < _CLASH**2
    return near.flatten(2).any(-1).to(far.dtype).flatten()


def _distinct(flat: Tensor, score: Tensor, kept: int, forward: bool) -> Tensor:
    """Candidates kept of each seed, best first and distinct, shape (S, kept)."""
    kept = min(kept, score.shape[1])
    order = score.argsort(dim=1, descending=True)
    rows = torch.arange(len(score))[:, None]
    xyz = flat[rows, order]
    ca, o = xyz[:, :, NEXT_CA if forward else CA], xyz[:, :, O]
    same = (torch.cdist(ca, ca) < _SAME_CA) & (torch.cdist(o, o) < _SAME_O)
    same = same.tril(-1)
    alive = torch.ones_like(score, dtype=torch.bool)
    for j in range(1, score.shape[1]):
        alive[:, j] = ~(same[:, j, :j] & alive[:, :j]).any(1)
    # the best distinct ones first, then others where there are too few
    rank = torch.argsort((~alive).long(), dim=1, stable=True)
    return order[rows, rank[:, :kept]]
