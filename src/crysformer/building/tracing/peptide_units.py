"""Peptide units: their geometry, and a six-dimensional search for them in a map.

A peptide unit is CA, C, O of one residue and N, CA of the next one, flat and trans.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from crysformer.building.tracing.search_map import MapCoefficients, SearchMap
from crysformer.peptide import ideal_geometry as ideal
from crysformer.peptide.geometry import place_atom
from crysformer.peptide.rotations import random_rotations, rotation_of
from crysformer.phasing.refinement.adam import Adam, cosine_decay
from crysformer.settings import setting

#: Rows of the atoms of a peptide unit.
CA, C, O, N, NEXT_CA = range(5)  # noqa: E741
#: Atomic numbers relative to carbon: what an atom is expected to add to a map.
WEIGHTS = torch.tensor([1.0, 1.0, 8 / 6, 7 / 6, 1.0])
_BETAS, _EPS = (0.7, 0.9), 1e-6
_FINAL_FRACTION = 0.2  # of the first step sizes


@dataclass(frozen=True)
class SeedSettings:
    """Search for peptide units all over the map."""

    orientations: int = setting(3000, "Random orientations tried.", min=10, max=1_000_000)
    spacing: float = setting(0.5, "Grid of the search.", unit="A", min=0.1, max=2.0)
    blur: float = setting(
        10.0, "B added to the map for the search: makes up for the coarse grid.",
        unit="A^2", min=0.0, max=100.0,
    )  # fmt: skip
    points: int = setting(12_000, "Grid points of highest density tried as C.", min=100)
    refined: int = setting(3000, "Best placements, which are refined.", min=1)
    steps: int = setting(15, "Steps of their refinement.", min=1, max=1000)
    kept: int = setting(24, "Distinct peptide units that chains are grown from.", min=1)


@lru_cache(maxsize=2)
def peptide_unit(*, cis: bool = False) -> Tensor:
    """Ideal coordinates, shape (5, 3), A, with C at the origin."""
    c = np.zeros(3)
    ca = np.array([-ideal.CA_C, 0.0, 0.0])
    away = ca + np.array([0.0, 1.0, 0.0])  # any atom that spans the plane
    o = place_atom((away, ca, c), ideal.C_O, ideal.CA_C_O, 0.0)
    n = place_atom((away, ca, c), ideal.C_N, ideal.CA_C_N, 180.0)
    following = place_atom((ca, c, n), ideal.N_CA, ideal.C_N_CA, 0.0 if cis else 180.0)
    return torch.as_tensor(np.array([ca, c, o, n, following]), dtype=torch.float32)


def fit_rigid(
    search_map: SearchMap,
    xyz: Tensor,
    steps: int,
    *,
    rotation_step: float = 0.08,
    shift_step: float = 0.12,
    anchor: tuple[int, Tensor, int, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Move rigid peptide units uphill in the map.

    Parameters
    ----------
    search_map
        The map.
    xyz
        Units, shape (B, 5, 3), A.
    steps
        Steps of Adam.
    rotation_step, shift_step
        First step sizes, radians and A.
    anchor
        (row, position, other row, other position): `row` of each unit is held near a CA known
        already, positions (B, 3), and `other row` at the distance of N and C of one residue from
        the other atom of that residue.

    Returns
    -------
    (xyz, score)
        Units, and the density at their atoms, weighted and less the strain of the anchor, (B,).
    """
    adam = Adam((xyz[:, 0], xyz[:, 0]), _BETAS, _EPS)
    sizes = (rotation_step, shift_step)
    last = [_FINAL_FRACTION * size for size in sizes]
    for i in range(steps):
        _density, gradient = search_map.with_gradient(xyz)
        force = gradient * WEIGHTS[:, None]
        if anchor is not None:
            force = force + _strain(xyz, anchor)[1]
        centre = xyz.mean(1, keepdim=True)
        arm = xyz - centre
        torque = torch.linalg.cross(arm, force).sum(1)
        now = [-size for size in cosine_decay(sizes, last, i, steps)]
        turn, shift = adam.descent((torque, force.sum(1)), now)
        xyz = arm @ rotation_of(turn).mT + centre + shift[:, None]
    score = search_map.at(xyz) @ WEIGHTS
    if anchor is not None:
        score = score - _strain(xyz, anchor)[0]
    return xyz, score


_ANCHOR_SIGMA, _ACROSS_SIGMA = 0.15, 0.12  # A
_ACROSS = ideal.distance_across(ideal.N_CA, ideal.CA_C, ideal.N_CA_C)


def _strain(xyz: Tensor, anchor: tuple[int, Tensor, int, Tensor]) -> tuple[Tensor, Tensor]:
    """Penalty (B,) of anchored units and the force (B, 5, 3) that lowers it."""
    row, place, across, other = anchor
    force = torch.zeros_like(xyz)
    away = xyz[:, row] - place
    penalty = 0.5 * (away**2).sum(1) / _ANCHOR_SIGMA**2
    force[:, row] -= away / _ANCHOR_SIGMA**2
    between = xyz[:, across] - other
    length = torch.linalg.vector_norm(between, dim=1, keepdim=True).clamp(min=1e-3)
    error = length - _ACROSS
    penalty = penalty + 0.5 * error[:, 0] ** 2 / _ACROSS_SIGMA**2
    force[:, across] -= error * between / length / _ACROSS_SIGMA**2
    return penalty, force


def find_peptide_units(
    coefficients: MapCoefficients,
    search_map: SearchMap,
    generator: torch.Generator,
    deadline: float = math.inf,
    *,
    cis: bool = False,
    settings: SeedSettings | None = None,
) -> tuple[Tensor, Tensor]:
    """Peptide units with the highest density, all over the cell.

    Parameters
    ----------
    coefficients
        The map's structure factors, for a blurred map on a coarse grid.
    search_map
        The map for the refinement of the best.
    generator
        Source of the orientations.
    deadline
        `time.monotonic` after which no more orientations are tried.
    cis
        With as many cis units, after the trans ones.
    settings
        Numbers of orientations and units.

    Returns
    -------
    (xyz, score)
        Distinct units, best first, shapes (n, 5, 3), A, and (n,).
    """
    settings = settings or SeedSettings()
    coarse = SearchMap(
        coefficients.map_on(settings.spacing, settings.blur),
        coefficients.cell,
        coefficients.space_group,
    )
    units, scores = [], []
    for unit in (peptide_unit(), peptide_unit(cis=True))[: 2 if cis else 1]:
        placed = _scan(coarse, unit, settings, generator, deadline)
        xyz, _ = fit_rigid(coarse, placed, settings.steps)
        xyz, score = fit_rigid(search_map, xyz, settings.steps, shift_step=0.06, rotation_step=0.05)
        order = score.argsort(descending=True)
        kept = order[_distinct(xyz[order], search_map, settings.kept)]
        units.append(xyz[kept])
        scores.append(score[kept])
    return torch.cat(units), torch.cat(scores)


def _scan(
    coarse: SearchMap,
    unit: Tensor,
    settings: SeedSettings,
    generator: torch.Generator,
    deadline: float,
) -> Tensor:
    """Best placements of a unit in random orientations with C at grid points, (n, 5, 3), A."""
    shape = torch.tensor(coarse.shape)
    # a border as wide as the unit saves the modulo of every look-up
    reach = float(torch.linalg.vector_norm(unit, dim=1).max())
    skew = torch.linalg.vector_norm(coarse.to_frac, dim=1) * shape
    border = [math.ceil(reach * float(s)) + 1 for s in skew]
    padded = coarse.values
    for axis, width in enumerate(border):
        n = coarse.shape[axis]
        index = torch.remainder(torch.arange(-width, n + width), n)
        padded = padded.index_select(axis, index)
    flat = np.ascontiguousarray(padded.numpy()).reshape(-1)
    strides = np.array([padded.shape[1] * padded.shape[2], padded.shape[2], 1])

    density = coarse.values.reshape(-1)
    n_points = min(settings.points, len(density))
    chosen = density.topk(n_points).indices
    # numpy's, because torch's imports sympy, for seconds
    points = np.stack(np.unravel_index(chosen.numpy(), coarse.shape), axis=1)
    base = (points + np.array(border)) @ strides
    own = density[chosen].numpy()
    weights = WEIGHTS.numpy()
    rotations = random_rotations(settings.orientations, generator)
    grid = (rotations @ unit.mT).mT @ coarse.to_frac.mT * shape  # (R, 5, 3), grid steps
    steps = grid.round().long().numpy() @ strides
    each = max(4, 3 * settings.refined // settings.orientations + 1)
    found_score, found_point, found_rotation = [], [], []
    for r in range(settings.orientations):
        total = own * weights[C]
        for atom in (CA, O, N, NEXT_CA):
            total = total + weights[atom] * flat.take(base + steps[r, atom])
        best = np.argpartition(total, -each)[-each:]
        found_score.append(total[best])
        found_point.append(best)
        found_rotation.append(np.full(each, r))
        if r % 100 == 99 and time.monotonic() > deadline:
            break
    score = np.concatenate(found_score)
    best = np.argsort(-score)[: settings.refined]
    point = torch.as_tensor(np.concatenate(found_point)[best])
    rotation = rotations[torch.as_tensor(np.concatenate(found_rotation)[best])]
    origin = (torch.as_tensor(points)[point] / shape) @ coarse.orth.mT
    return (rotation @ unit.mT).mT + origin[:, None]


_SAME = 0.7  # A, rms distance of units that are the same


def _distinct(xyz: Tensor, search_map: SearchMap, n: int) -> list[int]:
    """First `n` rows that are no symmetry mate or lattice image of an earlier one."""
    kept: list[int] = []
    left = torch.arange(len(xyz))
    while len(left) and len(kept) < n:
        kept.append(int(left[0]))
        away = search_map.square_distances(xyz[left], xyz[left[0]])
        away[0] = 0
        left = left[away >= _SAME**2]
    return kept
