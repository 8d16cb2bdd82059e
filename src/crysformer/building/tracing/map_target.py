"""Targets for coordinates of models: a map, and positions that are known already."""

from __future__ import annotations

import itertools
import math

import numpy as np
import torch
from torch import Tensor

from crysformer.building.tracing.search_map import SearchMap
from crysformer.peptide.geometry import Peptides
from crysformer.phasing.refinement.amplitude_target import Evaluation

# Scale of the score against the force on omega in `refine_torsions`: densities are in standard
# deviations of the map, and a deviation of omega by 5 degrees then costs about one half.
_SCALE = 0.003
# Distance of atoms that are not bonded, below which they repel each other; less between N and O.
_CONTACT, _HYDROGEN_BOND = 3.1, 2.7  # A
_REPULSION = 15.0  # standard deviations / A^2
_REACH = 6.0  # A, of images that may come into contact during a refinement
_APART = 3  # bonds between atoms that repel each other, at least one more


class MapTarget:
    """Density at the atoms, less a penalty for contacts that are too short.

    Parameters
    ----------
    search_map
        The map.
    peptides
        The chains.
    xyz
        Coordinates, shape (n, 3), A, of which the symmetry mates and lattice images within reach
        are taken into account; by default of none.
    """

    def __init__(
        self, search_map: SearchMap, peptides: Peptides, xyz: Tensor | None = None
    ) -> None:
        self.search_map, self.scale = search_map, _SCALE
        self.weight = torch.as_tensor(peptides.number / 6.0).float()
        polar = torch.as_tensor(np.isin(peptides.number, (7, 8)))
        self._least = torch.where(polar[:, None] & polar, _HYDROGEN_BOND, _CONTACT)
        self._apart = torch.as_tensor(_bonds_between(peptides) > _APART)
        self.images = [] if xyz is None else images_within(search_map, xyz, _REACH)

    def evaluate(self, xyz: Tensor, gradient: bool = True) -> Evaluation:
        """Scores of coordinates (B, n, 3) and their gradient."""
        if gradient:
            density, slope = self.search_map.with_gradient(xyz)
            force = slope * self.weight[:, None]
        else:
            density, force = self.search_map.at(xyz), torch.zeros_like(xyz)
        fit = density @ self.weight
        strain = torch.zeros_like(fit)
        for image in (None, *self.images):
            other = xyz if image is None else xyz @ image[0].mT + image[1]
            away = xyz[:, :, None] - other[:, None]
            distance = (away * away).sum(-1).clamp_(min=1e-4).sqrt_()
            short = (self._least - distance).clamp_(min=0)
            if image is None:
                short = short * self._apart
            strain = strain + 0.5 * _REPULSION * (short**2).sum((1, 2))
            if gradient:  # each contact is met from both sides: by its inverse among the images
                force += 2 * _REPULSION * (away * (short / distance)[..., None]).sum(2)
        score = _SCALE * (fit - strain)
        return Evaluation(fit, strain, score, _SCALE * force if gradient else None)


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


class PositionTarget:
    """Squared distances of some atoms from known positions.

    Parameters
    ----------
    rows
        The atoms, shape (m,).
    positions
        Shape (B, m, 3), A.
    """

    _SCALE = 1.0  # 1/A^2, against the force on omega

    def __init__(self, rows: Tensor, positions: Tensor) -> None:
        self.rows, self.positions = rows, positions

    def evaluate(self, xyz: Tensor, gradient: bool = True) -> Evaluation:
        """Scores of coordinates (B, n, 3) and their gradient."""
        away = xyz[:, self.rows] - self.positions
        score = -self._SCALE * (away**2).sum((1, 2))
        force = None
        if gradient:
            force = torch.zeros_like(xyz)
            force[:, self.rows] = -2 * self._SCALE * away
        return Evaluation(score, torch.zeros_like(score), score, force)
