"""Peptide units of all grown chains as one graph, whose edges are residues.

Chains grown from different seeds meet: where they agree they share their peptide units, and a path
may change from one to another. Units that coincide, also as symmetry mates or lattice images, are
one vertex; a residue is an edge from the unit before it to the unit after it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from crysformer.building.tracing.growing import GrownChains
from crysformer.building.tracing.peptide_units import CA, NEXT_CA, C, N, O
from crysformer.building.tracing.search_map import SearchMap

_CIS_CA = 3.35  # A, distance of CA below which a unit is cis (2.9; 3.8 if trans)
_SAME = 0.5  # A, rms distance of units that coincide


@dataclass(frozen=True, eq=False)
class Placement:
    """Cartesian operators x -> R x + t of some objects.

    Attributes
    ----------
    rotation, shift
        R, shape (n, 3, 3), and t, shape (n, 3), A.
    """

    rotation: Tensor
    shift: Tensor

    def __getitem__(self, rows: Tensor | int) -> Placement:
        return Placement(self.rotation[rows], self.shift[rows])

    def apply(self, xyz: Tensor) -> Tensor:
        """Move positions (..., m, 3)."""
        return xyz @ self.rotation.mT + self.shift[..., None, :]

    def after(self, first: Placement) -> Placement:
        """Apply another operator first, then this one."""
        shift = (self.rotation @ first.shift[..., None])[..., 0] + self.shift
        return Placement(self.rotation @ first.rotation, shift)

    def inverse(self) -> Placement:
        """The operators that undo these."""
        back = self.rotation.mT
        return Placement(back, -(back @ self.shift[..., None])[..., 0])


@dataclass(frozen=True, eq=False)
class UnitGraph:
    """Residues between vertices.

    Attributes
    ----------
    unit
        The first unit of each vertex, shape (V, 5, 3), A.
    backbone
        N, CA, C, O of each residue, shape (E, 4, 3), A.
    prior
        Log probability and penalties of each residue, shape (E,).
    before, after
        Its vertices, shape (E,).
    to_before, to_after
        Operators that bring each residue to the place where its unit before, or after, lies on
        that of the vertex.
    """

    unit: Tensor
    backbone: Tensor
    prior: Tensor
    before: Tensor
    after: Tensor
    to_before: Placement
    to_after: Placement

    @property
    def cis(self) -> Tensor:
        """Flags of the vertices that are cis, shape (V,)."""
        apart = self.unit[:, NEXT_CA] - self.unit[:, CA]
        return torch.linalg.vector_norm(apart, dim=1) < _CIS_CA


def unit_graph(search_map: SearchMap, forward: GrownChains, backward: GrownChains) -> UnitGraph:
    """Join chains grown in both directions into one graph."""
    backbones, priors, befores, afters, units = [], [], [], [], []
    n_units = 0
    for grown, ahead in ((forward, True), (backward, False)):
        n_seeds, k, length = grown.units.shape[:3]
        number = n_units + torch.arange(n_seeds * k * length).view(n_seeds, k, length)
        near, far = grown.units[:, :, :-1], grown.units[:, :, 1:]
        near_number, far_number = number[:, :, :-1], number[:, :, 1:]
        before, after = (near, far) if ahead else (far, near)
        ca = 0.5 * (before[..., NEXT_CA, :] + after[..., CA, :])
        residues = (before[..., N, :], ca, after[..., C, :], after[..., O, :])
        backbones.append(torch.stack(residues, dim=3).flatten(0, 2))
        priors.append(grown.prior.flatten())
        pair = (near_number, far_number) if ahead else (far_number, near_number)
        befores.append(pair[0].flatten())
        afters.append(pair[1].flatten())
        units.append(grown.units.flatten(0, 2))
        n_units += number.numel()
    vertex, place, leaders = coinciding(search_map, torch.cat(units))
    before, after = torch.cat(befores), torch.cat(afters)
    return UnitGraph(
        unit=leaders,
        backbone=torch.cat(backbones),
        prior=torch.cat(priors),
        before=vertex[before],
        after=vertex[after],
        to_before=place[before],
        to_after=place[after],
    )


def coinciding(search_map: SearchMap, units: Tensor) -> tuple[Tensor, Placement, Tensor]:
    """Group units (n, 5, 3) that lie on each other, or on mates or images of each other.

    Returns
    -------
    (group, place, first)
        Number of the group of each unit, the operator that brings it onto the first of its group,
        and these first units, shape (groups, 5, 3).
    """
    rotations, translations = search_map.mates
    orth, to_frac = search_map.orth, search_map.to_frac
    n = len(units)
    group = torch.full((n,), -1)
    rotation = torch.eye(3).repeat(n, 1, 1)
    shift = torch.zeros(n, 3)
    first: list[Tensor] = []
    frac = units @ to_frac.mT
    left = torch.arange(n)
    while len(left):
        lead = frac[left[0]]
        mates = torch.einsum("mij,naj->nmai", rotations, frac[left]) + translations[:, None]
        lattice = (lead.mean(0) - mates.mean(2)).round()
        away = (mates + lattice[:, :, None] - lead) @ orth.mT
        square, which = (away**2).sum(-1).mean(-1).min(1)
        same = square < _SAME**2
        same[0] = True
        rows, ops = left[same], which[same]
        group[rows] = len(first)
        rotation[rows] = orth @ rotations[ops] @ to_frac
        moved = translations[ops] + lattice[same, ops]
        shift[rows] = moved @ orth.mT
        first.append(units[left[0]])
        left = left[~same]
    return group, Placement(rotation, shift), torch.stack(first)
