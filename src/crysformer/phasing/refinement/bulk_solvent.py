"""Bulk-solvent and anisotropic scale factors."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from crysformer.crystal.operators import operators
from crysformer.crystal.reflections import CrystalData

MIN_REFLECTIONS = 300
"""Measured reflections from which the scale may depend on resolution and direction."""
_START_SOLVENT_B = 50.0  # A^2
_START_LOG_ODDS = -1.0  # of the solvent's fraction k
# Standard deviations of the priors: of log B around its start, and of the log odds of k around 0.
_LOG_B_SIGMA, _LOG_ODDS_SIGMA = 1.0, 3.0
_ANISOTROPY_SIGMA = 10.0  # A^2, standard deviation of each element of the anisotropic U


class ResolutionScale:
    """Scale factors (1 - k exp(-B s^2 / 4)) exp(-s.U.s / 4) of structure factors.

    The first factor is Babinet's bulk solvent (Moews & Kretsinger, J. Mol. Biol. 91, 201, 1975),
    with wide priors, because it also absorbs ordered waters missing from the model; the second is
    the anisotropy that the Laue group allows. With fewer than `MIN_REFLECTIONS` both are one.

    Parameters
    ----------
    data
        The crystal; only measured reflections are scaled.
    device
        Compute device.
    """

    def __init__(self, data: CrystalData, device: torch.device | str = "cpu") -> None:
        used = data.measured
        self.active = int(used.sum()) >= MIN_REFLECTIONS
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
        """Number of scale parameters of one model."""
        return 8 if self.active else 0

    def start(self, n: int) -> Tensor:
        """Starting parameters of `n` models, shape (n, 8): log odds of k, log B, U over 10 A^2."""
        curve = torch.zeros(n, 8, device=self.device)
        curve[:, 0], curve[:, 1] = _START_LOG_ODDS, math.log(_START_SOLVENT_B)
        return curve

    def factor(self, curve: Tensor) -> Tensor:
        """Scale of each measured reflection, shape (n, m), for parameters of shape (n, 8)."""
        if not self.active:
            return torch.ones((), device=self.device)
        k, b = curve[:, :1].sigmoid(), curve[:, 1:2].exp()
        solvent = 1 - k * torch.exp(-0.25 * b * self.s_sq)
        return solvent * torch.exp(-0.25 * _ANISOTROPY_SIGMA * (curve[:, 2:] @ self.products))

    def penalty(self, curve: Tensor) -> Tensor:
        """Minus twice the log prior of the parameters (n, 8), up to a constant, shape (n,)."""
        k = (curve[:, 0] / _LOG_ODDS_SIGMA) ** 2
        b = ((curve[:, 1] - math.log(_START_SOLVENT_B)) / _LOG_B_SIGMA) ** 2
        return k + b + (curve[:, 2:] ** 2).sum(1)
