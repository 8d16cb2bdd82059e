"""Amplitudes of a peptide in its space group against gemmi; overlap against a sum over pairs."""

import itertools
from collections.abc import Callable
from dataclasses import replace

import gemmi
import numpy as np
import pytest
import torch

from crysformer.crystal.reflections import CrystalData
from crysformer.peptide.geometry import build_peptides
from crysformer.phasing.refinement.amplitude_target import AmplitudeTarget

B_ISO = 12.0
GROUPS = ("P 1", "P 1 21 1", "P 21 21 21", "P 43", "C 1 2 1", "P 1 21/c 1", "R 3:H")


@pytest.mark.parametrize("group", GROUPS)
def test_structure_factors_are_gemmis(
    group: str, crystal: Callable[..., CrystalData], positions: Callable[..., torch.Tensor]
) -> None:
    data = crystal(group)
    peptides = build_peptides(("MSW",))
    target = AmplitudeTarget(data, peptides.number, B_ISO, by_element=True, overlap=0.1)
    xyz = positions(peptides, 1)
    found = target.structure_factors(xyz)[0]
    assert (np.isfinite(found) == data.measured).all()
    structure = gemmi.SmallStructure()
    structure.cell, structure.spacegroup_hm = data.cell, data.space_group.xhm()
    structure.determine_and_set_spacegroup("2")
    for i, place in enumerate(xyz[0].tolist()):
        site = gemmi.SmallStructure.Site()
        site.element = gemmi.Element(int(peptides.number[i]))
        site.fract = data.cell.fractionalize(gemmi.Position(*place))
        site.occ, site.u_iso = 1.0, B_ISO / (8 * np.pi**2)
        structure.add_site(site)
    calculator = gemmi.StructureFactorCalculatorX(structure.cell)
    rows = np.flatnonzero(data.measured)[:: max(1, len(data) // 30)]
    expected = [
        calculator.calculate_sf_from_small_structure(structure, data.hkl[i].tolist()) for i in rows
    ]
    centring = len(data.space_group.operations().cen_ops)
    np.testing.assert_allclose(found[rows] * centring, expected, atol=2e-4 * np.abs(expected).max())


def test_the_correlation_is_that_of_all_measured_reflections(
    crystal: Callable[..., CrystalData], positions: Callable[..., torch.Tensor]
) -> None:
    data = crystal("P 1 21 1")
    peptides = build_peptides(("GAS",))
    target = AmplitudeTarget(data, peptides.number, B_ISO, by_element=True)
    xyz = positions(peptides, 2)
    F = np.abs(target.structure_factors(xyz))
    # every reflection counts as often as it occurs in the full sphere
    operations = data.space_group.operations()
    counts = (
        2 * len(operations.sym_ops) / operations.epsilon_factor_without_centering_array(data.hkl)
    )
    counts = counts / np.where(operations.centric_flag_array(data.hkl), 2, 1)
    used = data.measured
    for f, correlation in zip(F, target.evaluate(xyz).correlation.tolist(), strict=True):
        expected = np.cov(np.stack((f, data.f))[:, used], aweights=counts[used])
        r = expected[0, 1] / np.sqrt(expected[0, 0] * expected[1, 1])
        assert correlation == pytest.approx(r, abs=2e-5)


@pytest.mark.parametrize("by_element", [False, True])
def test_the_gradient_is_that_of_finite_differences(
    by_element: bool, crystal: Callable[..., CrystalData], positions: Callable[..., torch.Tensor]
) -> None:
    data = crystal("P 21 21 21", 1.8)
    peptides = build_peptides(("CG", "S"))
    target = AmplitudeTarget(data, peptides.number, B_ISO, overlap=0.2, by_element=by_element)
    xyz = positions(peptides, 3)
    gradient = target.evaluate(xyz).gradient
    assert gradient is not None
    h = 0.01
    for atom, axis in ((0, 0), (5, 1), (9, 2), (13, 0)):
        step = torch.zeros_like(xyz)
        step[:, atom, axis] = h
        ahead = target.evaluate(xyz + step, gradient=False).score
        behind = target.evaluate(xyz - step, gradient=False).score
        torch.testing.assert_close(
            (ahead - behind) / (2 * h), gradient[:, atom, axis], atol=3e-4, rtol=0.02
        )


@pytest.mark.parametrize("group", ["P 1 21 1", "C 1 2 1"])
def test_overlap_is_a_sum_over_all_pairs_of_the_crystal(
    group: str, crystal: Callable[..., CrystalData], positions: Callable[..., torch.Tensor]
) -> None:
    data = crystal(group)
    peptides = build_peptides(("GGG",))
    carbon = np.full_like(peptides.number, 6)  # one weight for all
    target = AmplitudeTarget(data, carbon, B_ISO, overlap=0.1)
    xyz = positions(peptides, 2)
    xyz[1] = xyz[1].mean(0) + 0.7 * (xyz[1] - xyz[1].mean(0))  # pressed together
    found = target.evaluate(xyz).overlap.numpy()
    orth = np.array(data.cell.orth.mat.tolist())
    n, width = len(carbon), 4.1
    expected = []
    for x in xyz.double().numpy():
        frac = x @ np.linalg.inv(orth).T
        total = 0.0
        for op in data.space_group.operations():
            mate = np.array([op.apply_to_xyz(f) for f in frac.tolist()])
            for cell in itertools.product(range(-2, 3), repeat=3):
                d = (mate[:, None] + cell - frac[None]) @ orth.T
                total += float(np.exp(-(d**2).sum(-1) / width).sum())
        operations = len(list(data.space_group.operations()))
        constant = n * operations * (np.pi * width) ** 1.5 / data.cell.volume
        expected.append(total / n - constant)
    assert expected[1] - expected[0] > 0.3
    np.testing.assert_allclose(found, expected, atol=0.03)


def test_limits_of_resolution_leave_reflections_out(
    crystal: Callable[..., CrystalData], positions: Callable[..., torch.Tensor]
) -> None:
    data = crystal("P 1")
    number = build_peptides(("AA",)).number
    whole = AmplitudeTarget(data, number, B_ISO)
    low = AmplitudeTarget(data, number, B_ISO, d_min=3.0, d_max=8.0)
    assert whole.n_reflections == data.measured.sum()
    assert low.n_reflections == (data.measured & (data.d >= 3.0) & (data.d <= 8.0)).sum()
    scaled = AmplitudeTarget(replace(data, f=10 * data.f), number, B_ISO)
    xyz = positions(build_peptides(("AA",)), 2)
    torch.testing.assert_close(scaled.evaluate(xyz).score, whole.evaluate(xyz).score)
