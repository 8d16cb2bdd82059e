"""Log-likelihood gain of incomplete models with errors, and its gradient."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crysformer.crystal.normalisation import epsilon_factors, normalized_e
from crysformer.crystal.reflections import CrystalData
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget, Evaluation
from crysformer.phasing.refinement.miller_box import p1_reflections

_MAX_SIGMA_A = 0.98  # a model of everything, without errors, would leave no variance


class LikelihoodTarget(AmplitudeTarget):
    """Log likelihood of |E| given atoms, less that without any (Read, Acta Cryst. A42, 140, 1986).

    The target of molecular replacement by maximum likelihood (Read, Acta Cryst. D57, 1373, 2001).
    Where a model is a small part of a structure and in error, the correlation of amplitudes counts
    what the model cannot explain as misfit, and its maximum lies elsewhere. Here the calculated E
    are expected to be off: with sigma_A, the root of the fraction of the scattering in the model
    times exp(-2 pi^2 rms^2 / (3 d^2)), reflections that the errors spoil hardly count.

    Parameters
    ----------
    data, number, b_iso, d_min, device
        As `AmplitudeTarget`.
    fraction
        Fraction of the scattering power of the crystal in the model, 0 to 1.
    rms
        Expected error of the coordinates, A; `expect` sets another.
    """

    def __init__(
        self,
        data: CrystalData,
        number: NDArray[np.int64],
        b_iso: float,
        fraction: float,
        rms: float,
        d_min: float = 0.0,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(data, number, b_iso, d_min, device=device)
        # a box is half empty, and the likelihood costs as much as the structure factors
        self._rows = self.weight.nonzero()[:, 0]
        hkl = self.box.hkl[self._rows.cpu().numpy()].astype(np.int32)
        d = np.array(data.cell.calculate_d_array(hkl))
        self._s_sq = self._placed(d**-2.0)
        operations = data.space_group.operations()
        self._centric = torch.as_tensor(operations.centric_flag_array(hkl), device=device)
        # <|F|^2> of the atoms at random places
        power = sum((w**2).sum() * f[self._rows] ** 2 for _, w, f in self.groups)
        epsilon = self._placed(epsilon_factors(hkl, data.space_group))
        self._to_e = (power * epsilon * (1 + len(self.mates))).rsqrt()
        p1, e = p1_reflections(replace(data, f=normalized_e(data)), self.used)
        place, elsewhere = self.box.index(p1)
        observed = torch.zeros_like(self.f)
        observed[place[~elsewhere]] = self._placed(e[~elsewhere])
        self._observed_e = observed[self._rows]
        self._counted = self.weight[self._rows] * self.n_reflections
        self.fraction = fraction
        self.expect(rms)

    def _placed(self, values: NDArray[np.float64]) -> Tensor:
        return torch.as_tensor(values, dtype=torch.float32, device=self.f.device)

    def expect(self, rms: float) -> None:
        """Set the expected error of the coordinates, A."""
        damping = torch.exp(-2 / 3 * math.pi**2 * rms**2 * self._s_sq)
        self._sigma_a = (math.sqrt(self.fraction) * damping).clamp(max=_MAX_SIGMA_A)

    def _rated(self, fr: Tensor, fi: Tensor, gradient: bool) -> tuple[Evaluation, Tensor | None]:
        whole = fr.shape
        fr, fi = fr[:, self._rows], fi[:, self._rows]
        amplitude = (fr * fr).addcmul_(fi, fi).clamp_(min=1e-12).sqrt_()
        e_c, e_o, sigma_a = amplitude * self._to_e, self._observed_e, self._sigma_a
        variance = 1 - sigma_a**2
        x = e_o * sigma_a / variance * e_c
        bessel = torch.special.i0e(2 * x)
        # log ratio of Rice's (or the centric) distribution to Wilson's
        common = -(sigma_a**2) / variance * (e_o**2 + e_c**2) - variance.log()
        acentric = common + bessel.log() + 2 * x
        centric = 0.5 * common + x + torch.log1p(torch.exp(-2 * x)) - math.log(2)
        gain = torch.where(self._centric, centric, acentric) @ self._counted
        figures = Evaluation(gain, torch.zeros_like(gain), gain, None)
        if not gradient:
            return figures, None
        fom = torch.where(self._centric, x.tanh(), torch.special.i1e(2 * x) / bessel)
        multiple = torch.where(self._centric, 1.0, 2.0) * sigma_a / variance
        slope = multiple * (fom * e_o - sigma_a * e_c)
        slope *= self._to_e * self._counted / amplitude
        return figures, slope.new_zeros(whole).index_copy_(1, self._rows, slope)
