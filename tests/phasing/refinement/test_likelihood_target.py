"""Likelihood of incomplete models against the distributions of scipy, and its gradient."""

from __future__ import annotations

import math

import gemmi
import numpy as np
import pytest
import torch
from scipy.stats import foldnorm, halfnorm, rayleigh, rice

from crysformer.crystal.normalisation import normalized_e
from crysformer.crystal.reflections import CrystalData
from crysformer.crystal.scattering_factors import form_factors, gaussian_coefficients
from crysformer.phasing.refinement.likelihood_target import LikelihoodTarget

B_ISO, FRACTION = 8.0, 0.35
CARBON = np.full(9, 6)
CELLS = {"P 1": (90, 100, 95), "P 21 21 2": (90, 90, 90), "C 1 2 1": (90, 105, 90)}


def crystal(group: str) -> CrystalData:
    cell = gemmi.UnitCell(12, 13, 14, *CELLS[group])
    space_group = gemmi.SpaceGroup(group)
    hkl = gemmi.make_miller_array(cell, space_group, 1.6).astype(np.int32)
    f = np.random.default_rng(0).rayleigh(20.0, len(hkl))
    f[::9] = np.nan
    return CrystalData(cell, space_group, hkl, f)


def models(n: int) -> torch.Tensor:
    return 8 * torch.rand(n, len(CARBON), 3, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("group", CELLS)
def test_the_gain_is_the_ratio_of_rices_to_wilsons_distribution(group: str) -> None:
    data, rms = crystal(group), 0.6
    target = LikelihoodTarget(data, CARBON, B_ISO, FRACTION, rms)
    xyz = models(3)
    operations = data.space_group.operations()
    s_sq = data.d**-2.0
    f_carbon = form_factors(*(x[[6]] for x in gaussian_coefficients("xray")), s_sq)[0]
    power = len(CARBON) * len(operations.sym_ops) * (f_carbon * np.exp(-B_ISO * s_sq / 4)) ** 2
    power *= operations.epsilon_factor_without_centering_array(data.hkl)
    sigma_a = math.sqrt(FRACTION) * np.exp(-2 / 3 * math.pi**2 * rms**2 * s_sq)
    spread = np.sqrt(1 - sigma_a**2)
    used = data.measured
    centric = operations.centric_flag_array(data.hkl)[used]
    e_o = normalized_e(data)[used]
    gains = target.evaluate(xyz, gradient=False).score
    for F, gain in zip(target.structure_factors(xyz), gains.tolist(), strict=True):
        mean = (sigma_a * np.abs(F) / np.sqrt(power))[used]
        scale = spread[used] / math.sqrt(2)
        acentric = rice.logpdf(e_o, mean / scale, scale=scale)
        acentric -= rayleigh.logpdf(e_o, scale=1 / math.sqrt(2))
        folded = foldnorm.logpdf(e_o, mean / spread[used], scale=spread[used])
        expected = np.where(centric, folded - halfnorm.logpdf(e_o), acentric)
        # each unique reflection as often as it occurs in the full sphere, their number in all
        counts = 2 * len(operations.sym_ops)
        counts = counts / operations.epsilon_factor_without_centering_array(data.hkl)[used]
        counts = counts / np.where(centric, 2, 1)
        expected *= counts * used.sum() / counts.sum()
        assert gain == pytest.approx(expected.sum(), abs=0.01)


@pytest.mark.parametrize("group", CELLS)
def test_the_gradient_is_that_of_finite_differences(group: str) -> None:
    target = LikelihoodTarget(crystal(group), CARBON, B_ISO, FRACTION, 0.5)
    xyz = models(2)
    gradient = target.evaluate(xyz).gradient
    assert gradient is not None
    for atom, axis in ((0, 0), (4, 1), (8, 2)):
        step = torch.zeros_like(xyz)
        step[:, atom, axis] = 0.005
        ahead = target.evaluate(xyz + step, gradient=False).score
        behind = target.evaluate(xyz - step, gradient=False).score
        torch.testing.assert_close(
            (ahead - behind) / 0.01, gradient[:, atom, axis], atol=0.05, rtol=0.02
        )


def test_a_model_of_unknown_place_gains_nothing() -> None:
    target = LikelihoodTarget(crystal("P 1"), CARBON, B_ISO, FRACTION, 0.5)
    expected = target.evaluate(models(2), gradient=False).score
    target.expect(20.0)
    torch.testing.assert_close(
        target.evaluate(models(2), gradient=False).score, torch.zeros(2), atol=0.1, rtol=0
    )
    target.expect(0.5)
    torch.testing.assert_close(target.evaluate(models(2), gradient=False).score, expected)
