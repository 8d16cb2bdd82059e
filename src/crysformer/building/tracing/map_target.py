"""Targets for coordinates of models: a map, and positions that are known already."""

from __future__ import annotations

import torch
from torch import Tensor

from crysformer.building.tracing.contacts import Contacts
from crysformer.building.tracing.search_map import SearchMap
from crysformer.peptide.geometry import Peptides
from crysformer.phasing.refinement.amplitude_target import Evaluation

# Scale of the score against the force on omega in `refine_torsions`: densities are in standard
# deviations of the map, and a deviation of omega by 5 degrees then costs about one half.
_SCALE = 0.003


class MapTarget:
    """Density at the atoms, less a penalty for contacts that are too short.

    Parameters
    ----------
    search_map
        The map.
    peptides
        The chains.
    contacts
        Pairs of atoms that may come too near, of as many models as are evaluated.
    """

    def __init__(self, search_map: SearchMap, peptides: Peptides, contacts: Contacts) -> None:
        self.search_map, self.contacts, self.scale = search_map, contacts, _SCALE
        self.weight = torch.as_tensor(peptides.number / 6.0).float()

    def evaluate(self, xyz: Tensor, gradient: bool = True) -> Evaluation:
        """Scores of coordinates (B, n, 3) and their gradient."""
        strain, force = self.contacts.strain(xyz)
        if gradient:
            density, slope = self.search_map.with_gradient(xyz)
            force = force + slope * self.weight[:, None]
        else:
            density = self.search_map.at(xyz)
        fit = density @ self.weight
        score = _SCALE * (fit - strain)
        return Evaluation(fit, strain, score, _SCALE * force if gradient else None)


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
