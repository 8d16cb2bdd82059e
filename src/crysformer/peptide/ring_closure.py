"""Closing of rings: distances across their closing bonds, and torsions that meet them."""

from __future__ import annotations

import math
from typing import Final

import gemmi
import numpy as np
import torch
from torch import Tensor

from crysformer.peptide import ideal_geometry as ideal
from crysformer.peptide.geometry import Peptides
from crysformer.peptide.kinematics import Kinematics, Pose

BOND, ANGLE = 0.02, 0.04  # A, expected errors of a bond and of a distance across an angle
_STEPS: Final = 120  # of `closed`
_RATES: Final = (0.15, 0.02)  # radians, the first and the last step
_KEPT: Final = 0.1  # of the force towards the torsions drawn, A^2 per radian


class RingClosure:
    """Distances that hold across the closing bonds of rings.

    Parameters
    ----------
    peptides
        The chains.
    device
        Where to compute.

    Attributes
    ----------
    first, second
        Atoms, shape (m,).
    distance
        A, shape (m,).
    """

    def __init__(self, peptides: Peptides, device: torch.device | str = "cpu") -> None:
        pairs = ring_distances(peptides)
        self.first = torch.tensor([pair[0] for pair in pairs], dtype=torch.int64, device=device)
        self.second = torch.tensor([pair[1] for pair in pairs], dtype=torch.int64, device=device)
        self.distance = torch.tensor([pair[2] for pair in pairs], device=device)

    def __bool__(self) -> bool:
        return len(self.first) > 0

    def force(self, xyz: Tensor) -> Tensor:
        """Gradient of minus half the sum of squared deviations, A; xyz has the shape (B, n, 3)."""
        apart = xyz[:, self.first] - xyz[:, self.second]
        length = torch.linalg.vector_norm(apart, dim=2, keepdim=True).clamp(min=1e-3)
        pull = (self.distance[:, None] / length - 1) * apart
        out = torch.zeros_like(xyz)
        out.index_add_(1, self.first, pull)
        return out.index_add_(1, self.second, -pull)


def closed(kinematics: Kinematics, torsions: Tensor) -> Tensor:
    """Torsions (B, K) near the given ones whose rings are closed; omega stays as it is."""
    peptides = kinematics.peptides
    closure = RingClosure(peptides, kinematics.device)
    if not closure:
        return torsions
    movable = torch.tensor([t.kind in ("phi", "psi") for t in peptides.torsions]).to(torsions)
    chains = kinematics.n_chains
    roots = torch.eye(3).expand(len(torsions), chains, 3, 3).to(torsions)
    places = torsions.new_zeros(len(torsions), chains, 3)
    drawn, velocity = torsions, torch.zeros_like(torsions)
    for step in range(_STEPS):
        xyz, frames, origins = kinematics.coordinates(Pose(torsions, roots, places))
        gradient = kinematics.gradient(xyz, frames, origins, closure.force(xyz))[0]
        gradient = (gradient - _KEPT * torch.sin(torsions - drawn)) * movable
        share = 0.5 * (1 + math.cos(math.pi * step / _STEPS))
        rate = _RATES[1] + (_RATES[0] - _RATES[1]) * share
        velocity = 0.8 * velocity + 0.2 * gradient
        largest = velocity.abs().amax(1, keepdim=True).clamp(min=1.0)
        torsions = torsions + rate * velocity / largest
    return torsions


def ring_distances(p: Peptides) -> list[tuple[int, int, float, float]]:
    """Pairs across the peptide bonds that close rings: atoms, distance and its error, A.

    Bonds and angles; these peptide bonds may be cis or trans.
    """
    found = []
    for c, nitrogen in p.ring_bonds:
        found.append((c, nitrogen, ideal.C_N, BOND))
        (ca,) = (x for x in _bonded(p, nitrogen) if p.names[x] == "CA")
        for centre, at in ((c, nitrogen), (nitrogen, c)):
            for atom in _bonded(p, centre):
                if centre == c:
                    angle = ideal.CA_C_N if p.names[atom] == "CA" else ideal.O_C_N
                elif atom == ca:
                    angle = ideal.C_N_CA
                else:  # the flat nitrogen's third angle
                    angle = 360.0 - ideal.C_N_CA - _angle(p, ca, nitrogen, atom)
                length = float(np.linalg.norm(p.xyz[atom] - p.xyz[centre]))
                found.append((atom, at, ideal.distance_across(length, ideal.C_N, angle), ANGLE))
    return found


def _bonded(p: Peptides, atom: int) -> list[int]:
    return [sum(pair) - atom for pair in p.bonds if atom in pair]


def _angle(p: Peptides, *atoms: int) -> float:
    """Angle at the second of three atoms, degrees."""
    return math.degrees(gemmi.calculate_angle(*(gemmi.Position(*p.xyz[i]) for i in atoms)))
