"""What a crystal does to amplitudes beside its atoms: bulk solvent, and direction."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from crysformer.crystal.operators import operators
from crysformer.crystal.reflections import CrystalData

ENOUGH = 300
"""Reflections from which the scale may depend on resolution and direction."""
STEP_CURVE = 0.15
_SOLVENT_B = 50.0  # A^2, at first
_SOLVENT_SHARE = -1.0  # log odds, at first
_LOG_B_SPREAD, _ODDS_SPREAD = 1.0, 3.0
_ANISOTROPY = 10.0  # A^2, expected size


class ResolutionScale:
    """Scale factors (1 - k exp(-B s^2 / 4)) exp(-s.U.s / 4) of structure factors.

    The first factor is Babinet's bulk solvent (Moews & Kretsinger, J. Mol. Biol. 91, 201, 1975),
    with wide limits, since it also takes up that ordered waters are not in a model; the second is
    anisotropy that the Laue group allows. Without enough reflections both are one.

    Parameters
    ----------
    data
        The crystal; the measured reflections count.
    device
        Where to compute.
    """

    def __init__(self, data: CrystalData, device: torch.device | str = "cpu") -> None:
        used = data.measured
        self.active = int(used.sum()) >= ENOUGH
        hkl = data.hkl[used].astype(np.float64)
        rotations = operators(data.space_group).rotations
        products = np.zeros((6, len(hkl)))
        for rotation in rotations:
            x, y, z = (hkl @ rotation @ data.to_frac).T
            products += np.stack((x * x, y * y, z * z, 2 * x * y, 2 * x * z, 2 * y * z))
        products /= len(rotations)
        self.products = torch.as_tensor(products, dtype=torch.float32, device=device)
        self.s_sq = torch.as_tensor(data.d[used] ** -2.0, dtype=torch.float32, device=device)
        self.device = device

    @property
    def n_parameters(self) -> int:
        """Of one model."""
        return 8 if self.active else 0

    def start(self, n: int) -> Tensor:
        """Parameters of `n` models, shape (n, 8): log odds of k, log B, U over 10 A^2."""
        curve = torch.zeros(n, 8, device=self.device)
        curve[:, 0], curve[:, 1] = _SOLVENT_SHARE, math.log(_SOLVENT_B)
        return curve

    def factor(self, curve: Tensor) -> Tensor:
        """Scale of each measured reflection, shape (n, m)."""
        if not self.active:
            return torch.ones((), device=self.device)
        share, b = curve[:, :1].sigmoid(), curve[:, 1:2].exp()
        solvent = 1 - share * torch.exp(-0.25 * b * self.s_sq)
        return solvent * torch.exp(-0.25 * _ANISOTROPY * (curve[:, 2:] @ self.products))

    def oddness(self, curve: Tensor) -> Tensor:
        """Chi-squared of unusual parameters, shape (n,)."""
        share = (curve[:, 0] / _ODDS_SPREAD) ** 2
        b = ((curve[:, 1] - math.log(_SOLVENT_B)) / _LOG_B_SPREAD) ** 2
        return share + b + (curve[:, 2:] ** 2).sum(1)
