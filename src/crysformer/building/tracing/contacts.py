"""Contacts of models with themselves, with symmetry mates and with lattice images."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from crysformer.building.tracing.chain_ends import shown_atoms
from crysformer.building.tracing.search_map import SearchMap
from crysformer.peptide.geometry import Peptides

# Distance of atoms that are not bonded, below which they repel each other; less between N and O.
_CONTACT, _HYDROGEN_BOND = 3.1, 2.7  # A
_REPULSION = 15.0  # standard deviations / A^2
_APART = 3  # bonds between atoms that repel each other, at least one more


@dataclass(frozen=True, eq=False)
class Contacts:
    """Pairs of atoms of B models that may come too near to each other.

    Each pair is there from both sides: the image of one atom near another is, for the inverse
    operator, the image of the other near the one.

    Attributes
    ----------
    first, second
        Rows of the atoms among those of all models, shape (P,).
    turn, shift
        Operator that brings the second atom beside the first, shapes (P, 3, 3) and (P, 3), A.
    least
        Distance below which they repel each other, A, shape (P,).
    """

    first: Tensor
    second: Tensor
    turn: Tensor
    shift: Tensor
    least: Tensor

    def strain(self, xyz: Tensor) -> tuple[Tensor, Tensor]:
        """Penalty (B,), in standard deviations of a map, and the force (B, n, 3) that lowers it."""
        flat = xyz.flatten(0, 1)
        other = (self.turn @ flat[self.second, :, None])[..., 0] + self.shift
        away = flat[self.first] - other
        distance = (away * away).sum(1).clamp_(min=1e-4).sqrt_()
        short = (self.least - distance).clamp_(min=0)
        penalty = torch.zeros(len(xyz))
        model = self.first // xyz.shape[1]
        penalty.index_add_(0, model, 0.5 * _REPULSION * short**2)
        force = torch.zeros_like(flat)
        force.index_add_(0, self.first, 2 * _REPULSION * (short / distance)[:, None] * away)
        return penalty, force.view_as(xyz)


def contacts_of(
    search_map: SearchMap, peptides: Peptides, xyz: Tensor, reach: float, *, images: bool
) -> Contacts:
    """All contacts that models may get while their atoms do not move far.

    The second oxygen of a last residue takes part only where the map shows it: chains that were cut
    out of longer ones lack it, and it would keep other atoms from their places.

    Parameters
    ----------
    search_map
        The map, its cell and space group.
    peptides
        The chains of each model.
    xyz
        The models, shape (B, n, 3), A.
    reach
        Distance of atoms, A, up to which they count.
    images
        With symmetry mates and lattice images, not only within each model.
    """
    n = len(peptides.names)
    polar = torch.as_tensor(np.isin(peptides.number, (7, 8)))
    least = torch.where(polar[:, None] & polar, _HYDROGEN_BOND, _CONTACT)
    apart = torch.as_tensor(_bonds_between(peptides) > _APART)
    shown = shown_atoms(search_map, peptides, xyz)
    own = (torch.eye(3), torch.zeros(3))
    firsts, seconds, turns, shifts = [], [], [], []
    for model, one in enumerate(xyz):
        near = images_within(search_map, one, reach) if images else []
        for k, (turn, shift) in enumerate((own, *near)):
            close = torch.cdist(one, one @ turn.mT + shift) < reach
            close = close & shown[model, :, None] & shown[model]
            pairs = (close & apart if k == 0 else close).nonzero()
            firsts.append(pairs[:, 0] + model * n)
            seconds.append(pairs[:, 1] + model * n)
            turns.append(turn.expand(len(pairs), 3, 3))
            shifts.append(shift.expand(len(pairs), 3))
    first, second = torch.cat(firsts), torch.cat(seconds)
    distance = least[first % n, second % n].float()
    return Contacts(first, second, torch.cat(turns), torch.cat(shifts), distance)


def images_within(search_map: SearchMap, xyz: Tensor, reach: float) -> list[tuple[Tensor, Tensor]]:
    """Cartesian operators of symmetry mates and lattice images of atoms (n, 3) that come near.

    Parameters
    ----------
    search_map
        Cell and space group.
    xyz
        The atoms, A.
    reach
        Least distance of an atom of an image and any of the atoms, A.
    """
    rotations, translations = search_map.mates
    frac = xyz @ search_map.to_frac.mT
    found = []
    for m, (rotation, translation) in enumerate(zip(rotations, translations, strict=True)):
        mate = frac @ rotation.mT + translation
        centre = (frac.mean(0) - mate.mean(0)).round()
        extent = (frac.amax(0) - frac.amin(0) + mate.amax(0) - mate.amin(0)) / 2
        margin = reach * torch.linalg.vector_norm(search_map.to_frac, dim=1)
        span = [math.ceil(float(e + r)) for e, r in zip(extent, margin, strict=True)]
        for steps in itertools.product(*(range(-s, s + 1) for s in span)):
            shift = centre + torch.tensor(steps, dtype=torch.float32)
            if m == 0 and not shift.any():
                continue
            image = (mate + shift) @ search_map.orth.mT
            if float(torch.cdist(xyz, image).min()) < reach:
                turn = search_map.orth @ rotation @ search_map.to_frac
                found.append((turn, search_map.orth @ (translation + shift)))
    return found


def _bonds_between(peptides: Peptides) -> np.ndarray:
    """Bonds between each two atoms, at most four, shape (n, n)."""
    n = len(peptides.names)
    linked = np.zeros((n, n), dtype=bool)
    for a, b in peptides.bonds:
        linked[a, b] = linked[b, a] = True
    reached, steps = np.eye(n, dtype=bool), np.full((n, n), _APART + 1)
    steps[reached] = 0
    for step in range(1, _APART + 1):
        reached = (reached.astype(np.int32) @ linked.astype(np.int32)) > 0
        steps = np.where(reached & (steps > step), step, steps)
    return steps
